//! Whose word about others is believed: addresses and networks that are configured.
//!
//! Pure. From them a connection begins with a header of the PROXY protocol; from all
//! others it never does, so nobody can say that he is somebody else.

use std::net::IpAddr;

use auth::SettingFault;

/// Most entries: each is compared with each connection's address.
pub const PROXIES_MAX: usize = 64;

/// Networks; none unless configured.
#[derive(Debug, Default)]
pub struct Proxies(Vec<Network>);

/// The addresses that have their first bits in common.
#[derive(Debug, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    bits: u32,
}

impl Proxies {
    /// Reads addresses (`192.0.2.7`) and networks (`10.0.0.0/8`, `2001:db8::/32`).
    ///
    /// # Errors
    /// [`SettingFault`] names the first that is none.
    pub fn parse(list: &[String]) -> Result<Self, SettingFault> {
        let fault = |field: String, problem: &str| SettingFault {
            field,
            problem: problem.to_owned(),
        };
        if list.len() > PROXIES_MAX {
            return Err(fault("proxies".into(), "has more than 64 entries"));
        }
        let mut networks = Vec::with_capacity(list.len());
        for (at, text) in list.iter().enumerate() {
            let network = network(text).map_err(|problem| fault(format!("proxies[{at}]"), problem));
            networks.push(network?);
        }
        Ok(Self(networks))
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let same_kind = self.first.is_ipv4() == address.is_ipv4();
        same_kind && number(self.first) & self.mask() == number(address) & self.mask()
    }

    /// Of the bits that they have in common, where addresses are numbers of 128 bits.
    fn mask(&self) -> u128 {
        let fixed = u128::BITS - self.bits;
        u128::MAX.checked_shl(fixed).unwrap_or(0)
    }
}

/// The address in the highest bits.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << (u128::BITS - 32),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn network(text: &str) -> Result<Network, &'static str> {
    const SHAPE: &str = "is neither an address nor a network such as 10.0.0.0/8";
    let (address, bits) = match text.split_once('/') {
        None => (text, None),
        Some((address, bits)) => (address, Some(bits)),
    };
    let first: IpAddr = address.parse().map_err(|_| SHAPE)?;
    if first != first.to_canonical() {
        return Err("is an address of IPv4 inside IPv6: write it as one of IPv4");
    }
    let most = if first.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) => bits.parse().map_err(|_| SHAPE)?,
    };
    if bits > most {
        return Err("has more bits than its address");
    }
    let network = Network { first, bits };
    match number(first) & !network.mask() {
        0 => Ok(network),
        _ => Err("has bits beyond those of its network"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> Result<Proxies, SettingFault> {
        let list: Vec<String> = list.iter().map(|text| (*text).into()).collect();
        Proxies::parse(&list)
    }

    #[test]
    fn only_who_is_listed_is_one() {
        let some = proxies(&["192.0.2.7", "10.0.0.0/8", "2001:db8:1::/48", "::1"]).unwrap();
        for (address, expected) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("2001:db8:1:ffff::1", true),
            ("2001:db8:2::1", false),
            ("::1", true),
            ("::2", false),
            ("0.0.0.1", false),
        ] {
            assert_eq!(
                some.contains(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
        let nobody = proxies(&[]).unwrap();
        assert!(!nobody.contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn all_of_one_kind_and_none_of_the_other() {
        let all = proxies(&["0.0.0.0/0"]).unwrap();
        assert!(all.contains("203.0.113.7".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn entries_that_are_none_are_named() {
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/-1",
            "10.0.0",
            "2001:db8::1/32",
            "::ffff:10.0.0.1",
            "10.0.0.0/8/8",
        ] {
            let fault = proxies(&["10.0.0.0/8", wrong]).unwrap_err();
            assert_eq!(fault.field, "proxies[1]", "{wrong}");
        }
        assert!(proxies(&vec!["10.0.0.1"; PROXIES_MAX]).is_ok());
        let more = proxies(&vec!["10.0.0.1"; PROXIES_MAX + 1]).unwrap_err();
        assert_eq!(more.field, "proxies");
    }
}
