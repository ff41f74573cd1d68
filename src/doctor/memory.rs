//! Whether the server may evict streams or is nearly full.

use super::{
    Area::Memory,
    Evidence, Finding,
    Level::{self, Notice, Ok, Warning},
};
use crate::{
    evaluate::grouped,
    model::{Info, NEARLY_FULL_PERCENT, Section},
};

const MIB: u64 = 1024 * 1024;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    match evidence.facts.info(Section::Memory) {
        Result::Ok(info) => {
            let eviction = eviction(info);
            let touch = touch(evidence, info);
            eviction.into_iter().chain(touch).chain(room(info)).collect()
        }
        Err(failure) => vec![Finding::unknown(Memory, "eviction policy and memory usage", "info", &failure)],
    }
}

fn eviction(info: &Info) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let what = format!("maxmemory-policy is {policy}");
    let finding = |level: Level, meaning: &str| Some(Finding::new(Memory, level, what.clone(), meaning));
    if policy == "optimistic-volatile" {
        return finding(
            Warning,
            "keys with a time to live are evicted first, then any key at random: also whole streams, with their groups \
             and unread entries. Switch eviction off",
        );
    }
    let is_limited = info.number("maxmemory")? > 0;
    if policy.starts_with("allkeys-") {
        return if is_limited {
            finding(
                Warning,
                "at maxmemory a stream can be evicted whole, with its groups and unread entries: set noeviction, or \
                 use a separate Redis for streams",
            )
        } else {
            finding(Notice, "once maxmemory is set, a stream can be evicted whole: set noeviction first")
        };
    }
    if policy.starts_with("volatile-") {
        return finding(
            Ok,
            "only keys with a time to live are evicted; streams that have one are listed below",
        );
    }
    finding(Ok, "nothing is evicted; at maxmemory writes are refused (OOM), but trimming still works")
}

/// Reports that reading updates the last access time of keys, which can be prevented on newer servers.
fn touch(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let is_by_use = policy.ends_with("-lru") || policy.ends_with("-lfu");
    if !is_by_use || evidence.facts.no_touch.is_ok() {
        return None;
    }
    let meaning = "each poll marks all streams as recently used, so other keys are evicted before unused streams; \
         CLIENT NO-TOUCH (Redis 7.2, +client|no-touch) prevents this";
    Some(Finding::new(Memory, Notice, format!("polls count as access for {policy}"), meaning))
}

fn room(info: &Info) -> Option<Finding> {
    let used = info.number("used_memory")?;
    let limit = info.number("maxmemory")?;
    if limit == 0 {
        let what = format!("maxmemory is not set; {} MiB are used", grouped(used / MIB));
        let meaning = "streams without limits grow until the system kills Redis: set maxmemory below the machine's memory";
        return Some(Finding::new(Memory, Notice, what, meaning));
    }
    let percent = used.saturating_mul(100) / limit;
    let what =
        format!("{} MiB of {} MiB are used, {percent} %", grouped(used / MIB), grouped(limit.div_ceil(MIB)));
    Some(if percent >= NEARLY_FULL_PERCENT {
        let when = if used >= limit { "now" } else { "soon" };
        let meaning =
            format!("writes are refused or keys are evicted {when}: add memory, or limit streams that grow");
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
            ("noeviction", 100, 163, vec![Ok, Warning]),
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
            let is_now = findings(case.evidence()).iter().any(|it| it.meaning.contains("evicted now"));
            assert_eq!(is_now, limit > 0 && used >= limit, "{policy} {limit} {used}");
        }
    }

    #[test]
    fn reading_counts_as_access_without_no_touch() {
        for (policy, is_hidden, is_reported) in
            [("allkeys-lru", false, true), ("allkeys-lfu", true, false), ("noeviction", false, false)]
        {
            let mut case = Case::new("redis://h", "");
            case.info(Section::Memory, &format!("maxmemory:1\r\nmaxmemory_policy:{policy}"));
            if !is_hidden {
                case.facts.no_touch = Err(Failure::new(Reason::Unsupported, "unknown subcommand"));
            }
            let found = findings(case.evidence());
            assert_eq!(found.iter().any(|it| it.what.contains("count as access")), is_reported, "{policy}");
        }
    }

    #[test]
    fn eviction_is_unknown_without_permission_for_info() {
        let mut case = Case::new("redis://h", "");
        case.facts.info.clear();
        assert_eq!(findings(case.evidence())[0].level, Unknown);
    }
}
