//! The bootstrap of a store, and modules.

use bus::BusError;
use bus::bootstrap::{BootstrapError, StoreSettings, bootstrap, change, find, remove};
use bytes::Bytes;

use super::fixture::{Fixture, event, in_store};

pub async fn a_bootstrap_repeats_and_tells_differences(f: Fixture) {
    let spec = bootstrap(&f.bus, &f.settings()).await.unwrap();
    let same = f.settings();
    let (one, two) = tokio::join!(bootstrap(&f.bus, &same), bootstrap(&f.bus, &same));
    assert_eq!((&one.unwrap(), &two.unwrap()), (&spec, &spec));
    let other = StoreSettings {
        events_max_age: f.settings().events_max_age * 2,
        ..f.settings()
    };
    let Err(BootstrapError::Differs(differences)) = bootstrap(&f.bus, &other).await else {
        panic!("accepted")
    };
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["EVENTS-main max_age: configured 1209600s, found 604800s"]
    );
    let other = StoreSettings {
        lanes: 5,
        ..f.settings()
    };
    let error = bootstrap(&f.bus, &other).await.unwrap_err().to_string();
    assert!(error.contains("lanes: configured 5, found 4"), "{error}");
}

pub async fn a_second_store_shares_the_buckets(f: Fixture) {
    let other = StoreSettings {
        name: protocol::name::StoreName::parse("other").unwrap(),
        lanes: 2,
        ..f.settings()
    };
    let spec = bootstrap(&f.bus, &other).await.unwrap();
    assert_ne!(
        spec.epoch,
        bootstrap(&f.bus, &f.settings()).await.unwrap().epoch
    );
}

pub async fn modules_round_trip(f: Fixture) {
    let wasm: Bytes = (0..700_000u32)
        .flat_map(u32::to_le_bytes)
        .collect::<Vec<_>>()
        .into();
    let digest = f.bus.put_module(wasm.clone()).await.unwrap();
    assert_eq!(f.bus.put_module(wasm.clone()).await.unwrap(), digest);
    assert_eq!(f.bus.get_module(&digest).await.unwrap(), wasm);
    f.bus.remove_module(&digest).await.unwrap();
    f.bus.remove_module(&digest).await.unwrap();
    assert!(matches!(
        f.bus.get_module(&digest).await,
        Err(BusError::NotFound)
    ));
    f.bus.put_module(wasm.clone()).await.unwrap();
    assert_eq!(f.bus.get_module(&digest).await.unwrap(), wasm);
    let unknown = protocol::checkpoint::Digest::from_bytes([7; 32]);
    assert!(matches!(
        f.bus.get_module(&unknown).await,
        Err(BusError::NotFound)
    ));
}

pub async fn a_store_is_changed_and_read_back(f: Fixture) {
    let other = StoreSettings {
        name: protocol::name::StoreName::parse("other").unwrap(),
        lanes: 2,
        ..f.settings()
    };
    assert_eq!(find(&f.bus, &other.name).await.unwrap(), None);
    let spec = bootstrap(&f.bus, &other).await.unwrap();
    let found = find(&f.bus, &other.name).await.unwrap().unwrap();
    assert_eq!((&found.spec, found.settings.lanes), (&spec, 2));
    assert_eq!(found.settings.events_max_age, other.events_max_age);

    let wanted = StoreSettings {
        events_max_age: other.events_max_age * 2,
        logs_max_bytes: other.logs_max_bytes * 2,
        ..found.settings
    };
    assert_eq!(change(&f.bus, &wanted).await.unwrap(), spec);
    let now = find(&f.bus, &other.name).await.unwrap().unwrap();
    assert_eq!((&now.settings, &now.spec), (&wanted, &spec));
    // Done again it changes nothing, and a bootstrap finds it as it is said to be.
    assert_eq!(change(&f.bus, &wanted).await.unwrap(), spec);
    assert_eq!(bootstrap(&f.bus, &wanted).await.unwrap(), spec);

    let more = StoreSettings {
        lanes: 3,
        events_max_age: other.events_max_age * 3,
        ..wanted.clone()
    };
    let error = change(&f.bus, &more).await.unwrap_err().to_string();
    assert!(error.contains("lanes: configured 3, found 2"), "{error}");
    let now = find(&f.bus, &other.name).await.unwrap().unwrap();
    assert_eq!(now.settings, wanted, "nothing was changed");
}

pub async fn a_store_is_removed_with_what_it_holds_only_if_told_so(f: Fixture) {
    let name = protocol::name::StoreName::parse("other").unwrap();
    let other = StoreSettings {
        name: name.clone(),
        ..f.settings()
    };
    let spec = bootstrap(&f.bus, &other).await.unwrap();
    remove(&f.bus, &name, false).await.unwrap();
    assert_eq!(find(&f.bus, &name).await.unwrap(), None);
    let again = bootstrap(&f.bus, &other).await.unwrap();
    assert_ne!(again.epoch, spec.epoch, "another life of the store");
    let event = in_store("other", event("chat.a", 1), "chat.a");
    f.bus.publish(event).await.unwrap();
    let refused = remove(&f.bus, &name, false).await.unwrap_err();
    assert!(matches!(refused, BootstrapError::Holds { .. }), "{refused}");
    assert!(find(&f.bus, &name).await.unwrap().is_some());
    remove(&f.bus, &name, true).await.unwrap();
    assert_eq!(find(&f.bus, &name).await.unwrap(), None);
    let stream = protocol::stream::StreamName::events(&name);
    let gone = f.bus.stream_state(&stream).await;
    assert!(matches!(gone, Err(BusError::NotFound)), "{gone:?}");
}
