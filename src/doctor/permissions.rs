//! The permissions that the configuration needs and whether the user has them, by feature, and the effect of missing
//! ones.

use super::{
    Area::Permissions,
    Evidence, Finding,
    Level::{self, Notice, Ok, Problem, Unknown, Warning},
    finding::first_names,
};
use crate::model::{Answer, Failure, Feature, Method, Name, Permission, Rights, Server, Tried};

const FEATURES: [Feature; 12] = [
    Feature::Observing,
    Feature::Cluster,
    Feature::Replicas,
    Feature::Discovery,
    Feature::Counting,
    Feature::Retention,
    Feature::Exact,
    Feature::Lease,
    Feature::Probing,
    Feature::Measuring,
    Feature::ActingRules,
    Feature::Acting,
];

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let user = evidence.user.or(evidence.address.user()).unwrap_or("default");
    let (rights, tried) = match evidence.rights.as_ref().map(|rights| (rights, rights.tried.as_ref())) {
        Result::Ok((rights, Result::Ok(tried))) => (rights, tried),
        Result::Ok((_, Err(failure))) if failure.detail.contains("not found") => {
            let what = format!("there is no user {user}");
            let meaning = format!("create it: {}", rule_of(user, Feature::Observing));
            return vec![Finding::new(Permissions, Problem, what, meaning)];
        }
        Result::Ok((_, Err(failure))) | Err(failure) => {
            let what = format!("permissions of user {user}");
            return vec![Finding::unknown(Permissions, &what, "acl|dryrun", failure)];
        }
    };
    let features = FEATURES.into_iter().flat_map(|feature| {
        let needs: Vec<&Tried> = tried.iter().filter(|tried| tried.need.feature == feature).collect();
        of_feature(feature, &needs, user, &evidence.facts.server)
    });
    [method(rights, user, &evidence.facts.server)].into_iter().chain(features).collect()
}

fn method(rights: &Rights, user: &str, server: &Server) -> Finding {
    match rights.method {
        Method::DryRun => {
            Finding::new(Permissions, Ok, format!("user {user} was checked with ACL DRYRUN"), "")
        }
        Method::Trial => {
            let what = format!("user {user} was checked with commands that change nothing");
            let meaning = if server.terms().has_acl_log {
                "ACL DRYRUN is refused or not supported; refused commands are in ACL LOG"
            } else {
                "the server does not support ACL DRYRUN"
            };
            Finding::new(Permissions, Ok, what, meaning)
        }
    }
}

const fn name(feature: Feature) -> &'static str {
    match feature {
        Feature::Observing => "observing",
        Feature::Cluster => "nodes of the cluster",
        Feature::Replicas => "reading replicas",
        Feature::Discovery => "searching for streams",
        Feature::Counting => "counting lags",
        Feature::Retention => "trimming",
        Feature::Exact => "exact trimming",
        Feature::Lease => "lease",
        Feature::Probing => "probing",
        Feature::Measuring => "measuring memory",
        Feature::ActingRules => "rules about stuck work",
        Feature::Acting => "acting on stuck work",
    }
}

const ACTING: &str = "dead-letter, replay, claim or reap-consumers fail";

const PROBING: &str = "each probe fails";

const ACTING_RULES: &str = "dead_letter or reap_consumers has no effect";

/// The effect of a refused command, and its severity: a problem if nothing replaces the command.
const fn loss(permission: Permission) -> (Level, &'static str) {
    match permission {
        Permission::ClientSetName => (Notice, "CLIENT LIST does not show the sidecar's name"),
        Permission::ClientNoTouch => (Notice, "polls mark streams as recently used, which affects eviction"),
        Permission::Info => (Notice, "whether Redis refuses writes while it answers reads is unknown"),
        Permission::Hello | Permission::Select => (Problem, "the sidecar can't connect"),
        Permission::ClusterShards => {
            (Notice, "CLUSTER SLOTS is asked instead, which does not tell which primaries have failed")
        }
        Permission::ClusterSlots => {
            (Notice, "the primary of a shard is unknown while CLUSTER SHARDS is refused or leaves it out")
        }
        Permission::Asking => (Warning, "streams can't be read while their slots move to another node"),
        Permission::ReadOnly => (Problem, "the primaries of the cluster are read, not their replicas"),
        Permission::Role => (Problem, "the primary is read, not its replicas"),
        Permission::Time => (Problem, "ages are unknown, and age limits do not work"),
        Permission::Scan => (Problem, "only streams that the configuration names are found"),
        Permission::XinfoStream => (Problem, "streams can't be read"),
        Permission::XinfoGroups => {
            let what = "streams with large entries or very many consumers can't be read, objectives are not measured, and \
                 dead_letter and reap_consumers have no effect";
            (Problem, what)
        }
        Permission::Xlen => (Problem, "streams with large entries can't be read"),
        Permission::Xpending => (
            Problem,
            "poison and dangling entries are not detected, and no entry is followed to prove objectives for `handled`",
        ),
        Permission::Xrange => (Problem, "waiting times of entries are unknown"),
        Permission::Xrevrange => (Problem, "lags that must be counted stay unknown"),
        Permission::Eval => (
            Warning,
            "finding the floor and trimming become two commands: a group that is created at or set back to an older \
             entry between them may lose entries, and `exact` has no effect",
        ),
        Permission::Xtrim => (Problem, "nothing can be removed"),
        Permission::MemoryUsage => (Warning, "the memory of streams is only estimated"),
        Permission::Xdel => (Problem, "`exact` has no effect"),
        Permission::Get | Permission::Set | Permission::Pexpire => {
            (Warning, "the lease counts as held: several sidecars do the same work, which is harmless")
        }
        Permission::Xack
        | Permission::Xadd
        | Permission::Xclaim
        | Permission::XgroupCreate
        | Permission::XgroupDelConsumer
        | Permission::XinfoConsumers
        | Permission::Xreadgroup => (Problem, ACTING),
        Permission::Exists | Permission::Unlink | Permission::XgroupSetId => (Problem, "bench fails"),
        Permission::Del => {
            (Notice, "the lease is not released at exit: another sidecar takes over after lease_ttl")
        }
    }
}

const fn is_optional(permission: Permission) -> bool {
    matches!(permission, Permission::ClientSetName | Permission::ClientNoTouch)
}

/// The result of testing a need: the worst of its answers.
enum Outcome<'a> {
    Permitted,
    Untried,
    Unknown(&'a Failure),
    Refused(Vec<&'a Name>),
    Absent,
}

fn outcome(tried: &Tried) -> Outcome<'_> {
    let mut refused = None;
    let mut unknown = None;
    for (key, answer) in &tried.answers {
        match answer {
            Answer::Permitted => {}
            Answer::Absent => return Outcome::Absent,
            Answer::Refused => refused.get_or_insert_with(Vec::new).extend(key),
            Answer::Unknown(failure) => unknown = Some(failure),
        }
    }
    match (refused, unknown) {
        (Some(keys), _) => Outcome::Refused(keys),
        (None, Some(failure)) => Outcome::Unknown(failure),
        (None, None) if tried.answers.is_empty() => Outcome::Untried,
        (None, None) => Outcome::Permitted,
    }
}

fn of_feature(feature: Feature, tried: &[&Tried], user: &str, server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut permitted = Vec::new();
    let mut untried = Vec::new();
    for tried in tried {
        let command = tried.need.permission.word(server);
        let (level, loss) = match feature {
            Feature::Acting => (Problem, ACTING),
            Feature::ActingRules => (Problem, ACTING_RULES),
            Feature::Probing => (Problem, PROBING),
            Feature::Observing
            | Feature::Cluster
            | Feature::Replicas
            | Feature::Discovery
            | Feature::Counting
            | Feature::Retention
            | Feature::Exact
            | Feature::Measuring
            | Feature::Lease => loss(tried.need.permission),
        };
        let mut add = |level: Level, what: String, meaning: String| {
            let what = format!("{}: {command} {what}", name(feature));
            findings.push(Finding::new(Permissions, level, what, meaning));
        };
        match outcome(tried) {
            Outcome::Permitted => permitted.push(command),
            Outcome::Untried => untried.push(command),
            Outcome::Absent => {
                let meaning =
                    format!("{loss}; the server does not know the command: it is disabled or renamed");
                add(level, "is missing".to_owned(), meaning);
            }
            Outcome::Refused(keys) => {
                let on = if keys.is_empty() { String::new() } else { format!(" on {}", first_names(keys)) };
                let rule = format!("{} with +{command}{on}", rule_of(user, feature));
                // Some services answer every command that they do not offer with the error of a missing permission.
                let unless = if is_optional(tried.need.permission) {
                    ", unless the service refuses it to every user; no metric needs it"
                } else {
                    ""
                };
                add(level, format!("is refused{on}"), format!("{loss}; {rule}{unless}"));
            }
            Outcome::Unknown(failure) => {
                let reason = failure.reason.as_str();
                let meaning =
                    format!("it can't be tested without side effects ({reason}); if it is refused, {loss}");
                add(Unknown, "is unknown".to_owned(), meaning);
            }
        }
    }
    let mut all = |level: Level, commands: &[&str], what: &str, meaning: &str| {
        if !commands.is_empty() {
            let what = format!("{}: {} {what}", name(feature), commands.join(", "));
            findings.push(Finding::new(Permissions, level, what, meaning));
        }
    };
    all(Unknown, &untried, "not tested", "no matching stream exists yet");
    all(Ok, &permitted, "permitted", "");
    findings
}

/// Where to get the rule. It begins with `reset`, which would break other clients of the default user.
fn rule_of(user: &str, feature: Feature) -> String {
    let acting = if feature == Feature::Acting { " --acting" } else { "" };
    match user {
        "default" => format!("give it a user of its own: `streamwarden acl{acting}` prints the rule"),
        user => format!("`streamwarden acl --user {user}{acting}` prints the rule"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;
    use crate::model::{Need, Reason};

    fn tried(feature: Feature, permission: Permission, answers: &[Answer]) -> Tried {
        let keys: Vec<Name> =
            (0..answers.len()).map(|index| Name::from(format!("s{index}").as_str())).collect();
        let answers = keys.iter().cloned().map(Some).zip(answers.iter().cloned()).collect();
        Tried { need: Need { feature, permission, keys }, answers }
    }

    fn levels(rights: Result<Vec<Tried>, Failure>) -> Vec<(Level, String)> {
        let mut case = Case::new("redis://sidecar:p@h", "");
        case.rights.as_mut().unwrap().tried = rights;
        findings(case.evidence())
            .into_iter()
            .map(|it| (it.level, format!("{} ({})", it.what, it.meaning)))
            .collect()
    }

    #[test]
    fn a_refused_command_is_reported_with_its_keys_and_its_effect() {
        use Answer::{Absent, Permitted, Refused};
        let unknown = Answer::Unknown(Failure::new(Reason::NoPermission, ""));
        for (feature, permission, answers, level, words) in [
            (Feature::Retention, Permission::Xtrim, vec![Permitted, Permitted], Ok, "xtrim permitted"),
            (Feature::Retention, Permission::Xtrim, vec![Permitted, Refused], Problem, "refused on s1 "),
            (Feature::Retention, Permission::Xtrim, vec![Refused; 5], Problem, "s0, s1, s2 and 2 more"),
            (Feature::Retention, Permission::Eval, vec![Refused], Warning, "two commands"),
            (Feature::Retention, Permission::Eval, vec![Absent], Warning, "renamed"),
            (Feature::Retention, Permission::Eval, vec![], Unknown, "no matching stream"),
            (Feature::Lease, Permission::Del, vec![unknown], Unknown, "without side effects (noperm)"),
            (Feature::Lease, Permission::Set, vec![Refused], Warning, "harmless"),
            (Feature::Observing, Permission::Xrange, vec![Refused], Problem, "acl --user sidecar"),
            (Feature::Observing, Permission::ClientNoTouch, vec![Refused], Notice, "to every user"),
        ] {
            let found = levels(Result::Ok(vec![tried(feature, permission, &answers)]));
            let (its_level, text) = &found[1];
            assert_eq!((*its_level, found.len()), (level, 2), "{text}");
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_missing_user_is_a_problem_and_a_refused_question_is_unknown() {
        for (reason, detail, level) in [
            (Reason::Other, "ERR User 'nobody' not found", Problem),
            (Reason::NoPermission, "NOPERM", Unknown),
        ] {
            assert_eq!(levels(Err(Failure::new(reason, detail)))[0].0, level);
        }
    }
}
