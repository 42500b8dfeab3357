//! Edits that the gate must refuse: valid JSON, so that the edge lets them in, but
//! no edits. Owns nothing.

use bytes::Bytes;

/// One of each kind of fault.
const DATA: [&str; 5] = [
    r#"{"update":"AAA="}"#,
    r#"{"txn":1,"update":"not base64!"}"#,
    r#"["txn",1]"#,
    r#"{"txn":"one","update":"AAA="}"#,
    r#"{"txn":1,"update":""}"#,
];

/// The data of a malformed edit; different ones for the first few indexes.
pub fn data(index: usize) -> Bytes {
    Bytes::from_static(DATA[index % DATA.len()].as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;

    #[test]
    fn all_are_json_and_none_is_an_edit() {
        for index in 0..DATA.len() {
            let data = data(index);
            assert!(serde_json::from_slice::<serde_json::Value>(&data).is_ok());
            let edit = Edit::decode(&data);
            assert!(edit.is_err() || edit.is_ok_and(|edit| edit.update.is_empty()));
        }
    }
}
