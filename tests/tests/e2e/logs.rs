//! What functions write into their logs, found by the command line.

use harness::until;
use serde_json::Value;

use super::shell::Shell;

/// Lines of a flood: far more than a function may write at once.
const FLOOD: u64 = 1_000;
/// What it may: its burst, and what is granted while the call lasts.
const KEPT_MAX: u64 = 900;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_writes_is_kept_with_its_version_and_lane() {
    let Some((mut deployment, shell)) = Shell::beside_a_probe(|_| ()).await else {
        return;
    };
    let mut following = shell.start(&["--json", "function", "logs", "probe", "-f"]);
    let mut ann = deployment.writer(&[0], "ann").await;
    let order = r#"{"do":"log","times":3}"#;
    ann.publish("lab.a", order).await.unwrap();
    for n in 0..3 {
        let line: Value = serde_json::from_str(&following.line().await).unwrap();
        assert_eq!(line["text"], format!("line {n}"));
    }
    let lines = shell.json(&["function", "logs", "probe"]).await;
    let texts: Vec<&Value> = lines.iter().map(|line| &line["text"]).collect();
    assert_eq!(texts, ["line 0", "line 1", "line 2"]);
    let digest = deployment.functions[0].digest.as_str();
    for line in &lines {
        assert_eq!(line["digest"], digest, "{line}");
        assert_eq!(line["level"], "info", "{line}");
        assert_eq!(line["function"], "probe", "{line}");
        assert!(!line["worker"].as_str().unwrap().is_empty(), "{line}");
        assert!(line["event"].as_str().unwrap().starts_with("acme/ann/"));
    }
    // What is there already comes first, and then what is written.
    let mut again = shell.start(&["function", "logs", "-f"]);
    assert!(again.line().await.contains("info   probe  line 0"));
    ann.publish("lab.a", order).await.unwrap();
    for n in [1, 2, 0, 1, 2] {
        assert!(again.line().await.contains(&format!("line {n}")));
    }
    let none = ["function", "logs", "probe", "--level", "warn"];
    assert_eq!(shell.json(&none).await, Vec::<Value>::new());
    let none = ["function", "logs", "other"];
    assert_eq!(shell.json(&none).await, Vec::<Value>::new());
    drop((following, again));
    deployment.stop().await;
}

/// How many lines a log says are missing.
fn missing(lines: &[Value]) -> u64 {
    let told = lines.iter().filter(|line| line["level"] == "warn");
    let texts = told.map(|line| line["text"].as_str().unwrap());
    let counts = texts.map(|text| {
        assert!(text.contains("lines of this log are missing"), "{text}");
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    counts.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_says_what_was_too_much_for_it() {
    let Some((mut deployment, shell)) = Shell::beside_a_probe(|_| ()).await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    let order = format!(r#"{{"do":"log","times":{FLOOD}}}"#);
    ann.publish("lab.a", order).await.unwrap();
    until("every line is kept or missing", async || {
        let lines = shell.json(&["function", "logs", "probe"]).await;
        let missing = missing(&lines);
        let kept = lines.iter().filter(|line| line["level"] == "info").count() as u64;
        match (200..KEPT_MAX).contains(&kept) && kept + missing == FLOOD {
            true => Ok(()),
            false => Err(format!("{kept} kept, {missing} missing")),
        }
    })
    .await;
    deployment.stop().await;
}
