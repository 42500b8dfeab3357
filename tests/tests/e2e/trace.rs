//! One event's way: edge, stream, gate, outputs and mirror; what was refused, what waits,
//! what was never there and what is no longer kept.

use client::ClientError;
use client::trace::{TraceQuery, trace};
use harness::{Deployment, until};
use protocol::error_code::ErrorCode;
use protocol::trace::{Handling, Hop, Trace};

use super::common::{edit, note, refusal, removed, short_lived};
use super::shell::Shell;

const TTL: std::time::Duration = std::time::Duration::from_secs(600);

/// An event of a channel, as somebody with these scopes is told of it.
async fn ask(
    deployment: &Deployment,
    scopes: &[&str],
    query: TraceQuery,
) -> Result<Trace, ClientError> {
    let mut options = deployment.client_options(&[0], "eve");
    options.token = protocol::secret::Secret::new(deployment.token_with("eve", scopes, TTL));
    trace(&options, &query).await
}

fn query(id: &str, channel: &str) -> TraceQuery {
    TraceQuery {
        id: id.into(),
        channel: channel.into(),
        ..TraceQuery::default()
    }
}

const ALL: [&str; 3] = ["trace:>", "replay:>", "inputs:>"];

/// The steps of functions: name, outcome, reason and attempts.
fn handled(trace: &Trace) -> Vec<(&str, Handling, Option<&str>, Option<u32>)> {
    let steps = trace.hops.iter().filter_map(|hop| match hop {
        Hop::Handled {
            function,
            outcome,
            reason,
            attempts,
            ..
        } => Some((function.as_str(), *outcome, reason.as_deref(), *attempts)),
        _ => None,
    });
    steps.collect()
}

/// Waits until a function has done something about an event.
async fn settled(deployment: &Deployment, id: &str, channel: &str) -> Trace {
    until("the event is handled", async || {
        let trace = ask(deployment, &ALL, query(id, channel)).await;
        let trace = trace.map_err(|error| error.to_string())?;
        let waits = |(_, outcome, ..): &(&str, Handling, Option<&str>, Option<u32>)| {
            *outcome == Handling::Waiting
        };
        match trace.found && !handled(&trace).iter().any(waits) {
            true => Ok(trace),
            false => Err(format!("{trace:?}")),
        }
    })
    .await
}

/// Where events of a stream stand in it, and in Kafka.
fn places(trace: &Trace, of: &str) -> (Vec<u64>, Vec<u64>) {
    let (mut stored, mut mirrored) = (Vec::new(), Vec::new());
    for hop in &trace.hops {
        match hop {
            Hop::Stored { stream, seq, .. } if stream == of => stored.push(*seq),
            Hop::Mirrored {
                stream,
                seq,
                offset,
                partition,
                ..
            } if stream == of => {
                assert!(*offset >= 0 && *partition >= 0, "{hop:?}");
                mirrored.push(*seq);
            }
            _ => {}
        }
    }
    (stored, mirrored)
}

/// Who may trace documents alone sees no statistics, and nothing of the mirror that he
/// may not replay; and nobody else sees anything.
async fn scopes_hold(deployment: &Deployment, id: &str, output: u64) {
    let some = ask(deployment, &["trace:doc.>"], query(id, "doc.a")).await;
    let some = some.unwrap();
    assert_eq!(some.hidden, 1);
    assert_eq!(places(&some, "EVENTS-main").0, [output]);
    let refused = |hop: &Hop| matches!(hop, Hop::NotMirrored { .. });
    assert_eq!(some.hops.iter().filter(|hop| refused(hop)).count(), 2);
    for scopes in [&["trace:chat.>"][..], &["inputs:>", "replay:>", "manage:>"]] {
        let refused = ask(deployment, scopes, query(id, "doc.a")).await;
        assert_eq!(refusal(refused), ErrorCode::Forbidden, "{scopes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_way_goes_from_its_edge_through_its_gate_into_kafka() {
    let builder = Deployment::builder().edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    for n in 1..=30 {
        ann.start("doc.a", edit(n)).await.unwrap();
    }
    ann.settle_all().await;
    let acked = ann.publish("doc.a", edit(31)).await.unwrap();
    let id = format!("{}/{}", ann.name(), acked.n);
    let whole = until("the mirror has the event and its output", async || {
        let trace = settled(&deployment, &id, "doc.a").await;
        let lacks = |hop: &Hop| matches!(hop, Hop::NotMirrored { .. });
        match trace.hops.iter().any(lacks) {
            true => Err(format!("{:?}", trace.hops)),
            false => Ok(trace),
        }
    })
    .await;
    assert!(matches!(
        &whole.hops[0],
        Hop::Accepted { edge: Some(edge), publisher: Some(by), .. }
            if edge == "edge-0" && id.contains(by.as_str())
    ));
    let seq = acked.position.seq;
    assert_eq!(places(&whole, "INGRESS-main"), (vec![seq], vec![seq]));
    let steps = handled(&whole);
    assert_eq!(steps[0], ("document-gate", Handling::Passed, None, None));
    assert_eq!(steps[1].0, "document-stats", "on what the gate has made");
    let (stored, mirrored) = places(&whole, "EVENTS-main");
    assert_eq!(stored.len(), mirrored.len());
    assert_eq!(
        stored.len(),
        2,
        "the gate's output and that of the statistics"
    );
    assert!(matches!(
        &whole.hops[2],
        Hop::Handled {
            version: Some(1),
            digest: Some(_),
            checkpoint: Some(_),
            time: Some(_),
            ..
        }
    ));
    assert_eq!((whole.hidden, whole.cut, &whole.mirror), (0, false, &None));

    // By its output's id, and by where it stands.
    let Some(Hop::Stored { id: output, .. }) = whole.hops.get(3) else {
        panic!("{:?}", whole.hops);
    };
    let by_output = settled(&deployment, output, "doc.a").await;
    assert_eq!(by_output.hops, whole.hops);
    let mut known = query(&id, "doc.a");
    known.seq = Some(seq);
    let by_place = ask(&deployment, &ALL, known).await.unwrap();
    assert_eq!(by_place.hops, whole.hops);

    scopes_hold(&deployment, &id, stored[0]).await;
    deployment.check().await;
}

/// A redriven input is shown in both of its lives.
async fn redriven_is_shown_twice(deployment: &Deployment, shell: &Shell, rejected: &str) {
    let listed = shell.run(&["rejected", "list", "--json"]).await;
    let letter: serde_json::Value =
        serde_json::from_str(listed.told.lines().next().unwrap()).unwrap();
    let number = letter["seq"].to_string();
    let redriven = shell.run(&["rejected", "redrive", &number]).await;
    assert_eq!(redriven.code, 0, "{redriven:?}");
    let twice = settled(deployment, rejected, "lab.a").await;
    let outcomes: Vec<_> = handled(&twice).iter().map(|step| step.1).collect();
    assert_eq!(outcomes, [Handling::Rejected, Handling::Rejected]);
}

/// The same on the command line.
async fn shown_on_the_command_line(deployment: &Deployment, shell: &Shell, dropped: &str) {
    let edge = deployment.edges[0].address().to_string();
    let token = deployment.token_with("eve", &["trace:>"], TTL);
    let told = async |id: &str, more: &[&str]| {
        let mut line = vec!["trace", id, "--edge", &edge, "--token", &token];
        line.extend(more);
        shell.run(&line).await
    };
    let shown = told(dropped, &["--channel", "lab.a"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    for word in [
        "accepted",
        "edge-0",
        "INGRESS-main",
        "probe version 1",
        "dropped",
    ] {
        assert!(shown.told.contains(word), "{word}: {shown:?}");
    }
    let json = told(dropped, &["--channel", "lab.a", "--json"]).await;
    let json: Trace = serde_json::from_str(&json.told).unwrap();
    assert_eq!(handled(&json)[0].1, Handling::Dropped);
    let unknown = told("acme/ann/nobody/1", &["--channel", "lab.a"]).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.errors.contains("was never stored"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_pass_says_why() {
    let Some((mut deployment, shell)) = Shell::beside_a_probe(|_| ()).await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    let mut publish = async |channel: &str, order: &'static str| {
        let acked = ann.publish(channel, order).await.unwrap();
        format!("{}/{}", ann.name(), acked.n)
    };
    let rejected = publish("lab.a", r#"{"do":"reject"}"#).await;
    let dropped = publish("lab.a", r#"{"do":"drop"}"#).await;
    let passed = publish("lab.a", r#"{"do":"pass"}"#).await;
    let waits = publish("lab.b", r#"{"do":"retry","delay_ms":40000}"#).await;
    let behind = publish("lab.b", r#"{"do":"pass"}"#).await;

    let trace = settled(&deployment, &rejected, "lab.a").await;
    let (_, outcome, reason, attempts) = handled(&trace)[0];
    assert_eq!((outcome, attempts), (Handling::Rejected, Some(1)));
    assert!(reason.is_some(), "{trace:?}");
    let letter = |hop: &Hop| matches!(hop, Hop::DeadLetter { attempts: 1, .. });
    assert!(trace.hops.iter().any(letter), "{trace:?}");
    assert!(trace.mirror.is_some(), "no bridge is known");
    let trace = settled(&deployment, &dropped, "lab.a").await;
    assert_eq!(handled(&trace)[0].1, Handling::Dropped);
    assert!(places(&trace, "EVENTS-main").0.is_empty());
    let trace = settled(&deployment, &passed, "lab.a").await;
    assert_eq!(handled(&trace)[0].1, Handling::Passed);

    let parked = until("the event waits for its second attempt", async || {
        let trace = ask(&deployment, &ALL, query(&waits, "lab.b")).await;
        let trace = trace.map_err(|error| error.to_string())?;
        match handled(&trace).first() {
            Some((_, Handling::Waiting, _, Some(1))) => Ok(trace),
            _ => Err(format!("{trace:?}")),
        }
    })
    .await;
    assert!(matches!(
        parked.hops.last(),
        Some(Hop::Handled { time: Some(_), .. })
    ));
    let trace = ask(&deployment, &ALL, query(&behind, "lab.b"))
        .await
        .unwrap();
    let (_, outcome, reason, attempts) = handled(&trace)[0];
    assert_eq!((outcome, attempts), (Handling::Waiting, None));
    assert!(reason.unwrap().contains("another attempt"), "{reason:?}");

    redriven_is_shown_twice(&deployment, &shell, &rejected).await;
    shown_on_the_command_line(&deployment, &shell, &dropped).await;
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_there_and_what_is_gone_are_told_apart() {
    let Some(mut deployment) = short_lived().edges(1).start().await else {
        return;
    };
    let unknown = ask(&deployment, &ALL, query("acme/ann/c/1", "chat.a")).await;
    let unknown = unknown.unwrap();
    assert!(!unknown.found && !unknown.searched.more, "{unknown:?}");
    assert_eq!(unknown.searched.kept_from, 1, "everything is there");

    let mut ann = deployment.writer(&[0], "ann").await;
    let acked = ann.publish("chat.a", note(1)).await.unwrap();
    let (id, seq) = (format!("{}/{}", ann.name(), acked.n), acked.position.seq);
    let direct = ask(&deployment, &ALL, query(&id, "chat.a")).await.unwrap();
    assert_eq!(places(&direct, "EVENTS-main").0, [seq]);
    let elsewhere = ask(&deployment, &ALL, query(&id, "chat.b")).await.unwrap();
    assert!(!elsewhere.found, "an id is found on its channel alone");

    removed(&deployment, seq).await;
    let gone = ask(&deployment, &ALL, query(&id, "chat.a")).await.unwrap();
    assert!(!gone.found && gone.searched.kept_from > seq, "{gone:?}");
    let mut known = query(&id, "chat.a");
    known.seq = Some(seq);
    let gone = ask(&deployment, &ALL, known).await.unwrap();
    assert!(!gone.found && gone.searched.kept_from > seq, "{gone:?}");
    deployment.stop().await;
}
