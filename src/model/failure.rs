//! Why Redis gave no answer: a closed set of reasons, which are also the values of the `reason` label.

use std::{fmt, time::Duration};

use super::Text;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal $class:ident,)*) => {
        /// Why a command, a connection or a poll failed.
        ///
        /// An error from the server is recognised by its first word. The text after it differs between versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All reasons, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value of the `reason` label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            const fn class(self) -> Class {
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
    /// No answer within the configured time.
    Timeout "timeout" Reconnect,
    /// The host name has no address.
    Dns "dns" Reconnect,
    /// The TLS handshake failed, the certificate is not trusted, or only one side uses TLS.
    Tls "tls" Reconnect,
    /// The operating system refused: unreachable, not permitted, out of file descriptors.
    Io "io" Reconnect,
    /// The reply is not in Redis's protocol.
    Protocol "protocol" Reconnect,
    /// The reply is in Redis's protocol, but is not what this command returns.
    UnexpectedReply "unexpected_reply" Object,
    /// The address is invalid, or it or a secret could not be read.
    Address "address" Reconnect,
    /// The server requires a password.
    NoAuth "noauth" Reconnect,
    /// The user or the password is wrong.
    WrongPassword "wrongpass" Reconnect,
    /// The server is in protected mode: it accepts connections from its own machine only.
    Protected "protected" Reconnect,
    /// The server is a Sentinel, which holds no data, or no Sentinel names the primary.
    Sentinel "sentinel" Reconnect,
    /// The server accepts no more clients.
    MaxClients "maxclients" Reconnect,
    /// The server is loading its data set.
    Loading "loading" Server,
    /// A hosted server's plan allows no more requests or connections for now.
    Quota "quota" Server,
    /// The server is busy with another client's script or function.
    Busy "busy" Server,
    /// A replica has lost its primary and may not serve stale data.
    MasterDown "masterdown" Server,
    /// A replica has lost its primary and serves stale data.
    ReplicaLinkDown "replica_link_down" Server,
    /// The server is a replica, and the configuration requires a primary, as an address with Sentinels does.
    Replica "replica" Reconnect,
    /// The server was a primary and is a replica now, or the reverse, or the Sentinels name another primary.
    RoleChanged "role_changed" Reconnect,
    /// The cluster is down, or no node serves the key's slot. [`Failure::class`] tells these apart.
    ClusterDown "clusterdown" Server,
    /// The cluster is moving the slot of these keys.
    TryAgain "tryagain" Object,
    /// The key is on another node of the cluster.
    Moved "moved" Object,
    /// The cluster is moving the key's slot, and another node has the key already.
    Ask "ask" Object,
    /// The node of the cluster that owns the key's slot can't be reached.
    Unreachable "unreachable" Object,
    /// The command's keys are in different slots.
    CrossSlot "crossslot" Object,
    /// The server is a replica, which accepts no writes. The same address may lead to a primary later.
    ReadOnly "readonly" Reconnect,
    /// The user may not run the command, or not on this key.
    NoPermission "noperm" Object,
    /// The key holds another type.
    WrongType "wrongtype" Object,
    /// There is no such key.
    NoKey "nokey" Object,
    /// There is no such group.
    NoGroup "nogroup" Object,
    /// The server closes the connection instead of answering, since the answer is larger than its limits allow.
    TooLarge "too_large" Object,
    /// The server does not know `XINFO`: it is renamed in its configuration, or the server is not Redis.
    NoXinfo "no_xinfo" Object,
    /// The server does not know the command or its option.
    Unsupported "unsupported" Object,
    /// Memory is above `maxmemory`.
    OutOfMemory "oom" Object,
    /// A hosted server's plan allows no more data, or no larger stream. Writes that add are refused. Reads and
    /// trims still work, and a trim makes room.
    Capacity "capacity" Object,
    /// The server cannot persist its data and accepts no writes.
    Misconfigured "misconf" Object,
    /// Too few replicas are connected for a write.
    NoReplicas "noreplicas" Object,
    /// Any other error.
    Other "other" Object,
}

impl Reason {
    /// The shortest wait before a retry; `None` where the usual back-off applies.
    ///
    /// A quota lasts until the plan changes, its period is over or other clients leave. Each retry may count
    /// against it.
    #[must_use]
    pub const fn least_wait(self) -> Option<Duration> {
        if matches!(self, Self::Quota) { Some(Duration::from_mins(2)) } else { None }
    }
}

/// How to react to a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The connection is unusable: drop it, wait, and open a new one.
    Reconnect,
    /// The whole server can't answer now: keep the connection and retry later.
    Server,
    /// Only this key, group or command failed; the other results are valid.
    Object,
}

/// A failure: its reason and a description, which never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, from the closed set.
    pub reason: Reason,
    /// The message of the server or of the system, for people only.
    pub detail: Text,
    /// When it began, in this machine's time since the Unix epoch; `None` where that is unknown.
    pub since: Option<Duration>,
}

impl Failure {
    /// A failure with this description.
    pub fn new(reason: Reason, detail: impl Into<Text>) -> Self {
        Self { reason, detail: detail.into(), since: None }
    }

    /// Adds the place where it happened. It goes to the end, since the server's code must stay the first word.
    #[must_use]
    pub(crate) fn at(self, place: &str) -> Self {
        Self { detail: format!("{}, at {place}", self.detail).into(), ..self }
    }

    /// The server's message, where the reason alone is not enough: which quota is exhausted, and how much of it is
    /// used. It may be shown wherever the reason may.
    #[must_use]
    pub fn words(&self) -> Option<&Text> {
        (self.reason == Reason::Quota).then_some(&self.detail)
    }

    /// The server's error code, such as `WRONGTYPE`; `None` for a failure that is not from the server. The code is
    /// the first word of the message.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let first = self.detail.split(' ').next()?;
        let is_code = first.len() > 1 && first.bytes().all(|byte| byte.is_ascii_uppercase());
        Some(first).filter(|_| is_code)
    }

    /// How to react to it. A slot that no node serves is a failure of its keys, although its code is that of a cluster that is
    /// down.
    #[must_use]
    pub fn class(&self) -> Class {
        let is_of_slot = self.reason == Reason::ClusterDown && self.detail.contains("Hash slot not served");
        if is_of_slot { Class::Object } else { self.reason.class() }
    }

    /// Whether the user may run the command, but not on this key.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        // Redis 8 and Valkey say `access a key`, older Redis `access one of the keys used as arguments`.
        let words = self.detail.to_ascii_lowercase();
        self.reason == Reason::NoPermission && words.contains("to access") && words.contains("key")
    }

    /// The command that the user may not run, as it is written: `XINFO STREAM`. `None` for any other failure, and where the server does
    /// not name it.
    #[must_use]
    pub fn refused_command(&self) -> Option<String> {
        let (_, rest) = self.detail.split_once("permissions to run the '")?;
        let (command, _) = rest.split_once('\'').filter(|_| self.reason == Reason::NoPermission)?;
        Some(command.replace('|', " ").to_ascii_uppercase())
    }

    /// Whether the stream does not exist: the key is missing, or holds another type.
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
    fn the_code_of_the_server_is_recognised() {
        let code = |detail: &str| Failure::new(Reason::Other, detail).code().map(str::to_owned);
        assert_eq!(code("WRONGTYPE Operation against a key").as_deref(), Some("WRONGTYPE"));
        assert_eq!(code("BUSY").as_deref(), Some("BUSY"));
        for detail in ["no answer within 5s", "Connection refused (os error 111)", "I/O error", ""] {
            assert_eq!(code(detail), None, "{detail}");
        }
    }

    #[test]
    fn a_refused_key_is_distinguished_from_a_refused_command() {
        for (words, is_of_key, command) in [
            ("NOPERM this user has no permissions to access one of the keys used as arguments", true, None),
            ("NOPERM No permissions to access a key", true, None),
            (
                "NOPERM this user has no permissions to run the 'xinfo' command or its subcommand",
                false,
                Some("XINFO"),
            ),
            (
                "NOPERM User w has no permissions to run the 'xinfo|stream' command",
                false,
                Some("XINFO STREAM"),
            ),
            ("NOPERM User w has no permissions to run the 'keys' command", false, Some("KEYS")),
            ("NOPERM User w has no permissions to run the 'keys", false, None),
            ("NOPERM", false, None),
        ] {
            let failure = Failure::new(Reason::NoPermission, words);
            assert_eq!(failure.is_of_key(), is_of_key, "{words}");
            assert_eq!(failure.refused_command().as_deref(), command, "{words}");
            let other = Failure::new(Reason::Other, words);
            assert!(!other.is_of_key() && other.refused_command().is_none());
        }
    }

    #[test]
    fn a_slot_without_a_node_is_a_failure_of_its_keys_and_a_cluster_that_is_down_of_all() {
        let class = |detail: &str| Failure::new(Reason::ClusterDown, detail).class();
        assert_eq!(class("CLUSTERDOWN Hash slot not served"), Class::Object);
        assert_eq!(class("CLUSTERDOWN The cluster is down"), Class::Server);
        assert_eq!(class("CLUSTERDOWN The cluster is down and only accepts read commands"), Class::Server);
    }

    #[test]
    fn each_reason_has_a_label_of_its_own() {
        let labels: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }
}
