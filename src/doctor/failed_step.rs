//! The step at which a connection failed, and what to try.

use crate::model::Reason;

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
