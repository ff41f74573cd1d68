//! Limits and missing features of hosted services that matter to streams and to this sidecar.
//!
//! They are taken from the services' documentation. They were not tested on the services.

use super::{Flavour, Role, Server};

/// Limits and differences of a server, compared with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Maximum pending entries of one consumer. At this number it receives no more entries.
    pub consumer_pending: Option<u64>,
    /// Maximum size of a stream in bytes. At this size it accepts no more entries.
    pub stream_bytes: Option<u64>,
    /// Whether a new connection may reach a replica that is behind what an earlier connection read.
    pub reads_may_lag: bool,
    /// Whether eviction, if enabled, may remove any key.
    pub evicts_any_key: bool,
    /// Whether `ACL LOG` lists denied commands.
    pub has_acl_log: bool,
    /// Whether ACL rules support subcommands, read-only keys, selectors, and users who change their own password.
    pub has_fine_rules: bool,
}

impl Terms {
    /// A self-hosted server.
    const REDIS: Self = Self {
        consumer_pending: None,
        stream_bytes: None,
        reads_may_lag: false,
        evicts_any_key: false,
        has_acl_log: true,
        has_fine_rules: true,
    };

    /// From Upstash's documentation: troubleshooting ("XReadGroup is cancelled", "max single record size
    /// exceeded"), consistency, eviction, `ACL`.
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
    /// The limits and differences of this server.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        match self.flavour {
            Flavour::Redis | Flavour::Valkey => Terms::REDIS,
            Flavour::Upstash => Terms::UPSTASH,
        }
    }

    /// Whether a trim may remove entries from the middle of the stream that all groups have acknowledged (`ACKED`,
    /// since Redis 8.2). No field reports this. A server of unknown version may support it.
    #[must_use]
    pub fn may_trim_the_middle(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version.is_none_or(|version| version >= (8, 2, 0)),
            Flavour::Valkey => self.version.is_none_or(|version| version >= (9, 2, 0)),
            Flavour::Upstash => true,
        }
    }

    /// Whether a group's `entries-read` is the primary's. Redis 7.0 does not pass it on to replicas, which have an old number or none;
    /// 7.4 and Valkey 8.1 do, and 7.2 was not measured.
    #[must_use]
    pub fn knows_entries_read(&self) -> bool {
        let passes_it_on = match self.flavour {
            Flavour::Redis => self.version.is_some_and(|version| version >= (7, 4, 0)),
            Flavour::Valkey => self.version.is_some_and(|version| version >= (8, 1, 0)),
            Flavour::Upstash => true,
        };
        passes_it_on || !self.role.is_some_and(Role::is_replica)
    }

    /// Whether `CLUSTER SHARDS` exists. It was added in 7.0.
    #[must_use]
    pub fn has_shards(&self) -> bool {
        self.flavour != Flavour::Redis || self.version.is_none_or(|version| version >= (7, 0, 0))
    }

    /// Whether `XTRIM MINID` exists and is correct. It was added in 6.2.0, and removed entries above the ID until
    /// 6.2.7. A Redis of unknown version is assumed to lack it.
    #[must_use]
    pub fn trims_by_id(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version.is_some_and(|version| version >= (6, 2, 7)),
            // The bug is Redis's, and was fixed in 6.2.7. Valkey was forked later, and Upstash has its own code.
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
