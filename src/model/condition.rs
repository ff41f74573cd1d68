//! What a server reports of itself beside its streams: whether it accepts writes, and what it may delete.

use super::{Info, Reason, Text};

/// Percentage of `maxmemory` above which memory counts as nearly full.
pub const NEARLY_FULL_PERCENT: u64 = 90;

/// What `INFO` reports. `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// The memory that counts against `maxmemory`, in bytes.
    pub used_memory: Option<u64>,
    /// `maxmemory`, in bytes; 0 without a limit.
    pub max_memory: Option<u64>,
    /// `maxmemory-policy`.
    pub eviction: Option<Text>,
    /// Whether some key has a time to live.
    pub has_expiring_keys: Option<bool>,
    /// Whether the last write to the append-only file failed.
    pub log_fails: Option<bool>,
    /// Whether the last RDB snapshot failed.
    pub snapshot_fails: Option<bool>,
    /// Replicas that are good enough to count; `None` also if no write depends on their number.
    pub good_replicas: Option<u64>,
}

impl Condition {
    /// Why a server may refuse writes although it answers reads.
    pub const REFUSALS: [Reason; 3] = [Reason::OutOfMemory, Reason::Misconfigured, Reason::NoReplicas];

    /// From the default sections of `INFO`.
    #[must_use]
    pub fn new(info: &Info) -> Self {
        let failed = |field| info.get(field).map(|status| status == "err");
        let not_counted = info.number("mem_not_counted_for_evict").unwrap_or_default();
        let databases = || info.0.iter().filter(|(field, _)| is_database(field));
        let expires = |keys: &Text| keys.split(',').any(|it| it.starts_with("expires=") && it != "expires=0");
        Self {
            used_memory: info.number("used_memory").map(|used| used.saturating_sub(not_counted)),
            max_memory: info.number("maxmemory"),
            eviction: info.get("maxmemory_policy").map(Into::into),
            // Without databases, the section was left out or nothing is stored.
            has_expiring_keys: databases().next().map(|_| databases().any(|(_, keys)| expires(keys))),
            log_fails: failed("aof_last_write_status")
                .map(|err| err && info.number("aof_enabled") != Some(0)),
            snapshot_fails: failed("rdb_last_bgsave_status"),
            good_replicas: info.number("min_slaves_good_slaves"),
        }
    }

    /// Whether the server, a primary, refuses all writes that add something, for this reason. `None` if that is not certain.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the many reasons three are those of `REFUSALS`")]
    pub fn refuses_writes(&self, reason: Reason) -> Option<bool> {
        match reason {
            Reason::OutOfMemory => {
                if self.used_memory? <= self.max_memory? || self.max_memory? == 0 {
                    return Some(false);
                }
                let policy = self.eviction.as_deref()?;
                let evicts_nothing = policy == "noeviction"
                    || policy.starts_with("volatile-") && self.has_expiring_keys == Some(false);
                evicts_nothing.then_some(true)
            }
            // A failed snapshot stops writes by default, but the settings are not in `INFO`.
            Reason::Misconfigured => match (self.log_fails?, self.snapshot_fails?) {
                (true, _) => Some(true),
                (false, true) => None,
                (false, false) => Some(false),
            },
            // Only a server with a minimum of replicas reports their number, and the minimum is at least one.
            Reason::NoReplicas => match self.good_replicas {
                None => self.used_memory.map(|_| false),
                Some(0) => Some(true),
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// The policy, if the server may delete any key, a whole stream too, and memory is nearly full.
    #[must_use]
    pub fn evicts_streams(&self) -> Option<&Text> {
        let (used, limit) = (self.used_memory?, self.max_memory?);
        let is_nearly_full = limit > 0 && used.saturating_mul(100) / limit >= NEARLY_FULL_PERCENT;
        self.eviction.as_ref().filter(|policy| is_nearly_full && policy.starts_with("allkeys-"))
    }
}

/// Whether it is a field such as `db0`.
fn is_database(field: &str) -> bool {
    field.strip_prefix("db").is_some_and(|number| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use Reason::{Misconfigured, NoReplicas, OutOfMemory};

    const CALM: &str = "used_memory:50 maxmemory:0 maxmemory_policy:noeviction aof_enabled:0 aof_last_write_status:ok rdb_last_bgsave_status:ok";

    /// From these fields, in addition to those of a server without problems.
    fn condition(fields: &str) -> Condition {
        let fields = CALM.split(' ').chain(fields.split_whitespace()).filter_map(|it| it.split_once(':'));
        let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
        Condition::new(&Info(fields))
    }

    #[test]
    fn writes_are_refused_where_that_is_certain_and_unknown_where_it_is_not() {
        let keys = |expires| format!("db0:keys=9,expires={expires},avg_ttl=0");
        let volatile = "used_memory:101 maxmemory:100 maxmemory_policy:volatile-lru";
        for (fields, reason, expected) in [
            ("", OutOfMemory, Some(false)),
            ("used_memory:100 maxmemory:100", OutOfMemory, Some(false)),
            ("used_memory:101 maxmemory:100", OutOfMemory, Some(true)),
            ("used_memory:101 maxmemory:100 mem_not_counted_for_evict:1", OutOfMemory, Some(false)),
            ("used_memory:101 maxmemory:100 maxmemory_policy:allkeys-lru", OutOfMemory, None),
            (volatile, OutOfMemory, None),
            (&format!("{volatile} {}", keys(1)), OutOfMemory, None),
            (&format!("{volatile} {}", keys(0)), OutOfMemory, Some(true)),
            ("", Misconfigured, Some(false)),
            ("aof_enabled:1 aof_last_write_status:err", Misconfigured, Some(true)),
            ("aof_last_write_status:err", Misconfigured, Some(false)),
            ("rdb_last_bgsave_status:err", Misconfigured, None),
            ("", NoReplicas, Some(false)),
            ("min_slaves_good_slaves:0", NoReplicas, Some(true)),
            ("min_slaves_good_slaves:1", NoReplicas, None),
        ] {
            assert_eq!(condition(fields).refuses_writes(reason), expected, "{fields}");
        }
        for reason in Condition::REFUSALS {
            assert_eq!(Condition::default().refuses_writes(reason), None, "of a server that reports nothing");
        }
    }

    #[test]
    fn streams_may_be_evicted_once_memory_is_nearly_full() {
        for (used, limit, policy, may) in [
            (89, 100, "allkeys-lru", false),
            (90, 100, "allkeys-lru", true),
            (101, 100, "allkeys-random", true),
            (101, 0, "allkeys-lru", false),
            (101, 100, "volatile-lru", false),
        ] {
            let fields = format!("used_memory:{used} maxmemory:{limit} maxmemory_policy:{policy}");
            assert_eq!(condition(&fields).evicts_streams().is_some(), may, "{fields}");
        }
    }
}
