//! A transactional producer on librdkafka's own calls. The safe wrapper of rdkafka registers delivery reports and then waits
//! 100 ms in every commit; inside a transaction the commit is the report, so this
//! producer registers none.
//!
//! Owns the native handles. A [`Producer`] belongs to one thread at a time; every
//! call may block. It knows nothing of what the records mean.

#![allow(
    unsafe_code,
    reason = "librdkafka is a C library; rdkafka has no safe call without delivery reports"
)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::bindings::rd_kafka_vtype_t as Field;

use super::fault::{KafkaFault, Verdict};

/// Room for librdkafka's error texts; it cuts what is longer.
const TEXT_BYTES: usize = 512;
/// Fields of one record: topic, partition, flags, time, key, value, headers.
const FIELDS: usize = 7;

/// A record to write; borrowed, librdkafka copies it.
pub(crate) struct Record<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub key: Option<&'a [u8]>,
    /// Never a tombstone: an empty slice is an empty value.
    pub value: &'a [u8],
    /// CreateTime, milliseconds since 1970.
    pub time_ms: i64,
}

/// The headers of one record, in order; a name may stand more than once.
pub(crate) struct RecordHeaders(*mut sys::rd_kafka_headers_t);

impl RecordHeaders {
    /// Room for `count` headers; more are taken too.
    pub(crate) fn with_capacity(count: usize) -> Self {
        // SAFETY: allocates; never fails but by abort.
        Self(unsafe { sys::rd_kafka_headers_new(count) })
    }

    /// Adds a header.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        // SAFETY: both ranges are valid for the call, which copies them; a slice's
        // length always fits isize.
        unsafe {
            let (name_size, value_size) = (name.len().cast_signed(), value.len().cast_signed());
            sys::rd_kafka_header_add(
                self.0,
                name.as_ptr().cast(),
                name_size,
                value.as_ptr().cast(),
                value_size,
            );
        }
    }
}

impl Drop for RecordHeaders {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer is ours: producing a record takes it out.
            unsafe { sys::rd_kafka_headers_destroy(self.0) }
        }
    }
}

/// A producer. Dropping it gives up what is not written.
pub(crate) struct Producer {
    client: *mut sys::rd_kafka_t,
    topics: HashMap<Box<str>, *mut sys::rd_kafka_topic_t>,
}

// SAFETY: librdkafka's handles may be used from any thread; `&mut self` on every
// call that touches `topics` keeps the map to one at a time.
unsafe impl Send for Producer {}

impl Producer {
    /// Makes a producer from librdkafka settings. Does not connect yet.
    ///
    /// # Errors
    /// The first setting that librdkafka refuses, or its reason not to start.
    pub(crate) fn new<'a>(
        settings: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, KafkaFault> {
        let mut text = [0; TEXT_BYTES];
        // SAFETY: `conf` is ours until rd_kafka_new has taken it; on any failure
        // before that it is destroyed here. `text` outlives every call.
        unsafe {
            let conf = sys::rd_kafka_conf_new();
            sys::rd_kafka_conf_set_log_cb(conf, Some(log));
            for (name, value) in settings {
                let set = set(conf, name, value, &mut text);
                if !set {
                    sys::rd_kafka_conf_destroy(conf);
                    return Err(local(name, &text));
                }
            }
            let client = sys::rd_kafka_new(
                sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
                conf,
                text.as_mut_ptr(),
                TEXT_BYTES,
            );
            if client.is_null() {
                sys::rd_kafka_conf_destroy(conf);
                return Err(local("client", &text));
            }
            Ok(Self {
                client,
                topics: HashMap::new(),
            })
        }
    }

    /// Ends the predecessor's transaction and fences it.
    ///
    /// # Errors
    /// Kafka is out of reach for that long, or the settings are not accepted.
    pub(crate) fn init_transactions(&mut self, limit: Duration) -> Result<(), KafkaFault> {
        // SAFETY: the client lives as long as self.
        self.check("init_transactions", unsafe {
            sys::rd_kafka_init_transactions(self.client, millis(limit))
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// The producer is in no state to; it must be given up.
    pub(crate) fn begin(&mut self) -> Result<(), KafkaFault> {
        // SAFETY: the client lives as long as self.
        self.check("begin_transaction", unsafe {
            sys::rd_kafka_begin_transaction(self.client)
        })
    }

    /// Writes what is queued and commits. Waits as long as the transaction may live.
    ///
    /// # Errors
    /// Any; the outcome is unknown unless the verdict is [`Verdict::Fenced`].
    pub(crate) fn commit(&mut self) -> Result<(), KafkaFault> {
        // SAFETY: the client lives as long as self; -1 is librdkafka's "until the
        // transaction's own time-out".
        self.check("commit_transaction", unsafe {
            sys::rd_kafka_commit_transaction(self.client, -1)
        })
    }

    /// Drops what is queued and aborts.
    ///
    /// # Errors
    /// Any; the producer must be given up.
    pub(crate) fn abort(&mut self, limit: Duration) -> Result<(), KafkaFault> {
        // SAFETY: the client lives as long as self.
        self.check("abort_transaction", unsafe {
            sys::rd_kafka_abort_transaction(self.client, millis(limit))
        })
    }

    /// Waits until everything queued is written; for a producer without transactions.
    ///
    /// # Errors
    /// Not everything was written in time.
    pub(crate) fn flush(&mut self, limit: Duration) -> Result<(), KafkaFault> {
        // SAFETY: the client lives as long as self.
        let code = unsafe { sys::rd_kafka_flush(self.client, millis(limit)) };
        if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            Err(named("flush", code))
        }
    }

    /// Queues a record.
    ///
    /// # Errors
    /// [`Verdict::Record`] when it is larger than a record may be; nothing was queued and
    /// the producer may go on.
    pub(crate) fn produce(
        &mut self,
        record: &Record<'_>,
        mut headers: RecordHeaders,
    ) -> Result<(), KafkaFault> {
        let topic = self.topic(record.topic)?;
        let mut fields: [sys::rd_kafka_vu_t; FIELDS] = [
            field(Field::RD_KAFKA_VTYPE_RKT, |u| u.rkt = topic),
            field(Field::RD_KAFKA_VTYPE_PARTITION, |u| {
                u.i32_ = record.partition
            }),
            field(Field::RD_KAFKA_VTYPE_MSGFLAGS, |u| {
                u.i = sys::RD_KAFKA_MSG_F_COPY
            }),
            field(Field::RD_KAFKA_VTYPE_TIMESTAMP, |u| u.i64_ = record.time_ms),
            field(Field::RD_KAFKA_VTYPE_VALUE, |u| {
                u.mem = memory(Some(record.value))
            }),
            field(Field::RD_KAFKA_VTYPE_KEY, |u| u.mem = memory(record.key)),
            field(Field::RD_KAFKA_VTYPE_HEADERS, |u| u.headers = headers.0),
        ];
        // SAFETY: every pointer is valid for the call; value and key are copied, the
        // headers are librdkafka's once the call has succeeded.
        let error = unsafe { sys::rd_kafka_produceva(self.client, fields.as_mut_ptr(), FIELDS) };
        if error.is_null() {
            headers.0 = ptr::null_mut();
        }
        self.check("produce", error)
    }

    /// Serves librdkafka's events; call it now and then while producing.
    pub(crate) fn poll(&mut self) {
        // SAFETY: the client lives as long as self.
        unsafe { sys::rd_kafka_poll(self.client, 0) };
    }

    fn topic(&mut self, name: &str) -> Result<*mut sys::rd_kafka_topic_t, KafkaFault> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(*topic);
        }
        let text = CString::new(name).map_err(|_| local("topic", &[0; TEXT_BYTES]))?;
        // SAFETY: the client lives as long as self, the name for the call; a null
        // configuration takes the client's.
        let topic = unsafe { sys::rd_kafka_topic_new(self.client, text.as_ptr(), ptr::null_mut()) };
        if topic.is_null() {
            // SAFETY: reads this thread's last error.
            return Err(named("topic", unsafe { sys::rd_kafka_last_error() }));
        }
        self.topics.insert(name.into(), topic);
        Ok(topic)
    }

    /// Takes an error object apart and frees it; null is success.
    fn check(
        &self,
        operation: &'static str,
        error: *mut sys::rd_kafka_error_t,
    ) -> Result<(), KafkaFault> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: the error is ours until it is destroyed, its texts as long as it.
        let (mut code, text) = unsafe {
            let code = sys::rd_kafka_error_code(error);
            let text = CStr::from_ptr(sys::rd_kafka_error_string(error))
                .to_string_lossy()
                .into_owned();
            sys::rd_kafka_error_destroy(error);
            (code, text)
        };
        // A fatal error hides its cause behind every later call.
        // SAFETY: the client lives as long as self; no text is asked for.
        let fatal = unsafe { sys::rd_kafka_fatal_error(self.client, ptr::null_mut(), 0) };
        if fatal != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            code = fatal;
        }
        Err(KafkaFault {
            text,
            ..named(operation, code)
        })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: the topics are destroyed before their client; nothing uses either after.
        unsafe {
            sys::rd_kafka_purge(
                self.client,
                sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT,
            );
            for topic in self.topics.values() {
                sys::rd_kafka_topic_destroy(*topic);
            }
            sys::rd_kafka_destroy(self.client);
        }
    }
}

/// # Safety
/// `conf` is a live configuration.
unsafe fn set(
    conf: *mut sys::rd_kafka_conf_t,
    name: &str,
    value: &str,
    text: &mut [c_char; TEXT_BYTES],
) -> bool {
    let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
        return false;
    };
    // SAFETY: the texts outlive the call, which copies them.
    let result = unsafe {
        sys::rd_kafka_conf_set(
            conf,
            name.as_ptr(),
            value.as_ptr(),
            text.as_mut_ptr(),
            TEXT_BYTES,
        )
    };
    result == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK
}

fn field(
    vtype: Field,
    fill: impl FnOnce(&mut sys::rd_kafka_vu_s__bindgen_ty_1),
) -> sys::rd_kafka_vu_t {
    let mut u = sys::rd_kafka_vu_s__bindgen_ty_1 { _pad: [0; 64] };
    fill(&mut u);
    sys::rd_kafka_vu_t { vtype, u }
}

fn memory(bytes: Option<&[u8]>) -> sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    let (ptr, size) = bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
    sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: ptr.cast_mut().cast::<c_void>(),
        size,
    }
}

fn millis(limit: Duration) -> c_int {
    c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX)
}

fn named(operation: &'static str, code: Code) -> KafkaFault {
    // SAFETY: both return static texts for every code.
    let (name, text) = unsafe {
        (
            CStr::from_ptr(sys::rd_kafka_err2name(code)),
            CStr::from_ptr(sys::rd_kafka_err2str(code)),
        )
    };
    let verdict = match code {
        Code::RD_KAFKA_RESP_ERR__FENCED
        | Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
        | Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH => Verdict::Fenced,
        // Only librdkafka itself, which looks at one record, says which one it is; a
        // broker refuses a whole batch, and then the topic's settings are not ours.
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE if operation == "produce" => Verdict::Record,
        _ => Verdict::Restart,
    };
    KafkaFault {
        operation,
        name: name.to_string_lossy().into_owned(),
        text: text.to_string_lossy().into_owned(),
        verdict,
    }
}

/// An error that librdkafka has only a text for: a setting.
fn local(name: &str, text: &[c_char; TEXT_BYTES]) -> KafkaFault {
    // SAFETY: librdkafka ends its texts with a zero; untouched, the buffer is all zero.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }
        .to_string_lossy()
        .into_owned();
    KafkaFault {
        operation: "settings",
        name: name.to_owned(),
        text,
        verdict: Verdict::Restart,
    }
}

/// librdkafka's own log lines; levels are those of syslog. Whatever matters comes
/// back as an error of a call too and is told there, so none of them is a warning.
unsafe extern "C" fn log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: librdkafka passes two texts that live for the call.
    let (facility, text) = unsafe {
        (
            CStr::from_ptr(facility).to_string_lossy(),
            CStr::from_ptr(text).to_string_lossy(),
        )
    };
    match level {
        0..=4 => tracing::info!(target: "rdkafka::librdkafka", %facility, "{text}"),
        _ => tracing::debug!(target: "rdkafka::librdkafka", %facility, "{text}"),
    }
}
