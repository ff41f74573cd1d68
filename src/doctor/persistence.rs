//! What survives a restart of the server, and whether a failing disk stops all writes.

use super::{
    Area::Persistence,
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Warning},
};
use crate::model::{Failure, Info, Section, Setting};

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    match evidence.facts.info(Section::Persistence) {
        Result::Ok(info) => [kept(evidence, info), failing(evidence, info)].into_iter().flatten().collect(),
        Err(failure) => vec![Finding::unknown(Persistence, "what a restart leaves", "info", &failure)],
    }
}

fn kept(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    if info.number("aof_enabled")? > 0 {
        return Some(logged(evidence.facts.setting(Setting::AppendFsync)));
    }
    Some(match evidence.facts.setting(Setting::Save) {
        Result::Ok("") => {
            let meaning = "a restart loses every stream with its groups, unless a replica has them: set appendonly yes, \
                 or save";
            Finding::new(Persistence, Warning, "neither a log nor snapshots are written", meaning)
        }
        Result::Ok(save) => {
            let what = format!("snapshots only (save {save})");
            let meaning = "a crash loses what came after the last one, and sets groups back to it: consumers are \
                 given entries twice; appendonly yes narrows both";
            Finding::new(Persistence, Notice, what, meaning)
        }
        Err(failure) => {
            let what = "no log is written (appendonly no); whether snapshots are";
            Finding::unknown(Persistence, what, "config|get", &failure)
        }
    })
}

/// The append-only file is enabled.
fn logged(fsync: Result<&str, Failure>) -> Finding {
    match fsync {
        Result::Ok("always") => Finding::new(Persistence, Ok, "every write is logged to disk at once", ""),
        Result::Ok("everysec") => {
            let meaning = "a crash loses about a second of entries and acknowledgements";
            Finding::new(Persistence, Ok, "every write is logged, to disk each second", meaning)
        }
        Result::Ok(other) => {
            let what = format!("every write is logged, to disk when the system likes (appendfsync {other})");
            let meaning = "a crash of the machine loses up to half a minute; everysec costs little";
            Finding::new(Persistence, Notice, what, meaning)
        }
        Err(failure) => Finding::unknown(
            Persistence,
            "every write is logged; when it reaches the disk",
            "config|get",
            &failure,
        ),
    }
}

fn failing(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    let level = if evidence.retains() { Problem } else { Warning };
    if info.get("aof_last_write_status") == Some("err") {
        let meaning = "every write is refused (MISCONF): free the disk";
        return Some(Finding::new(Persistence, level, "the last write to the log failed", meaning));
    }
    if info.get("rdb_last_bgsave_status") != Some("err") {
        return None;
    }
    let what = "the last snapshot failed";
    let setting = |setting| evidence.facts.setting(setting);
    Some(match (setting(Setting::StopWrites), setting(Setting::Save)) {
        (Result::Ok("no"), _) | (_, Result::Ok("")) => {
            let meaning = "writes go on all the same, and a restart goes back to the last one that did not";
            Finding::new(Persistence, Warning, what, meaning)
        }
        (Result::Ok(_), Result::Ok(_)) => {
            let meaning =
                "every write is refused until one succeeds (MISCONF), retention's too: free the disk";
            Finding::new(Persistence, level, what, meaning)
        }
        (Err(_), _) | (_, Err(_)) => {
            let meaning = "by default every write is refused until one succeeds (MISCONF); whether it is here, \
                 +config|get would tell";
            Finding::new(Persistence, Warning, what, meaning)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        Level::{self, Unknown},
        test_evidence::{Case, RETAIN},
    };
    use super::*;

    fn levels(config: &str, info: &str, settings: &[(Setting, &str)]) -> Vec<Level> {
        let mut case = Case::new("redis://h", config);
        case.info(Section::Persistence, info);
        settings.iter().for_each(|(setting, value)| case.set(*setting, value));
        findings(case.evidence()).iter().map(|it| it.level).collect()
    }

    #[test]
    fn what_survives_a_restart_is_judged() {
        for (info, setting, value, level) in [
            ("aof_enabled:0", Setting::Save, "", Warning),
            ("aof_enabled:0", Setting::Save, "3600 1", Notice),
            ("aof_enabled:0", Setting::Save, "refused", Unknown),
            ("aof_enabled:1", Setting::AppendFsync, "everysec", Ok),
            ("aof_enabled:1", Setting::AppendFsync, "always", Ok),
            ("aof_enabled:1", Setting::AppendFsync, "no", Notice),
            ("aof_enabled:1", Setting::AppendFsync, "refused", Unknown),
        ] {
            assert_eq!(levels("", info, &[(setting, value)]), [level], "{info} {value}");
        }
    }

    #[test]
    fn a_failing_disk_stops_writes() {
        let failed = "aof_enabled:1\r\nrdb_last_bgsave_status:err";
        for (config, info, stop, save, level) in [
            ("", failed, "yes", "3600 1", Warning),
            (RETAIN, failed, "yes", "3600 1", Problem),
            (RETAIN, failed, "no", "3600 1", Warning),
            (RETAIN, failed, "yes", "", Warning),
            (RETAIN, failed, "refused", "3600 1", Warning),
            (RETAIN, "aof_enabled:1\r\naof_last_write_status:err", "yes", "", Problem),
        ] {
            let settings =
                [(Setting::AppendFsync, "everysec"), (Setting::StopWrites, stop), (Setting::Save, save)];
            assert_eq!(levels(config, info, &settings), [Ok, level], "{info} {stop} {save}");
        }
    }
}
