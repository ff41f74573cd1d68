//! The diagnosis without a connection: which step failed, and what to try.

use super::{
    Area::{Connection, Retention},
    Diagnosis, Finding,
    Level::{Notice, Ok, Problem},
    cluster::useless_seed,
    connection::secrecy,
    failed_step::{advice, step},
    sentinels,
};
use crate::{
    config::{Address, Config},
    model::{Failure, NodeAddress, SeedFacts, SentinelView},
};

/// Diagnoses a failed connection. `seeds` are the nodes of `redis.nodes`, none of which was of use.
#[must_use]
pub(crate) fn unreachable(
    config: &Config,
    address: Option<&Address>,
    views: &[SentinelView],
    seeds: &[(NodeAddress, SeedFacts)],
    failure: &Failure,
) -> Diagnosis {
    let place = address.map_or("the address".to_owned(), ToString::to_string);
    let names_none = !views.is_empty() && views.iter().all(|view| view.primary.is_err());
    let (step, advice) = if names_none {
        ("no Sentinel names the primary", "look at what each of them says")
    } else {
        (step(failure.reason), advice(failure.reason))
    };
    let what = format!("no connection to {place}: {step}");
    let meaning = format!("{advice}; error: {}", failure.detail);
    let mut findings = vec![Finding::new(Connection, Problem, what, meaning)];
    findings.extend(seeds.iter().filter_map(|(address, seed)| useless_seed(address, seed)));
    for (secret, path) in config.redis.access.files() {
        let what = format!("the {secret} is read from {}", path.display());
        findings.push(Finding::new(Connection, Ok, what, "again for each connection"));
    }
    if let Some(path) = config.redis.sentinel.file() {
        let what = format!("the Sentinels' password is read from {}", path.display());
        findings.push(Finding::new(Connection, Ok, what, "again for each connection"));
    }
    let service = address.and_then(Address::service);
    findings.extend(service.into_iter().flat_map(|service| sentinels::findings(service, views)));
    if let Some(address) = address {
        let user = address.user().map_or("the default user".to_owned(), |user| format!("user {user}"));
        let password = if address.has_password() { "with a password" } else { "without a password" };
        let encryption = if address.is_tls() { "TLS" } else { "no TLS" };
        let what = format!("{user}, {password}, {encryption}, database {}", address.database());
        findings.push(Finding::new(Connection, Ok, what, ""));
        findings.extend(secrecy(config, address));
    }
    findings.extend(super::limits::configured(config));
    Diagnosis::new(findings)
}

/// The diagnosis of a sidecar that is switched off.
#[must_use]
pub(crate) fn unused() -> Diagnosis {
    let what = "the sidecar is switched off (enabled: false)";
    Diagnosis::new(vec![Finding::new(Retention, Notice, what, "it uses no Redis, so none was checked")])
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;
    use crate::model::Reason;

    #[test]
    fn each_failed_step_has_its_advice_and_the_configuration_is_still_checked() {
        for (uri, reason, what, meaning) in [
            ("redis://h:1", Reason::Refused, "h:1: nothing listens", "`bind`"),
            ("redis://h", Reason::Dns, "no address", "getent"),
            ("redis://h", Reason::Timeout, "in time", "firewalls"),
            ("redis://h", Reason::Closed, "closed", "server's log"),
            ("redis://u:s3cret@h", Reason::WrongPassword, "wrong", "%40"),
            ("redis://h", Reason::Quota, "quota is exhausted", "--cost"),
        ] {
            let case = Case::new(uri, "");
            let diagnosis =
                unreachable(&case.config, Some(&case.address), &[], &[], &Failure::new(reason, "words"));
            let first = &diagnosis.findings[0];
            assert!(first.level == Problem && first.what.contains(what), "{}", first.what);
            assert!(first.meaning.contains(meaning) && first.meaning.ends_with("words"), "{}", first.meaning);
            assert!(diagnosis.findings.iter().any(|it| it.what.contains("nothing is ever deleted")));
            assert!(!format!("{diagnosis:?}").contains("s3cret"));
        }
    }
}
