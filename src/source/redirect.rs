//! Where a node of a cluster redirects a command to. Pure.

use super::announced::{Announced, Seen};
use crate::model::{Failure, NodeAddress, Reason, Slot};

/// How long a redirection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    /// The slot is on the other node from now on.
    Moved,
    /// Only this command is for the other node, and only after `ASKING`: the slot is about to move.
    Ask,
}

/// `MOVED slot host:port` or `ASK slot host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) kind: RedirectKind,
    pub(crate) slot: Slot,
    /// The node to ask.
    pub(crate) to: NodeAddress,
}

impl Redirect {
    /// The redirection in an error; `None` if it has none. A script that reached for a key of another node does not name the node.
    pub(crate) fn of(failure: &Failure, seen: &Seen<'_>) -> Option<Self> {
        let codes = [(Reason::Moved, "MOVED", RedirectKind::Moved), (Reason::Ask, "ASK", RedirectKind::Ask)];
        let (_, code, kind) = codes.into_iter().find(|(reason, ..)| *reason == failure.reason)?;
        let mut words = failure.detail.split(' ').skip_while(|word| *word != code).skip(1);
        let slot = words.next()?.parse().ok().and_then(Slot::new)?;
        // An IPv6 address has no brackets here.
        let (host, port) = words.next()?.trim_end_matches(',').rsplit_once(':')?;
        let announced = Announced { endpoint: Some(host), ip: None, port: port.parse().ok()? };
        Some(Self { kind, slot, to: announced.resolve(seen).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn redirect(text: &str, map: &[(&str, &str)]) -> Option<Redirect> {
        let address_map: BTreeMap<NodeAddress, NodeAddress> =
            map.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect();
        let seen = Seen { asked: &"redis.example:21700".parse().unwrap(), address_map: &address_map };
        Redirect::of(&super::super::failure::from_error(text.as_bytes(), text.len()), &seen)
    }

    #[test]
    fn a_redirection_names_the_node_as_this_client_reaches_it() {
        for (text, kind, slot, to) in [
            ("MOVED 15495 127.0.0.1:27202", RedirectKind::Moved, 15_495, "127.0.0.1:27202"),
            ("ASK 15495 127.0.0.1:27201", RedirectKind::Ask, 15_495, "127.0.0.1:27201"),
            ("MOVED 0 two.redis.example:27201", RedirectKind::Moved, 0, "two.redis.example:27201"),
            ("MOVED 15495 ::1:27202", RedirectKind::Moved, 15_495, "[::1]:27202"),
            ("MOVED 15495 2001:db8::5:27202", RedirectKind::Moved, 15_495, "[2001:db8::5]:27202"),
            // The preferred endpoint is unknown, or a name that the node does not have.
            ("MOVED 15495 :27202", RedirectKind::Moved, 15_495, "redis.example:27202"),
            ("MOVED 15495 ?:27202", RedirectKind::Moved, 15_495, "redis.example:27202"),
            ("ERR MOVED 5 10.0.0.5:1 script: f_1, on @user_script:1.", RedirectKind::Moved, 5, "10.0.0.5:1"),
            ("MOVED 5 10.0.0.5:1, at redis.example:21700", RedirectKind::Moved, 5, "10.0.0.5:1"),
        ] {
            let to = to.parse().unwrap();
            let expected = Redirect { kind, slot: Slot::new(slot).unwrap(), to };
            assert_eq!(redirect(text, &[]), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_address_map_applies_to_redirections_too() {
        let map = [("10.0.0.5:6379", "proxy.example:7001"), ("redis.example:6380", "proxy.example:7002")];
        let to = |text| redirect(text, &map).unwrap().to.to_string();
        assert_eq!(to("MOVED 1 10.0.0.5:6379"), "proxy.example:7001");
        assert_eq!(to("MOVED 1 :6380"), "proxy.example:7002");
        assert_eq!(to("MOVED 1 10.0.0.5:6380"), "10.0.0.5:6380");
    }

    #[test]
    fn what_names_no_node_is_no_redirection() {
        for text in [
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN Hash slot not served",
            "ERR Script attempted to access a non local key in a cluster node",
            "MOVED",
            "MOVED 1",
            "MOVED 16384 a:1",
            "MOVED -1 a:1",
            "MOVED 1 a:0",
            "MOVED 1 a:65536",
            "MOVED 1 a b",
            "MOVED 1 /:1",
            "WRONGTYPE MOVED 1 a:1",
        ] {
            assert_eq!(redirect(text, &[]), None, "{text}");
        }
    }
}
