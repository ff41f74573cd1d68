//! The diagnosis without a connection: which step failed, and what to try.

use super::{
    Area::{Connection, Retention},
    Diagnosis, Finding,
    Level::{Notice, Ok, Problem},
    cluster::useless_seed,
    connection::secrecy,
    sentinels,
};
use crate::{
    config::{Address, Config},
    model::{Failure, NodeAddress, Reason, SeedFacts, SentinelView},
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

#[expect(clippy::wildcard_enum_match_arm, reason = "of the many reasons a few are those of a connection")]
pub(super) fn step(reason: Reason) -> &'static str {
    match reason {
        Reason::Address => "the address can't be used",
        Reason::Dns => "the host name has no address",
        Reason::Refused => "nothing listens there",
        Reason::Timeout => "no answer in time",
        Reason::Closed => "the connection was closed at once",
        Reason::Tls => "TLS failed",
        Reason::NoAuth => "the server requires a password",
        Reason::WrongPassword => "the user or the password is wrong",
        Reason::MaxClients => "the server accepts no more clients",
        Reason::Protected => "the server is in protected mode",
        Reason::Sentinel => "the server is a Sentinel, or no Sentinel names the primary",
        Reason::Protocol => "the server is not Redis",
        Reason::Quota => "the plan's quota is exhausted",
        Reason::Loading => "the server is loading its data",
        Reason::Busy => "the server is busy with a script",
        Reason::NoPermission => "the user may not run HELLO",
        reason => reason.as_str(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "of the many reasons a few are those of a connection")]
pub(super) fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::Address => "correct it, or the file that holds it",
        Reason::Dns => "check the spelling, and that this machine resolves the name (`getent hosts HOST`)",
        Reason::Refused => "check the port, that Redis runs, and that its `bind` includes that address",
        Reason::Timeout => "check routes, firewalls and network policies, or raise redis.connect_timeout",
        Reason::Closed => "check whether something else listens there, and the server's log",
        Reason::Tls => "compare the address and redis.tls with the server's settings",
        Reason::NoAuth => "set redis.password_file, redis.password, or a password in the address",
        Reason::WrongPassword => {
            "check both; in an address special characters are percent-encoded (`@` is `%40`), in redis.password they are not"
        }
        Reason::Protected => {
            "without a password Redis accepts connections from its own machine only: set `requirepass` or users there, \
             and redis.password_file here"
        }
        Reason::Sentinel => {
            "write redis+sentinel://HOST:26379/SERVICE; `SENTINEL MASTERS` shows the services that a Sentinel watches"
        }
        Reason::MaxClients => "raise maxclients, or disconnect unused clients",
        Reason::Quota => {
            "upgrade the plan, wait for the next period, or close unused connections; \
             `streamwarden check-config --cost` shows the number of the sidecar's own commands"
        }
        Reason::Loading => "wait until it has finished",
        Reason::Busy => "wait for the script to end",
        Reason::NoPermission => "`streamwarden acl` prints the rule that the user needs",
        _ => "check that Redis listens there",
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;

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
