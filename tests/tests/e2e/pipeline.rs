//! A gate of several stages, deployed as one function: events pass them in one run, and
//! what the last one refuses has left nothing.

use client::data_of;
use protocol::name::FunctionName;
use serde_json::Value;

use super::common::EARLIEST;
use super::shell::{Shell, module, write};

/// The probe hands on what it is told to; then two functions of the library.
fn file(mask: &str) -> String {
    let [probe, moderation, rate] = ["probe", "moderation", "rate-limit"].map(module);
    format!(
        r#"
[functions.probe]
module = "{probe}"
emits = ["chat.>"]

[[functions.probe.then]]
name = "moderation"
module = "{moderation}"
config = {{ "list.mild" = '{{"action":"mask","words":["{mask}"]}}', "list.rude" = '{{"action":"reject","words":["blockhead"],"reason":"please be kind"}}' }}

[[functions.probe.then]]
name = "rate"
module = "{rate}"
config = {{ user = "3/3600s", refuse = "reject" }}
"#
    )
}

fn hand(text: &str) -> String {
    format!(r#"{{"do":"hand","value":{{"text":"{text}"}}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_of_three_stages_is_one_function() {
    let Some((mut deployment, shell)) = Shell::beside_a_probe(|_| {}).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let apply = ["apply", "-f", &path];
    write(folder.path(), "eddyline.toml", &file("heck"));
    shell.done(&apply).await;
    assert!(shell.done(&apply).await.contains("kept"), "nothing to do");
    let seen = deployment.follow(&[0], "joe", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for order in [
        hand("what the heck"),
        hand("you blockhead"),
        r#"{"do":"reject"}"#.to_owned(),
        hand("two"),
    ] {
        ann.publish("lab.a", order).await.unwrap();
    }
    seen.received(2).await;

    // Another version in its second stage alone; what the third remembers goes on.
    write(folder.path(), "eddyline.toml", &file("darn"));
    let changed = shell.json(&apply).await;
    assert!(changed[0].to_string().contains("then"), "{changed:?}");
    for text in ["heck, three", "over the rate"] {
        ann.publish("lab.a", hand(text)).await.unwrap();
    }
    seen.received(3).await;
    let letters = harness::until("the dead letters are there", async || {
        let letters = shell.json(&["rejected", "list"]).await;
        match letters.len() == 3 {
            true => Ok(letters),
            false => Err(format!("{letters:?}")),
        }
    });
    let letters = letters.await;
    for (letter, reason) in letters
        .iter()
        .zip(["please be kind", "as told", "more than 3"])
    {
        assert!(
            letter["reason"].as_str().unwrap().contains(reason),
            "{letter}"
        );
    }
    let texts: Vec<String> = seen.events().iter().map(text).collect();
    assert_eq!(texts, ["what the ****", "two", "heck, three"]);

    // Back to the version before, every stage of it.
    shell.done(&["function", "rollback", "probe"]).await;
    let name = FunctionName::parse("probe").unwrap();
    let deployed = super::shell::keys(&deployment.bus, name.as_str()).await;
    assert!(deployed.len() >= 4, "{deployed:?}");
    let shown = shell.json(&["function", "show", "probe"]).await;
    assert!(shown[0].to_string().contains("heck"), "{shown:?}");
    deployment.check().await;
}

fn text(event: &client::Event) -> String {
    let data: Value = serde_json::from_slice(&data_of(event).unwrap()).unwrap();
    data["text"].as_str().unwrap().to_owned()
}
