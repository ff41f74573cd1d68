//! Wrong tokens by the address that they came from. After some, that address is refused for a while. Pure: time is an argument.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use crate::clock::Instant;

/// Wrong tokens from one address within [`WINDOW`], before it is refused.
const MOST_WRONG: u32 = 10;
/// How long an address is refused, from its first wrong token on.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Further ones are taken for one.
const MOST_ADDRESSES: usize = 1_000;
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The wrong tokens of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts(BTreeMap<IpAddr, (u32, Instant)>);

impl Attempts {
    /// Whether requests from this address are refused, whatever their token.
    pub(super) fn are_too_many(&self, peer: IpAddr, now: Instant) -> bool {
        let its_own = self.0.get(&self.place(peer));
        its_own.is_some_and(|(count, since)| *count >= MOST_WRONG && now - *since < WINDOW)
    }

    /// Counts a wrong token.
    pub(super) fn note(&mut self, peer: IpAddr, now: Instant) {
        self.0.retain(|_, (_, since)| now - *since < WINDOW);
        let place = self.place(peer);
        self.0.entry(place).or_insert((0, now)).0 += 1;
    }

    /// Who counts as one: an address, or a network of IPv6.
    fn place(&self, peer: IpAddr) -> IpAddr {
        let network = match peer.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        };
        if self.0.len() < MOST_ADDRESSES || self.0.contains_key(&network) { network } else { OTHERS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_refused_for_a_minute_after_ten_wrong_tokens_and_no_other_is() {
        let (mut attempts, now) = (Attempts::default(), crate::clock::now());
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for wrong in 0..MOST_WRONG {
            assert!(!attempts.are_too_many(one, now), "{wrong}");
            attempts.note(one, now + SECOND * wrong);
        }
        assert!(attempts.are_too_many(one, now + SECOND * 59) && !attempts.are_too_many(other, now));
        assert!(attempts.are_too_many(address("::ffff:10.0.0.1"), now));
        assert!(!attempts.are_too_many(one, now + WINDOW));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), crate::clock::now());
        for host in 1..=MOST_WRONG {
            attempts.note(address(&format!("2001:db8::{host}")), now);
        }
        assert!(attempts.are_too_many(address("2001:db8::ffff"), now));
        for network in 0..5_000 {
            attempts.note(address(&format!("2001:db9:0:{network:x}::1")), now);
        }
        assert!(attempts.0.len() <= MOST_ADDRESSES + 1, "{}", attempts.0.len());
        assert!(attempts.are_too_many(address("2001:dba::1"), now), "the others together");
    }
}
