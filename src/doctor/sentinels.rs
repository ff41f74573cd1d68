//! The Sentinels of the address: whether they answer and agree, and whether they can fail over.

use std::collections::BTreeMap;

use super::{
    Area::Connection,
    Finding,
    Level::{Notice, Ok, Problem, Unknown, Warning},
};
use crate::{
    config::Service,
    model::{Reason, SentinelView, ServiceState},
};

/// With fewer Sentinels a failover needs all of them.
const ENOUGH: u64 = 3;

/// Findings about the service, from what each of its Sentinels reports.
pub(super) fn findings(service: &Service, views: &[SentinelView]) -> Vec<Finding> {
    silence(views).chain(names(service, views)).chain(votes(service, views)).chain(announced(views)).collect()
}

/// Sentinels that name no primary.
fn silence(views: &[SentinelView]) -> impl Iterator<Item = Finding> {
    let is_all = views.iter().all(|view| view.primary.is_err());
    views.iter().filter_map(move |view| {
        let failure = view.primary.as_ref().err()?;
        let what = format!("the Sentinel at {} names no primary: {}", view.sentinel, failure.detail);
        let level = if is_all { Problem } else { Warning };
        let meaning = if matches!(failure.reason, Reason::NoAuth | Reason::WrongPassword) {
            "the Sentinels have a login of their own: redis.sentinel"
        } else if is_all {
            "without one that does, no connection can be made"
        } else {
            "others are asked; each that is missing makes a failover less certain"
        };
        Some(Finding::new(Connection, level, what, meaning))
    })
}

fn names(service: &Service, views: &[SentinelView]) -> Option<Finding> {
    let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for view in views {
        if let Result::Ok(primary) = &view.primary {
            named.entry(primary).or_default().push(&view.sentinel);
        }
    }
    let name = &service.name;
    if let [primary] = named.keys().collect::<Vec<_>>()[..] {
        let what = format!("{primary} is the primary of {name}, by all Sentinels that answer");
        return Some(Finding::new(Connection, Ok, what, ""));
    }
    let each: Vec<String> =
        named.iter().map(|(primary, by)| format!("{primary} by {}", by.join(", "))).collect();
    let meaning = "a failover may be under way; if it stays so, one of them is cut off from the others, or watches another \
         Redis under this name";
    (!each.is_empty()).then(|| {
        let what = format!("the Sentinels name different primaries of {name}: {}", each.join("; "));
        Finding::new(Connection, Problem, what, meaning)
    })
}

/// Whether there are enough Sentinels, by the one that knows the fewest.
fn votes(service: &Service, views: &[SentinelView]) -> Vec<Finding> {
    let known = views.iter().filter_map(|view| view.state.as_ref().ok());
    let Some(ServiceState { quorum, others, flags }) = known.min_by_key(|state| state.others) else {
        let refused =
            views.iter().find_map(|view| view.state.as_ref().err().filter(|_| view.primary.is_ok()));
        let unknown = refused.map(|failure| {
            let meaning = format!("{}; `streamwarden acl` prints the rule for the Sentinels", failure.detail);
            Finding::new(Connection, Unknown, "whether the Sentinels can fail over: unknown", meaning)
        });
        return unknown.into_iter().collect();
    };
    let (sentinels, in_address) = (others + 1, service.sentinels.len());
    let what =
        format!("a Sentinel knows {sentinels} in all, and {quorum} must agree that the primary is down");
    let mut findings = vec![if sentinels < *quorum {
        Finding::new(
            Connection,
            Problem,
            what,
            "no failover can begin: start the others, or lower the quorum",
        )
    } else if sentinels < ENOUGH {
        Finding::new(
            Connection,
            Warning,
            what,
            "with fewer than three, none of them may be missing at a failover",
        )
    } else {
        Finding::new(Connection, Ok, what, "")
    }];
    if u64::try_from(in_address).is_ok_and(|in_address| in_address < sentinels) {
        let what = format!("the address has {in_address} of {sentinels} Sentinels");
        let meaning = "name all of them, so that any may be missing";
        findings.push(Finding::new(Connection, Notice, what, meaning));
    }
    if flags.contains("down") || flags.contains("disconnected") {
        let what = format!("a Sentinel does not reach the primary: {flags}");
        findings.push(Finding::new(Connection, Warning, what, "a failover may follow"));
    }
    findings
}

/// Whether the sidecar reaches the replicas, one of which is the next primary.
fn announced(views: &[SentinelView]) -> Vec<Finding> {
    let replicas: BTreeMap<_, _> = views
        .iter()
        .filter_map(|view| view.replicas.as_ref().ok())
        .flatten()
        .map(|replica| (&replica.at, &replica.reached))
        .collect();
    let is_known = views.iter().any(|view| view.replicas.is_ok());
    if replicas.is_empty() && is_known {
        let what = "the Sentinels know no replica";
        return vec![Finding::new(Connection, Warning, what, "there is no server to fail over to")];
    }
    let unreachable = replicas.iter().filter_map(|(at, tried)| Some((at, tried.as_ref().err()?)));
    let findings: Vec<Finding> = unreachable
        .map(|(at, failure)| {
            let what = format!("the replica that the Sentinels announce as {at} can't be reached: {}", failure.detail);
            let meaning = "after a failover to it there would be no connection: check replica-announce-ip and -port, \
                 and networks between";
            Finding::new(Connection, Warning, what, meaning)
        })
        .collect();
    if findings.is_empty() && is_known {
        let what =
            format!("each of the replicas that the Sentinels announce can be reached: {}", replicas.len());
        return vec![Finding::new(Connection, Ok, what, "")];
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Address,
        doctor::Level,
        model::{Failure, ReplicaView},
    };

    fn view(sentinel: &str, primary: &str, quorum: u64, others: u64) -> SentinelView {
        SentinelView {
            sentinel: sentinel.into(),
            primary: Result::Ok(primary.into()),
            state: Result::Ok(ServiceState { quorum, others, flags: "master".into() }),
            replicas: Result::Ok(vec![ReplicaView { at: "r:1".into(), reached: Result::Ok(()) }]),
        }
    }

    fn silent(sentinel: &str, reason: Reason) -> SentinelView {
        let failure = Failure::new(reason, "words");
        SentinelView {
            sentinel: sentinel.into(),
            primary: Err(failure.clone()),
            state: Err(failure.clone()),
            replicas: Err(failure),
        }
    }

    #[track_caller]
    fn assert_found(views: &[SentinelView], level: Level, words: &str) {
        let address = Address::parse(&"redis+sentinel://a,b,c/m".into()).unwrap();
        let found = findings(address.service().unwrap(), views);
        let is_it =
            |it: &Finding| it.level == level && format!("{}; {}", it.what, it.meaning).contains(words);
        assert!(found.iter().any(is_it), "{level:?} {words}: {found:#?}");
        let worst = found.iter().map(|it| it.level).min();
        assert_eq!(worst, Some(level), "{words}: {found:#?}");
    }

    #[test]
    fn sentinels_that_answer_agree_and_are_enough_are_fine() {
        let all = ["a", "b", "c"].map(|sentinel| view(sentinel, "p:1", 2, 2));
        assert_found(&all, Ok, "p:1 is the primary of m, by all Sentinels that answer");
        assert_found(&all, Ok, "can be reached: 1");
    }

    #[test]
    fn what_could_cost_a_failover_is_reported() {
        let fine = |sentinel| view(sentinel, "p:1", 2, 2);
        assert_found(
            &[fine("a"), silent("b", Reason::Timeout)],
            Warning,
            "the Sentinel at b names no primary: words",
        );
        assert_found(&[silent("a", Reason::WrongPassword)], Problem, "a login of their own: redis.sentinel");
        assert_found(
            &[fine("a"), view("b", "q:1", 2, 2)],
            Problem,
            "different primaries of m: p:1 by a; q:1 by b",
        );
        assert_found(&[view("a", "p:1", 3, 1)], Problem, "knows 2 in all, and 3 must agree");
        assert_found(&[view("a", "p:1", 1, 0)], Warning, "with fewer than three");
        assert_found(&[view("a", "p:1", 2, 4)], Notice, "the address has 3 of 5 Sentinels");
        let mut down = fine("a");
        down.state.as_mut().unwrap().flags = "s_down,master".into();
        assert_found(&[down], Warning, "does not reach the primary: s_down,master");
        let mut alone = fine("a");
        alone.replicas = Result::Ok(Vec::new());
        assert_found(&[alone], Warning, "no replica");
        let mut cut = fine("a");
        cut.replicas = Result::Ok(vec![ReplicaView {
            at: "r:1".into(),
            reached: Err(Failure::new(Reason::Refused, "refused")),
        }]);
        assert_found(&[cut], Warning, "announce as r:1 can't be reached: refused");
        let mut narrow = fine("a");
        narrow.state = Err(Failure::new(Reason::NoPermission, "NOPERM"));
        narrow.replicas = Err(Failure::new(Reason::NoPermission, "NOPERM"));
        assert_found(&[narrow], Unknown, "`streamwarden acl` prints the rule for the Sentinels");
    }
}
