//! What a request asks to be read: which channels, as whom, and from where.
//!
//! Pure; whether it is allowed, its session says.

use axum::http::HeaderMap;
use protocol::error_code::ErrorCode;
use protocol::filter::HeaderFilter;
use protocol::frame::{End, ErrorBody, Mark, Named, Start};
use protocol::secret::Secret;

use super::places::{CHANNELS_MAX, Places};
use crate::http::query::{CONDITIONS, Query};

/// What is to be read.
#[derive(Debug)]
pub struct Wanted {
    /// Who asks.
    pub token: Secret,
    /// The channels.
    pub channels: Vec<String>,
    /// Where the client stands.
    pub places: Places,
    /// Where a channel starts on which it does not.
    from: Start,
    /// Which of their events are wanted.
    pub headers: HeaderFilter,
    /// It is there for one answer: the session is a member of no channel.
    pub once: bool,
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(code, message))
}

impl Wanted {
    /// Reads a request: `channel`, `from`, `after` and the token. `last` is where the
    /// client says it stands in another way, which then holds.
    ///
    /// # Errors
    /// What cannot be read, and too many channels.
    pub fn of(
        query: &mut Query,
        headers: &HeaderMap,
        last: Option<String>,
    ) -> Result<Self, ErrorBody> {
        let token = Secret::new(query.token(headers)?);
        let channels = query.all("channel");
        if channels.is_empty() {
            return refuse(ErrorCode::BadFrame, "the query needs a channel");
        }
        if channels.len() > CHANNELS_MAX {
            return refuse(
                ErrorCode::TooManySubscriptions,
                format!("a request reads at most {CHANNELS_MAX} channels"),
            );
        }
        let from = query.one("from")?;
        let after = query.one("after")?;
        let given = last.filter(|last| !last.is_empty()).or(after);
        let places = match given.filter(|given| !given.is_empty()) {
            None => Places::default(),
            Some(text) => match Places::parse(&text) {
                Some(places) => places,
                None => {
                    let message = "after, or Last-Event-ID, is nothing that a node gave";
                    return refuse(ErrorCode::BadFrame, message);
                }
            },
        };
        let mut wanted = Self {
            token,
            channels,
            places,
            from: from.map_or(Ok(Start::Named(Named::Now)), |text| start(&text))?,
            headers: query.read("headers", CONDITIONS)?.unwrap_or_default(),
            once: false,
        };
        wanted.places.keep(&wanted.channels);
        Ok(wanted)
    }

    /// Where a channel starts.
    pub fn start(&self, channel: &str) -> Start {
        let place = self.places.get(channel).map(Start::After);
        place.unwrap_or_else(|| self.from.clone())
    }
}

fn start(text: &str) -> Result<Start, ErrorBody> {
    match text.parse() {
        _ if text == "now" => Ok(Start::Named(Named::Now)),
        Ok(Mark::End(End::Earliest)) => Ok(Start::Named(Named::Earliest)),
        Ok(Mark::Position(position)) => Ok(Start::After(position)),
        _ => refuse(
            ErrorCode::BadFrame,
            "from is neither now, earliest nor EPOCH:SEQUENCE",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str, last: Option<&str>) -> Result<Wanted, ErrorCode> {
        let uri = format!("/v1/sse?access_token=t&{query}").parse().unwrap();
        let mut query = Query::of(&uri).unwrap();
        let wanted = Wanted::of(&mut query, &HeaderMap::new(), last.map(str::to_owned));
        wanted.map_err(|error| error.code)
    }

    #[test]
    fn a_channel_starts_where_its_client_stands() {
        let mut places = Places::default();
        let epoch = protocol::position::Epoch::from_random(1);
        places.set("chat.a", epoch, 7);
        let query = format!(
            "channel=chat.a&channel=chat.b&from=earliest&after={}",
            places.text()
        );
        let read = wanted(&query, None).unwrap();
        assert!(matches!(read.start("chat.a"), Start::After(position) if position.seq == 7));
        assert_eq!(read.start("chat.b"), Start::Named(Named::Earliest));
        // What the client heard last is newer than the address that it began with.
        places.reach("chat.a", 9);
        let read = wanted(&query, Some(&places.text())).unwrap();
        assert!(matches!(read.start("chat.a"), Start::After(position) if position.seq == 9));
    }

    #[test]
    fn channels_within_and_beyond_their_limit() {
        let list = |count| vec!["channel=chat.a"; count].join("&");
        assert_eq!(
            wanted(&list(CHANNELS_MAX), None).unwrap().channels.len(),
            CHANNELS_MAX
        );
        let more = wanted(&list(CHANNELS_MAX + 1), None);
        assert_eq!(more.unwrap_err(), ErrorCode::TooManySubscriptions);
        assert!(wanted("channel=a&after=", Some("")).is_ok(), "no place yet");
        for query in ["", "channel=a&from=latest", "channel=a&after=x"] {
            assert_eq!(
                wanted(query, None).unwrap_err(),
                ErrorCode::BadFrame,
                "{query}"
            );
        }
    }
}
