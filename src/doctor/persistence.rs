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
        Err(failure) => vec![Finding::unknown(Persistence, "what survives a restart", "info", &failure)],
    }
}

fn kept(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    if info.number("aof_enabled")? > 0 {
        return Some(logged(evidence.facts.setting(Setting::AppendFsync)));
    }
    Some(match evidence.facts.setting(Setting::Save) {
        Result::Ok("") => {
            let meaning = "a restart loses all streams and groups, unless a replica has them: set appendonly yes, or save";
            Finding::new(Persistence, Warning, "neither append-only file nor snapshots are written", meaning)
        }
        Result::Ok(save) => {
            let what = format!("snapshots only (save {save})");
            let meaning = "a crash loses everything since the last snapshot, and groups go back to it: consumers \
                 receive entries twice; appendonly yes reduces both";
            Finding::new(Persistence, Notice, what, meaning)
        }
        Err(failure) => {
            let what = "no append-only file is written (appendonly no); whether snapshots are written";
            Finding::unknown(Persistence, what, "config|get", &failure)
        }
    })
}

/// The append-only file is enabled.
fn logged(fsync: Result<&str, Failure>) -> Finding {
    match fsync {
        Result::Ok("always") => Finding::new(Persistence, Ok, "every write is synced to disk at once", ""),
        Result::Ok("everysec") => {
            let meaning = "a crash loses about a second of entries and acknowledgements";
            Finding::new(Persistence, Ok, "writes are synced to disk each second", meaning)
        }
        Result::Ok(other) => {
            let what =
                format!("the operating system decides when writes reach the disk (appendfsync {other})");
            let meaning = "a crash of the machine loses up to half a minute; everysec costs little";
            Finding::new(Persistence, Notice, what, meaning)
        }
        Err(failure) => Finding::unknown(
            Persistence,
            "writes go to the append-only file; when they are synced to disk",
            "config|get",
            &failure,
        ),
    }
}

fn failing(evidence: Evidence<'_>, info: &Info) -> Option<Finding> {
    let level = if evidence.retains() { Problem } else { Warning };
    if info.get("aof_last_write_status") == Some("err") {
        let meaning = "all writes are refused (MISCONF): free the disk";
        return Some(Finding::new(
            Persistence,
            level,
            "the last write to the append-only file failed",
            meaning,
        ));
    }
    if info.get("rdb_last_bgsave_status") != Some("err") {
        return None;
    }
    let what = "the last snapshot failed";
    let setting = |setting| evidence.facts.setting(setting);
    Some(match (setting(Setting::StopWrites), setting(Setting::Save)) {
        (Result::Ok("no"), _) | (_, Result::Ok("")) => {
            let meaning = "writes continue, but a restart goes back to the last successful snapshot";
            Finding::new(Persistence, Warning, what, meaning)
        }
        (Result::Ok(_), Result::Ok(_)) => {
            let meaning =
                "all writes are refused until a snapshot succeeds (MISCONF), retention's too: free the disk";
            Finding::new(Persistence, level, what, meaning)
        }
        (Err(_), _) | (_, Err(_)) => {
            let meaning = "by default all writes are refused until a snapshot succeeds (MISCONF); +config|get is needed \
                 to check that here";
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
