//! Whether a server has room for the bench, so that nothing of others is evicted or refused. Pure.

use crate::model::Info;

const MIB: u64 = 1024 * 1024;

/// Checks what the server says of its memory.
///
/// # Errors
/// Why so many bytes more could do harm, or why that is unknown.
pub(super) fn has_room(memory: &Info, bytes: u64) -> Result<(), String> {
    let unknown = |field: &str| format!("whether it has room is unknown: INFO memory has no {field}");
    let policy = memory.get("maxmemory_policy").ok_or_else(|| unknown("maxmemory_policy"))?;
    if policy != "noeviction" {
        return Err(format!(
            "maxmemory-policy is {policy}: for the bench's entries it could evict keys of others. The bench needs noeviction"
        ));
    }
    let limit = memory.number("maxmemory").ok_or_else(|| unknown("maxmemory"))?;
    let used = memory.number("used_memory").ok_or_else(|| unknown("used_memory"))?;
    let free = limit.saturating_sub(used);
    if limit > 0 && free < bytes {
        return Err(format!(
            "{} MiB are free below maxmemory, and the bench needs {}: writes of others could be refused (OOM)",
            free / MIB,
            bytes.div_ceil(MIB)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_evicts_nothing_and_has_room_is_safe() {
        for (policy, limit, used, problem) in [
            ("noeviction", 0, 5 * MIB, None),
            ("noeviction", 15 * MIB, 5 * MIB, None),
            (
                "noeviction",
                15 * MIB - 1,
                5 * MIB,
                Some("9 MiB are free below maxmemory, and the bench needs 10:"),
            ),
            ("noeviction", 5 * MIB, 6 * MIB, Some("0 MiB are free")),
            ("allkeys-lru", 0, 1, Some("maxmemory-policy is allkeys-lru:")),
            ("volatile-ttl", 100 * MIB, 1, Some("maxmemory-policy is volatile-ttl:")),
        ] {
            let fields = [("maxmemory_policy", policy.to_owned()), ("maxmemory", limit.to_string())];
            let fields = fields.into_iter().chain([("used_memory", used.to_string())]);
            let info = Info(fields.map(|(name, value)| (name.to_owned(), value.as_str().into())).collect());
            let found = has_room(&info, 10 * MIB);
            match problem {
                None => assert_eq!(found, Ok(())),
                Some(problem) => assert!(found.clone().unwrap_err().starts_with(problem), "{found:?}"),
            }
            for missing in ["maxmemory_policy", "maxmemory", "used_memory"] {
                let mut fields = info.clone();
                fields.0.remove(missing);
                assert!(has_room(&fields, 10 * MIB).is_err(), "{missing}");
            }
        }
    }
}
