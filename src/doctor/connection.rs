//! The connection to the server: encryption, latency and clocks.

use std::time::Duration;

use super::{
    Area::Connection,
    Evidence, Finding,
    Level::{Notice, Ok, Unknown, Warning},
    failed_step::{advice, step},
    sentinels,
};
use crate::{
    config::{Address, Config},
    evaluate::short,
    model::Reason,
};

/// Clocks that differ by more than this are reported.
const SKEW: Duration = Duration::from_secs(1);
/// A median round trip above this is reported, since each poll takes several.
const SLOW: Duration = Duration::from_millis(50);

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let address = evidence.address;
    let protocol = if evidence.facts.is_resp3 { "RESP3" } else { "RESP2" };
    let user = address.user().map_or("the default user".to_owned(), |user| format!("user {user}"));
    let what = format!(
        "connected to {address} as {user}, {protocol}, database {}, {}",
        address.database(),
        match (address.is_tls(), address.is_local()) {
            (true, _) => "encrypted",
            (false, true) => "on this machine",
            (false, false) => "not encrypted",
        }
    );
    let connected = Finding::new(Connection, Ok, what, "");
    away(evidence)
        .into_iter()
        .chain([connected])
        .chain(secrecy(evidence.config, address))
        .chain(
            evidence.address.service().into_iter().flat_map(|it| sentinels::findings(it, evidence.sentinels)),
        )
        .chain(latency(evidence))
        .chain([clock(evidence)])
        .collect()
}

/// The configured address, if a node of `redis.nodes` was asked in its place.
fn away(evidence: Evidence<'_>) -> Option<Finding> {
    let (address, failure) = evidence.away?;
    let what = format!(
        "no connection to {address}: {}; a node of redis.nodes was asked instead",
        step(failure.reason)
    );
    let meaning = format!(
        "the sidecar starts from redis.nodes too. If the node does not come back, give the address of another one: {}; error: {}",
        advice(failure.reason),
        failure.detail
    );
    Some(Finding::new(Connection, Warning, what, meaning))
}

/// Findings that need the configuration only.
pub(super) fn secrecy(config: &Config, address: &Address) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !address.is_tls() && !address.is_local() {
        let what = "the connection to another machine is not encrypted";
        let meaning = match (address.has_password(), address.service()) {
            (true, None) => "anyone on that network can read the password and the entries; use rediss://",
            (false, None) => "anyone on that network can read the entries; use rediss://",
            (_, Some(_)) => {
                "anyone on that network can read the password and the entries, or name another server; use rediss+sentinel://"
            }
        };
        findings.push(Finding::new(Connection, Notice, what, meaning));
    }
    let ignored = config.redis.access.ignored().iter();
    findings.extend(ignored.map(|setting| {
        Finding::new(Connection, Warning, format!("{} is ignored", setting.at), &setting.reason)
    }));
    findings
}

fn latency(evidence: Evidence<'_>) -> Option<Finding> {
    let mut trips = evidence.facts.round_trips.clone();
    trips.sort_unstable();
    let median = *trips.get(trips.len() / 2)?;
    let longest = *trips.last()?;
    let what = format!("a round trip takes {}, at most {}", precise(median), precise(longest));
    let timeout = evidence.config.redis.command_timeout;
    Some(if longest > timeout / 4 {
        let meaning = format!(
            "a pipeline must be answered within redis.command_timeout ({}); raise it, or run the sidecar closer to Redis",
            short(timeout)
        );
        Finding::new(Connection, Warning, what, meaning)
    } else if median > SLOW {
        Finding::new(Connection, Notice, what, "each poll takes several; run the sidecar closer to Redis")
    } else {
        Finding::new(Connection, Ok, what, "")
    })
}

fn clock(evidence: Evidence<'_>) -> Finding {
    let skew = match &evidence.facts.clock {
        Result::Ok(skew) => skew,
        // The missing permission has a finding of its own.
        Err(failure) if failure.reason == Reason::NoPermission => {
            let what = "the server's clock: unknown";
            return Finding::new(Connection, Unknown, what, "without TIME no age is known");
        }
        Err(failure) => return Finding::unknown(Connection, "the server's clock", "time", failure),
    };
    let apart = Duration::from_millis(skew.ms.unsigned_abs());
    if apart.saturating_sub(skew.error) <= SKEW {
        return Finding::new(Connection, Ok, "the clocks of the server and of this machine agree", "");
    }
    let side = if skew.ms > 0 { "ahead of" } else { "behind" };
    let what = format!("the server's clock is {} {side} this machine's", short(apart));
    let meaning = "ages are correct: IDs and ages use the server's clock. Timestamps of polls and trims use this machine's, \
         and Prometheus uses its own";
    Finding::new(Connection, Notice, what, meaning)
}

fn precise(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros < 10_000 {
        format!("{}.{:01} ms", micros / 1_000, micros % 1_000 / 100)
    } else {
        short(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, test_evidence::Case};
    use super::*;
    use crate::model::{ClockSkew, Failure};

    #[test]
    fn an_unencrypted_connection_to_another_machine_is_reported() {
        for (uri, levels, word) in [
            ("redis://localhost", vec![], ""),
            ("redis://:p@127.0.0.1", vec![], ""),
            ("redis://[::1]:6379", vec![], ""),
            ("redis+unix:///run/redis.sock", vec![], ""),
            ("rediss://:p@redis.example", vec![], ""),
            ("redis://redis.example", vec![Notice], "the entries"),
            ("redis://:p@10.0.0.1", vec![Notice], "the password"),
        ] {
            let case = Case::new(uri, "");
            let findings = secrecy(&case.config, &case.address);
            assert_eq!(findings.iter().map(|it| it.level).collect::<Vec<Level>>(), levels, "{uri}");
            assert!(findings.iter().all(|it| it.meaning.contains(word)), "{uri}");
        }
    }

    #[test]
    fn slow_answers_and_clocks_that_differ_are_reported() {
        for (trip_ms, level) in [(1, Ok), (60, Notice), (2_000, Warning)] {
            let mut case = Case::new("redis://localhost", "");
            case.facts.round_trips = vec![Duration::from_millis(trip_ms); 5];
            assert_eq!(latency(case.evidence()).unwrap().level, level, "{trip_ms}");
        }
        for (skew, level, words) in [
            (Result::Ok((900, 0)), Ok, "agree"),
            (Result::Ok((1_500, 600)), Ok, "agree"),
            (Result::Ok((5_000, 1)), Notice, "5s ahead of"),
            (Result::Ok((-90_000, 1)), Notice, "1m 30s behind"),
            (Err(Reason::NoPermission), Unknown, "unknown"),
        ] {
            let mut case = Case::new("redis://localhost", "");
            case.facts.clock = skew
                .map(|(ms, error)| ClockSkew { ms, error: Duration::from_millis(error) })
                .map_err(|reason| Failure::new(reason, ""));
            let finding = clock(case.evidence());
            assert_eq!(finding.level, level, "{words}");
            assert!(finding.what.contains(words), "{}", finding.what);
        }
    }
}
