//! What a hosted service limits and leaves out, where streams and this sidecar meet it. From the services' own
//! documentation: nothing of it was run on them.

use super::{Flavour, Server};

/// What holds on a server beyond what Redis itself does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Pending entries that one consumer may have. From there on it is given nothing more.
    pub consumer_pending: Option<u64>,
    /// Bytes that one stream may have. From there on nothing is added.
    pub stream_bytes: Option<u64>,
    /// Whether a connection may be answered by a replica that has not seen yet what an earlier connection read.
    pub reads_may_lag: bool,
    /// Whether eviction, where it is on, may take any key.
    pub evicts_any_key: bool,
    /// Whether `ACL LOG` lists what was refused.
    pub has_acl_log: bool,
    /// Whether rules for users know subcommands, keys that are only read, selectors, and passwords of one's own.
    pub has_fine_rules: bool,
}

impl Terms {
    /// What holds where the server is one's own.
    const REDIS: Self = Self {
        consumer_pending: None,
        stream_bytes: None,
        reads_may_lag: false,
        evicts_any_key: false,
        has_acl_log: true,
        has_fine_rules: true,
    };

    /// Upstash's documentation: troubleshooting ("XReadGroup is cancelled", "max single record size exceeded"),
    /// consistency, eviction, `ACL`.
    const UPSTASH: Self = Self {
        consumer_pending: Some(1_000),
        stream_bytes: Some(100 * 1_000 * 1_000),
        reads_may_lag: true,
        evicts_any_key: true,
        has_acl_log: false,
        has_fine_rules: false,
    };
}

impl Server {
    /// What holds on this server.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        match self.flavour {
            Flavour::Redis | Flavour::Valkey => Terms::REDIS,
            Flavour::Upstash => Terms::UPSTASH,
        }
    }

    /// Whether a trim may take entries from the middle that every group has acknowledged (`ACKED`, since Redis 8.2), of
    /// which no field tells. What is not known to lack it may have it.
    #[must_use]
    pub fn may_trim_the_middle(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version.is_none_or(|version| version >= (8, 2, 0)),
            Flavour::Valkey => self.version.is_none_or(|version| version >= (9, 2, 0)),
            Flavour::Upstash => true,
        }
    }

    /// Whether `XTRIM MINID` is there and to be trusted: it came with 6.2.0 and removed entries above the ID until 6.2.7. Of a Redis
    /// that does not say its version it is not known.
    #[must_use]
    pub fn trims_by_id(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version.is_some_and(|version| version >= (6, 2, 7)),
            // The fault is of Redis's own code, and these began with or without it.
            Flavour::Valkey | Flavour::Upstash => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimming_by_id_needs_a_server_that_does_it_right() {
        for (flavour, version, has) in [
            (Flavour::Redis, None, false),
            (Flavour::Redis, Some((6, 2, 6)), false),
            (Flavour::Redis, Some((6, 2, 7)), true),
            (Flavour::Redis, Some((7, 0, 0)), true),
            (Flavour::Valkey, None, true),
            (Flavour::Upstash, Some((6, 2, 6)), true),
        ] {
            assert_eq!(
                Server { flavour, version, ..Server::UNKNOWN }.trims_by_id(),
                has,
                "{flavour:?} {version:?}"
            );
        }
    }
}
