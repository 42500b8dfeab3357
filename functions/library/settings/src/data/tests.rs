//! Which data is JSON, and what becomes of the rest.

use sdk::testing::{Input, Runner};
use sdk::{Config, Worker};

use super::*;

/// Passes JSON in the form in which it is read; texts in angle brackets.
struct Reader(OtherData);

impl Worker for Reader {
    fn init(config: &Config) -> Result<Self, String> {
        let settings = Settings::new(config, &[KEY])?;
        Ok(Self(OtherData::of_texts(&settings, OtherData::Reject)?))
    }

    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome {
        match self.0.read(event, out) {
            Data::Json(node) => store(&node, out),
            Data::Text(text) => {
                out.emit().data(format!("<{text}>").as_bytes());
                Outcome::Ack
            }
            Data::Settled(outcome) => outcome,
        }
    }
}

fn run(setting: &str, content_type: &str, data: &[u8]) -> Result<String, String> {
    let runner = Runner::<Reader>::new(&[(KEY, setting)]).unwrap();
    let input = Input {
        content_type: content_type.into(),
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("chat.a", data)
    };
    match runner.run_one(input) {
        (Outcome::Ack, outputs) => Ok(String::from_utf8_lossy(&outputs[0].data).into_owned()),
        (Outcome::Reject { reason }, _) => Err(reason.into_owned()),
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn other_data_is_handled_as_the_setting_says() {
    const JSON: &str = "application/json";
    for setting in ["pass", "reject", "text"] {
        assert_eq!(run(setting, JSON, b" [1.0 ]").unwrap(), "[1.0]");
    }
    assert_eq!(run("pass", JSON, b"[1").unwrap(), "[1");
    assert_eq!(run("pass", "text/plain", b"[1]").unwrap(), "[1]");
    assert_eq!(run("text", "text/plain", b"[1]").unwrap(), "<[1]>");
    assert_eq!(
        run("text", "", b"\xff").unwrap_err(),
        "neither json nor text"
    );
    assert!(
        run("reject", JSON, b"[1")
            .unwrap_err()
            .starts_with("not json: ")
    );
    assert_eq!(
        run("reject", "", b"[1]").unwrap_err(),
        "content type must be application/json"
    );
}

#[test]
fn a_setting_that_is_none_is_named() {
    let error = Runner::<Reader>::new(&[(KEY, "ignore")]).err().unwrap();
    assert!(
        error.starts_with("configuration key other_data: "),
        "{error}"
    );
    let config: Config = [(KEY, "text")].into_iter().collect();
    let settings = Settings::new(&config, &[KEY]).unwrap();
    let error = OtherData::of_json(&settings, OtherData::Pass).unwrap_err();
    assert!(
        error.starts_with("configuration key other_data: "),
        "{error}"
    );
}
