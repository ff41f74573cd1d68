//! What the user may do of what the configuration needs, feature by feature, and what is lost without it.

use super::{
    Area::Permissions,
    Evidence, Finding,
    Level::{self, Notice, Ok, Problem, Unknown, Warning},
    some,
};
use crate::model::{Answer, Feature, Method, Name, Permission, Rights, Tried};

const FEATURES: [Feature; 6] = [
    Feature::Observing,
    Feature::Discovery,
    Feature::Counting,
    Feature::Retention,
    Feature::Exact,
    Feature::Lease,
];

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let user = evidence.user.or(evidence.address.user()).unwrap_or("default");
    let (rights, tried) = match evidence.rights.as_ref().map(|rights| (rights, rights.tried.as_ref())) {
        Result::Ok((rights, Result::Ok(tried))) => (rights, tried),
        Result::Ok((_, Err(failure))) if failure.detail.contains("not found") => {
            let what = format!("there is no user {user}");
            let meaning = format!("{}: make it by that", rule_of(user));
            return vec![Finding::new(Permissions, Problem, what, meaning)];
        }
        Result::Ok((_, Err(failure))) | Err(failure) => {
            let what = format!("what user {user} may do");
            return vec![Finding::unknown(Permissions, &what, "acl|dryrun", failure)];
        }
    };
    let features = FEATURES.into_iter().flat_map(|feature| {
        let of_it: Vec<&Tried> = tried.iter().filter(|tried| tried.need.feature == feature).collect();
        of_feature(feature, &of_it, user)
    });
    [method(rights, user)].into_iter().chain(features).collect()
}

fn method(rights: &Rights, user: &str) -> Finding {
    match rights.method {
        Method::DryRun => {
            Finding::new(Permissions, Ok, format!("user {user} was checked with ACL DRYRUN"), "")
        }
        Method::Trial => {
            let what = format!("user {user} was checked with commands that change nothing");
            let meaning =
                "ACL DRYRUN is refused to it, or unknown to the server; what was refused stands in ACL LOG";
            Finding::new(Permissions, Ok, what, meaning)
        }
    }
}

const fn name(feature: Feature) -> &'static str {
    match feature {
        Feature::Observing => "observing",
        Feature::Discovery => "looking for streams",
        Feature::Counting => "counting lags",
        Feature::Retention => "trimming",
        Feature::Exact => "trimming to the entry",
        Feature::Lease => "the lease",
    }
}

/// What is lost where the command is refused, and how bad that is: a problem where nothing takes its place.
const fn loss(permission: Permission) -> (Level, &'static str) {
    match permission {
        Permission::ClientSetName => (Notice, "the server's list of clients does not say who this is"),
        Permission::ClientNoTouch => (Notice, "reading makes streams look used to eviction by use"),
        Permission::Hello | Permission::Select => (Problem, "there is no connection"),
        Permission::Time => (Problem, "there are no ages, and no limits by age"),
        Permission::Scan => (Problem, "streams that are not named outright are not found"),
        Permission::XinfoStream => (Problem, "streams can't be read"),
        Permission::XinfoGroups => {
            (Problem, "streams of large entries, or of very many consumers, can't be read")
        }
        Permission::Xlen => (Problem, "streams of large entries can't be read"),
        Permission::Xpending => (Problem, "poison and dangling entries are not seen"),
        Permission::Xrange => (Problem, "how long entries wait is not known"),
        Permission::Xrevrange => (Problem, "lags that nothing else proves stay unknown"),
        Permission::Eval => (
            Warning,
            "floor and trim become two commands: a group that is created at, or set back to, an older entry in \
             between may lose entries, and no limit is reached to the entry",
        ),
        Permission::Xtrim => (Problem, "nothing can be removed"),
        Permission::Xdel => (Problem, "limits are not reached to the entry"),
        Permission::Get | Permission::Set | Permission::Pexpire => {
            (Warning, "the lease counts as held: several sidecars do the same work, which loses nothing")
        }
        Permission::Del => {
            (Notice, "the lease is not given up at the end: another takes over after lease_ttl")
        }
    }
}

fn of_feature(feature: Feature, tried: &[&Tried], user: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut permitted = Vec::new();
    for tried in tried {
        let permission = tried.need.permission;
        let with = |answer: &dyn Fn(&Answer) -> bool| -> Vec<&Option<Name>> {
            tried.answers.iter().filter(|(_, its)| answer(its)).map(|(key, _)| key).collect()
        };
        let refused = with(&|answer| matches!(answer, Answer::Refused));
        let is_absent = !with(&|answer| matches!(answer, Answer::Absent)).is_empty();
        let unknown = tried.answers.iter().find_map(|(_, answer)| match answer {
            Answer::Unknown(failure) => Some(failure),
            Answer::Permitted | Answer::Refused | Answer::Absent => None,
        });
        let (level, loss) = loss(permission);
        let command = permission.as_str();
        let what = |verb: &str| format!("{}: {command} {verb}", name(feature));
        if is_absent {
            let meaning = format!("{loss}; the server does not know the command: switched off or renamed");
            findings.push(Finding::new(Permissions, level, what("is not there"), meaning));
        } else if !refused.is_empty() {
            let on = match refused.iter().filter_map(|key| key.as_ref()).collect::<Vec<_>>() {
                keys if keys.is_empty() => String::new(),
                keys => format!(" on {}", some(keys)),
            };
            let meaning = format!("{loss}; {} with +{command}{on}", rule_of(user));
            findings.push(Finding::new(Permissions, level, what(&format!("is refused{on}")), meaning));
        } else if let Some(failure) = unknown {
            let meaning =
                format!("nothing harmless tells ({}); if it is refused, {loss}", failure.reason.as_str());
            findings.push(Finding::new(Permissions, Unknown, what("is not known"), meaning));
        } else if tried.answers.is_empty() {
            let meaning = "there is no such stream yet to try it on";
            findings.push(Finding::new(Permissions, Unknown, what("was not tried"), meaning));
        } else {
            permitted.push(command);
        }
    }
    if !permitted.is_empty() {
        let what = format!("{}: {} permitted", name(feature), are(&permitted));
        findings.push(Finding::new(Permissions, Ok, what, ""));
    }
    findings
}

/// Where the rule is to be had. It begins with `reset`, which the default user's other clients would not survive.
fn rule_of(user: &str) -> String {
    match user {
        "default" => "give it a user of its own: `streamwarden acl` prints the rule".to_owned(),
        user => format!("`streamwarden acl --user {user}` prints the rule"),
    }
}

fn are(commands: &[&str]) -> String {
    format!("{} {}", commands.join(", "), if commands.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;
    use crate::model::{Failure, Need, Reason};

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
    fn what_is_refused_is_named_with_its_keys_and_its_loss() {
        use Answer::{Absent, Permitted, Refused};
        let not_known = Answer::Unknown(Failure::new(Reason::NoPermission, ""));
        for (feature, permission, answers, level, words) in [
            (Feature::Retention, Permission::Xtrim, vec![Permitted, Permitted], Ok, "xtrim is permitted"),
            (Feature::Retention, Permission::Xtrim, vec![Permitted, Refused], Problem, "refused on s1 "),
            (Feature::Retention, Permission::Xtrim, vec![Refused; 5], Problem, "s0, s1, s2 and 2 more"),
            (Feature::Retention, Permission::Eval, vec![Refused], Warning, "two commands"),
            (Feature::Retention, Permission::Eval, vec![Absent], Warning, "renamed"),
            (Feature::Retention, Permission::Eval, vec![], Unknown, "no such stream yet"),
            (Feature::Lease, Permission::Del, vec![not_known], Unknown, "nothing harmless tells (noperm)"),
            (Feature::Lease, Permission::Set, vec![Refused], Warning, "loses nothing"),
            (Feature::Observing, Permission::Xrange, vec![Refused], Problem, "acl --user sidecar"),
        ] {
            let found = levels(Result::Ok(vec![tried(feature, permission, &answers)]));
            let (its_level, text) = &found[1];
            assert_eq!((*its_level, found.len()), (level, 2), "{text}");
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_user_that_is_not_there_is_a_problem_and_a_question_that_is_refused_is_open() {
        for (reason, detail, level) in [
            (Reason::Other, "ERR User 'nobody' not found", Problem),
            (Reason::NoPermission, "NOPERM", Unknown),
        ] {
            assert_eq!(levels(Err(Failure::new(reason, detail)))[0].0, level);
        }
    }
}
