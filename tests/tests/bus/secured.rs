//! A NATS that is spoken to by TLS alone, asks for certificates and knows its users by
//! their keys: reached by settings, and by nothing less.

use std::path::{Path, PathBuf};

use bus::{Bus, BusError};
use bytes::Bytes;
use futures_util::StreamExt;
use harness::pki::{Authority, Files};
use harness::{Servers, wait};
use nkeys::KeyPair;
use protocol::bus::Outgoing;
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::secret::Secret;
use protocol::subject::{Kind, Subject};
use service::settings::{NatsSettings, NatsTls};

const PASSWORD: &str = "a long secret";

/// Makes good settings bad, with what a stranger has.
type Change = fn(&mut NatsSettings, &Kit);

/// What a service has in its folder.
struct Kit {
    folder: tempfile::TempDir,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    nkey: PathBuf,
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

impl Kit {
    /// Files for a user's key, vouched for by an authority.
    fn new(authority: &Authority, user: &KeyPair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path(), &authority.issue(&["edge"], 2100));
        let pair = files.settings();
        Self {
            ca: file(folder.path(), "ca.pem", &authority.pem()),
            certificate: pair.certificate.unwrap(),
            key: pair.key.unwrap(),
            nkey: file(folder.path(), "user.nk", &user.seed().unwrap()),
            folder,
        }
    }

    fn settings(&self, url: &str) -> NatsSettings {
        NatsSettings {
            url: url.to_owned(),
            user: Some("edge".into()),
            nkey: Some(self.nkey.clone()),
            tls: NatsTls {
                required: true,
                ca: Some(self.ca.clone()),
                certificate: Some(self.certificate.clone()),
                key: Some(self.key.clone()),
            },
            ..NatsSettings::default()
        }
    }
}

/// How a server is told: certificates on both sides, a user by key and one by password.
fn rules(kit: &Kit, user: &str) -> String {
    let path = |path: &Path| path.display().to_string();
    let (chain, key, ca) = (path(&kit.certificate), path(&kit.key), path(&kit.ca));
    format!(
        "tls {{ cert_file: \"{chain}\", key_file: \"{key}\", ca_file: \"{ca}\", verify: true }}\n\
         authorization {{ users: [ {{ nkey: {user} }}, {{ user: operator, password: \"{PASSWORD}\" }} ] }}\n"
    )
}

/// An event comes there and back, over every connection that a bus has.
async fn works(settings: &NatsSettings) {
    let bus = wait::within("the bus connects", Bus::connect(settings, "edge")).await;
    let bus = bus.unwrap();
    let (tenant, channel) = (Tenant::parse("t").unwrap(), Channel::parse("a.b").unwrap());
    let store = StoreName::parse("main").unwrap();
    let subject = Subject::event(Kind::Eph, &store, Lane(0), &tenant, &channel);
    let mut heard = bus.subscribe(&subject).await.unwrap();
    bus.flush().await.unwrap();
    let event = Outgoing {
        subject,
        headers: Headers::new(),
        payload: Bytes::from_static(b"1"),
        msg_id: None,
        expect: None,
    };
    bus.publish_core(event).await.unwrap();
    let heard = wait::within("the event comes", heard.next()).await.unwrap();
    assert_eq!(heard.payload, "1");
    bus.drain().await;
}

async fn refused(settings: &NatsSettings) -> BusError {
    let refused = wait::within("the bus is refused", Bus::connect(settings, "edge")).await;
    refused.map(drop).unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secured_server_takes_whom_it_knows() {
    let (authority, user) = (Authority::new(), KeyPair::new_user());
    let server = Kit::new(&authority, &user);
    // The server's own certificate names its address.
    let named = authority.issue(&["127.0.0.1"], 2100);
    drop(Files::in_folder(server.folder.path(), &named));
    let rules = rules(&server, &user.public_key());
    let started = Servers::start_nats(|options| {
        options.users.clear();
        options.extra = rules;
    });
    let Some(servers) = started.await else {
        return;
    };
    let kit = Kit::new(&authority, &user);
    let url = servers.nats_url().to_owned();
    let good = kit.settings(&url);
    works(&good).await;
    // By password, and by the address alone that says it is TLS.
    let mut operator = kit.settings(&url.replace("nats://", "tls://"));
    (operator.nkey, operator.user) = (None, Some("operator".into()));
    (operator.password, operator.tls.required) = (Some(Secret::new(PASSWORD)), false);
    works(&operator).await;

    let stranger = Kit::new(&Authority::new(), &KeyPair::new_user());
    let cases: [(&str, Change); 4] = [
        ("another authority", |settings, other| {
            settings.tls.ca = Some(other.ca.clone());
        }),
        (
            "a certificate that nobody vouches for",
            |settings, other| {
                settings.tls.certificate = Some(other.certificate.clone());
                settings.tls.key = Some(other.key.clone());
            },
        ),
        ("no certificate", |settings, _| {
            (settings.tls.certificate, settings.tls.key) = (None, None);
        }),
        ("another's key", |settings, other| {
            settings.nkey = Some(other.nkey.clone());
        }),
    ];
    for (case, change) in cases {
        let mut settings = good.clone();
        change(&mut settings, &stranger);
        let error = refused(&settings).await;
        assert!(matches!(error, BusError::Connect(_)), "{case}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_cannot_be_used_are_named() {
    let kit = Kit::new(&Authority::new(), &KeyPair::new_user());
    let mut both = kit.settings("nats://127.0.0.1:1");
    both.password = Some(Secret::new(PASSWORD));
    let error = refused(&both).await;
    assert!(!error.temporary() && error.to_string().contains("exclude"));
    let mut gone = kit.settings("nats://127.0.0.1:1");
    gone.nkey = Some(kit.folder.path().join("gone"));
    let error = refused(&gone).await;
    assert!(matches!(error, BusError::Setting { .. }));
    assert!(error.to_string().starts_with("nats.nkey: "), "{error}");
    assert!(!error.temporary());
    // Whoever demands TLS is not served without.
    let Some(servers) = Servers::start_nats(|_| {}).await else {
        return;
    };
    let mut plain = kit.settings(servers.nats_url());
    (plain.nkey, plain.tls.certificate, plain.tls.key) = (None, None, None);
    assert!(matches!(refused(&plain).await, BusError::Connect(_)));
}
