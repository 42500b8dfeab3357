//! How many connections each address has: none gets the whole node.
//!
//! Owns the counts, which are as many as there are connections at most.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Bits of an IPv6 address that name a site; one host has all of the others (RFC 6177).
const SITE_BITS: u32 = 64;

/// Connections by address.
#[derive(Debug, Clone, Default)]
pub struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// Counts one more; `None` when the address has so many already.
    pub fn hold(&self, address: IpAddr, max: usize) -> Option<Held> {
        let address = site(address);
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        // One that has none has room: no limit is below one.
        if *count >= max.max(1) {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Held {
            addresses: self.clone(),
            address,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What is counted as one address.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let site = u128::MAX << (u128::BITS - SITE_BITS);
            Ipv6Addr::from_bits(address.to_bits() & site).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_of_an_address_within_and_beyond_their_limit() {
        let addresses = Addresses::default();
        let first = addresses.hold(address("10.0.0.1"), 2);
        let second = addresses.hold(address("::ffff:10.0.0.1"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(addresses.hold(address("10.0.0.1"), 2).is_none());
        let other = addresses.hold(address("10.0.0.2"), 2);
        assert!(other.is_some());
        drop(first);
        assert!(addresses.hold(address("10.0.0.1"), 2).is_some());
        drop((second, other));
        assert!(addresses.0.lock().is_empty());
    }

    #[test]
    fn a_site_counts_as_one_address() {
        assert_eq!(site(address("2001:db8::1:2:3:4")), address("2001:db8::"));
        assert_eq!(site(address("2001:db8:0:1::9")), address("2001:db8:0:1::"));
    }
}
