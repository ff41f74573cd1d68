//! Why Redis gave no answer: a closed set of reasons, which is also the `reason` label.

use std::{fmt, time::Duration};

use super::Text;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal $class:ident,)*) => {
        /// Why a command, a connection or a poll failed.
        ///
        /// Errors of the server are told apart by their first word; the text behind it differs with versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value of the `reason` label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What there is to do about it.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

reasons! {
    /// Nobody listens at the address.
    Refused "refused" Reconnect,
    /// The connection was closed or reset.
    Closed "closed" Reconnect,
    /// No answer within the time that the configuration gives.
    Timeout "timeout" Reconnect,
    /// The host's name has no address.
    Dns "dns" Reconnect,
    /// The TLS handshake failed, the certificate is not to be trusted, or only one side speaks TLS.
    Tls "tls" Reconnect,
    /// The operating system refused: unreachable, not allowed, out of descriptors.
    Io "io" Reconnect,
    /// The reply was not Redis's protocol.
    Protocol "protocol" Reconnect,
    /// The reply was Redis's protocol, but not what this command answers.
    UnexpectedReply "unexpected_reply" Object,
    /// The address or a secret could not be read, or is not an address.
    Address "address" Reconnect,
    /// The server wants a password.
    NoAuth "noauth" Reconnect,
    /// The user or the password is wrong.
    WrongPassword "wrongpass" Reconnect,
    /// The server is in protected mode: it takes connections from its own machine only.
    Protected "protected" Reconnect,
    /// It is a Sentinel that answers, and no Redis with data.
    Sentinel "sentinel" Reconnect,
    /// The server takes no more clients.
    MaxClients "maxclients" Reconnect,
    /// The server is loading its data set.
    Loading "loading" Server,
    /// A hosted server's plan allows no more requests, or no more connections, for now.
    Quota "quota" Server,
    /// A script or function of somebody's is running.
    Busy "busy" Server,
    /// A replica without its primary that may not serve stale data.
    MasterDown "masterdown" Server,
    /// A replica without its primary: what it has is old, and it serves it as if it were not.
    ReplicaLinkDown "replica_link_down" Server,
    /// A replica answers, and the configuration wants a primary.
    Replica "replica" Reconnect,
    /// The server was a primary and is a replica now, or the other way.
    RoleChanged "role_changed" Reconnect,
    /// The cluster does not serve this slot.
    ClusterDown "clusterdown" Server,
    /// The cluster is moving this slot.
    TryAgain "tryagain" Server,
    /// The key lives on another node of a cluster.
    Moved "moved" Object,
    /// The command's keys live in different slots.
    CrossSlot "crossslot" Object,
    /// The server is a replica, which takes no writes: behind the same name a primary may answer.
    ReadOnly "readonly" Reconnect,
    /// The user may not run the command, or not on this key.
    NoPermission "noperm" Object,
    /// The key holds another type.
    WrongType "wrongtype" Object,
    /// There is no such key.
    NoKey "nokey" Object,
    /// There is no such group.
    NoGroup "nogroup" Object,
    /// The server closes the connection rather than answer: the answer is larger than its limits allow.
    TooLarge "too_large" Object,
    /// The server does not know `XINFO`: its configuration renames it, or it is no Redis.
    NoXinfo "no_xinfo" Object,
    /// The server does not know the command or its option.
    Unsupported "unsupported" Object,
    /// Memory is above `maxmemory`.
    OutOfMemory "oom" Object,
    /// A hosted server's plan allows no more data, or no larger stream: writes that add are refused. Reading and trimming
    /// still work, and trimming is the cure.
    Capacity "capacity" Object,
    /// The server cannot persist and takes no writes.
    Misconfigured "misconf" Object,
    /// Too few replicas are connected for a write.
    NoReplicas "noreplicas" Object,
    /// Any other error.
    Other "other" Object,
}

impl Reason {
    /// How long to wait at least before anything is sent again; `None` where the usual back-off will do.
    ///
    /// A quota lasts until a plan changes, its period is over or other clients leave, and each try may count against it.
    #[must_use]
    pub const fn least_wait(self) -> Option<Duration> {
        if matches!(self, Self::Quota) { Some(Duration::from_mins(2)) } else { None }
    }
}

/// What a reason asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The connection is of no use any more: drop it, wait, and make a new one.
    Reconnect,
    /// The server as a whole can't answer now: keep the connection, and ask again later.
    Server,
    /// Only this key, group or command failed: the rest stands.
    Object,
}

/// A failure: its reason, and what was said about it. The detail never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, from the closed set.
    pub reason: Reason,
    /// The server's or the system's own words, for people only.
    pub detail: Text,
    /// Since when it is so, by this machine's clock since the Unix epoch; `None` where nothing says.
    pub since: Option<Duration>,
}

impl Failure {
    /// A failure with the words that describe it.
    pub fn new(reason: Reason, detail: impl Into<Text>) -> Self {
        Self { reason, detail: detail.into(), since: None }
    }

    /// The same with the place where it happened, behind its words: the server's code stands first in them.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> Self {
        Self { detail: format!("{}, at {place}", self.detail).into(), ..self }
    }

    /// The server's own words, where the reason leaves out what only they tell: which quota it is, and how much of it is
    /// used. Everybody who may see the reason may see them.
    #[must_use]
    pub fn words(&self) -> Option<&Text> {
        (self.reason == Reason::Quota).then_some(&self.detail)
    }

    /// The server's own code, as in `WRONGTYPE`, where it was the server that spoke: its words begin with it.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let first = self.detail.split(' ').next()?;
        let is_code = first.len() > 1 && first.bytes().all(|byte| byte.is_ascii_uppercase());
        Some(first).filter(|_| is_code)
    }

    /// Whether the user may run the command, and not on this key.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        // `access a key` since Redis 8 and in Valkey, `access one of the keys used as arguments` before.
        let words = self.detail.to_ascii_lowercase();
        self.reason == Reason::NoPermission && words.contains("to access") && words.contains("key")
    }

    /// Whether it says that there is no such stream: no such key, or one of another type.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self.reason, Reason::NoKey | Reason::WrongType)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.detail)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_servers_code_is_told_from_other_words() {
        let code = |detail: &str| Failure::new(Reason::Other, detail).code().map(str::to_owned);
        assert_eq!(code("WRONGTYPE Operation against a key").as_deref(), Some("WRONGTYPE"));
        assert_eq!(code("BUSY").as_deref(), Some("BUSY"));
        for detail in ["no answer within 5s", "Connection refused (os error 111)", "I/O error", ""] {
            assert_eq!(code(detail), None, "{detail}");
        }
    }

    #[test]
    fn a_key_that_is_refused_is_told_from_a_command_that_is() {
        for (words, is_of_key) in [
            ("NOPERM this user has no permissions to access one of the keys used as arguments", true),
            ("NOPERM No permissions to access a key", true),
            ("NOPERM this user has no permissions to run the 'xinfo' command or its subcommand", false),
            ("NOPERM User w has no permissions to run the 'xinfo|stream' command", false),
            ("NOPERM User w has no permissions to run the 'keys' command", false),
            ("NOPERM", false),
        ] {
            assert_eq!(Failure::new(Reason::NoPermission, words).is_of_key(), is_of_key, "{words}");
            assert!(!Failure::new(Reason::Other, words).is_of_key());
        }
    }

    #[test]
    fn each_reason_has_a_label_of_its_own() {
        let labels: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }
}
