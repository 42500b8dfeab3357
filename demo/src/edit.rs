//! An edit as it travels: the JSON that the document gate lets pass. Must not know
//! what is inside an update.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One transaction of one editor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Index of the transaction in the trace.
    pub txn: u32,
    /// The CRDT update.
    pub update: Vec<u8>,
    /// When it was published, microseconds since 1970 by the server's clock.
    pub sent: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    txn: u32,
    update: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
}

/// Why data is not an edit.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not the JSON of an edit.
    #[error("the event is not an edit")]
    Json(#[from] serde_json::Error),
    /// Its update is not base64.
    #[error("field update of the edit is not base64")]
    Base64(#[from] base64::DecodeError),
}

impl Edit {
    /// The edit as an event's data.
    pub fn encode(&self) -> Bytes {
        let wire = Wire {
            txn: self.txn,
            update: STANDARD.encode(&self.update),
            sent: self.sent,
        };
        let json = serde_json::to_vec(&wire);
        Bytes::from(json.expect("numbers and base64 are JSON"))
    }

    /// Reads an event's data.
    ///
    /// # Errors
    /// [`EditError`] names what is wrong.
    pub fn decode(data: &[u8]) -> Result<Self, EditError> {
        let wire: Wire = serde_json::from_slice(data)?;
        Ok(Self {
            txn: wire.txn,
            update: STANDARD.decode(wire.update)?,
            sent: wire.sent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_round_trip_and_others_are_refused() {
        for sent in [None, Some(u64::MAX)] {
            let edit = Edit {
                txn: 7,
                update: vec![0, 255, 3],
                sent,
            };
            assert_eq!(Edit::decode(&edit.encode()).unwrap(), edit);
        }
        assert!(matches!(Edit::decode(b"{}"), Err(EditError::Json(_))));
        let bad = br#"{"txn":1,"update":"?"}"#;
        assert!(matches!(Edit::decode(bad), Err(EditError::Base64(_))));
    }
}
