//! What Terraform shows with `TF_LOG`: lines of JSON on standard error. Owns nothing.

use serde_json::json;

/// Tells an error.
pub fn error(text: &str) {
    let line = json!({ "@level": "error", "@message": text, "@module": "eddyline" });
    eprintln!("{line}");
}

/// A panic is told in the answer to the call that it ended, and in the log in one line:
/// Terraform would show more of it to people.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}
