//! The bootstrap of a store, and modules.

use bus::BusError;
use bus::bootstrap::{BootstrapError, StoreSettings, bootstrap};
use bytes::Bytes;

use super::fixture::Fixture;

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
