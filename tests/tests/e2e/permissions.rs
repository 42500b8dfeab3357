//! A service's NATS user is refused by the server what its role does not need.

use async_nats::{ConnectOptions, Event};
use harness::{Deployment, wait};
use protocol::permission::{Role, inbox};
use protocol::stream::StreamName;
use tokio::sync::mpsc;

/// Violations that may wait to be looked at.
const VIOLATIONS_MAX: usize = 64;

/// What no service may do, and what one of the others may.
fn forbidden(role: Role, events: &StreamName) -> Vec<String> {
    let mut subjects: Vec<String> = ["DELETE", "PURGE", "UPDATE", "MSG.DELETE"]
        .iter()
        .map(|call| format!("$JS.API.STREAM.{call}.{events}"))
        .collect();
    subjects.push("fan.main.0.acme.chat.a".into());
    subjects.push("$KV.FUNCTIONS.gate".into());
    match role {
        Role::Edge => {
            let others = [
                "ck.main.0.gate",
                "log.main.gate",
                "eph.other.0.acme.room.a",
                "$KV.PRESENCE.member.00000000000000ab.other.acme.room.a",
            ];
            subjects.extend(others.map(str::to_owned));
        }
        Role::Worker => {
            subjects.push("$KV.REVOCATIONS.acme.user.YW5u".into());
            subjects.extend(["in.main.0.acme.doc.a", "eph.main.0.acme.room.a"].map(str::to_owned));
        }
        Role::Bridge => {
            let others = [
                "ev.main.0.acme.chat.a",
                "log.main.gate",
                "eph.main.0.acme.a",
            ];
            subjects.extend(others.map(str::to_owned));
        }
    }
    subjects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_refuses_what_a_role_does_not_need() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let stream = StreamName::events(deployment.store_name());
    let before = deployment.bus.stream_state(&stream).await.unwrap();
    for role in Role::ALL {
        let settings = deployment.servers.nats_settings(role);
        let (told, mut violations) = mpsc::channel(VIOLATIONS_MAX);
        let password = settings.password.unwrap().expose().to_owned();
        let client = ConnectOptions::with_user_and_password(role.user().into(), password)
            .custom_inbox_prefix(inbox(role.user()))
            .event_callback(move |event| {
                let told = told.clone();
                async move {
                    if let Event::ServerError(error) = event {
                        told.send(error.to_string()).await.unwrap();
                    }
                }
            })
            .connect(settings.url)
            .await
            .unwrap();
        for subject in forbidden(role, &stream) {
            client.publish(subject.clone(), "{}".into()).await.unwrap();
            let refused = async {
                while let Some(violation) = violations.recv().await {
                    let text = violation.to_lowercase();
                    if text.contains("permissions violation")
                        && text.contains(&subject.to_lowercase())
                    {
                        return;
                    }
                }
            };
            wait::within(&format!("{role:?} is refused {subject}"), refused).await;
        }
    }
    let after = deployment.bus.stream_state(&stream).await.unwrap();
    assert_eq!(after.last_seq, before.last_seq);
    deployment.stop().await;
}
