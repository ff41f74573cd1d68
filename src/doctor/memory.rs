//! Whether the server may evict streams or is nearly full.

use super::{
    Area::Memory,
    Evidence, Finding,
    Level::{self, Notice, Ok, Warning},
};
use crate::{
    evaluate::grouped,
    model::{Info, Section},
};

/// Percentage of `maxmemory` above which the server counts as nearly full.
const NEARLY_FULL_PERCENT: u64 = 90;
const MIB: u64 = 1024 * 1024;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    match evidence.facts.info(Section::Memory) {
        Result::Ok(info) => {
            let eviction = eviction(info);
            let touch = touch(evidence, info);
            eviction.into_iter().chain(touch).chain(room(info)).collect()
        }
        Err(failure) => vec![Finding::unknown(
            Memory,
            "whether streams can be evicted, and how full it is",
            "info",
            &failure,
        )],
    }
}

fn eviction(info: &Info) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let what = format!("maxmemory-policy is {policy}");
    let finding = |level: Level, meaning: &str| Some(Finding::new(Memory, level, what.clone(), meaning));
    if policy == "optimistic-volatile" {
        return finding(
            Warning,
            "keys that expire go first, then any key at random: a stream too, whole, with its groups and what they \
             have not read. Switch eviction off",
        );
    }
    let is_limited = info.number("maxmemory")? > 0;
    if policy.starts_with("allkeys-") {
        return if is_limited {
            finding(
                Warning,
                "at maxmemory a stream can be evicted whole, with its groups and what they have not read: \
                 noeviction, or a Redis of their own, keeps streams",
            )
        } else {
            finding(
                Notice,
                "as soon as maxmemory is set, a stream can be evicted whole: set noeviction first",
            )
        };
    }
    if policy.starts_with("volatile-") {
        return finding(Ok, "only keys that expire are evicted; streams that do are told below");
    }
    finding(Ok, "nothing is evicted; at maxmemory writes are refused (OOM), and trimming still works")
}

/// Reports that reading updates the last access time of keys, which can be prevented on newer servers.
fn touch(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let is_by_use = policy.ends_with("-lru") || policy.ends_with("-lfu");
    if !is_by_use || evidence.facts.no_touch.is_ok() {
        return None;
    }
    let meaning = "each poll makes every stream look used, so that other keys are evicted before abandoned streams; \
         CLIENT NO-TOUCH (Redis 7.2, +client|no-touch) prevents it";
    Some(Finding::new(Memory, Notice, format!("reading counts as use for {policy}"), meaning))
}

fn room(info: &Info) -> Option<Finding> {
    let (used, limit) = (info.number("used_memory")?, info.number("maxmemory")?);
    if limit == 0 {
        let what = format!("maxmemory is not set; {} MiB are used", grouped(used / MIB));
        let meaning = "streams without limits grow until the system ends Redis: set maxmemory below what the machine has";
        return Some(Finding::new(Memory, Notice, what, meaning));
    }
    let percent = used.saturating_mul(100) / limit;
    let what =
        format!("{} MiB of {} MiB are used, {percent} %", grouped(used / MIB), grouped(limit.div_ceil(MIB)));
    Some(if percent >= NEARLY_FULL_PERCENT {
        let meaning = "soon writes are refused or keys evicted: add memory, or limit what grows";
        Finding::new(Memory, Warning, what, meaning)
    } else {
        Finding::new(Memory, Ok, what, "")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Level::Unknown, test_evidence::Case};
    use super::*;
    use crate::model::{Failure, Reason};

    #[test]
    fn eviction_and_room_are_judged() {
        for (policy, limit, used, levels) in [
            ("noeviction", 0, 1, vec![Ok, Notice]),
            ("noeviction", 100, 10, vec![Ok, Ok]),
            ("noeviction", 100, 95, vec![Ok, Warning]),
            ("volatile-ttl", 100, 10, vec![Ok, Ok]),
            ("allkeys-random", 0, 10, vec![Notice, Notice]),
            ("allkeys-random", 100, 10, vec![Warning, Ok]),
            ("allkeys-lru", 100, 10, vec![Warning, Ok]),
            ("optimistic-volatile", 100, 10, vec![Warning, Ok]),
        ] {
            let mut case = Case::new("redis://h", "");
            let text = format!("maxmemory:{limit}\r\nused_memory:{used}\r\nmaxmemory_policy:{policy}");
            case.info(Section::Memory, &text);
            let found: Vec<Level> = findings(case.evidence()).iter().map(|it| it.level).collect();
            assert_eq!(found, levels, "{policy} {limit} {used}");
        }
    }

    #[test]
    fn reading_counts_as_access_without_no_touch() {
        for (policy, is_hidden, is_told) in
            [("allkeys-lru", false, true), ("allkeys-lfu", true, false), ("noeviction", false, false)]
        {
            let mut case = Case::new("redis://h", "");
            case.info(Section::Memory, &format!("maxmemory:1\r\nmaxmemory_policy:{policy}"));
            if !is_hidden {
                case.facts.no_touch = Err(Failure::new(Reason::Unsupported, "unknown subcommand"));
            }
            let found = findings(case.evidence());
            assert_eq!(found.iter().any(|it| it.what.contains("counts as use")), is_told, "{policy}");
        }
    }

    #[test]
    fn eviction_is_unknown_without_permission_for_info() {
        let mut case = Case::new("redis://h", "");
        case.facts.info.clear();
        assert_eq!(findings(case.evidence())[0].level, Unknown);
    }
}
