//! The permissions that the sidecar's Redis user needs, and the result of testing them.

use super::{Failure, Name, Server};

macro_rules! permissions {
    ($($variant:ident $text:literal,)*) => {
        /// A command that the sidecar may send, as ACL rules spell it.
        #[expect(missing_docs, reason = "each is the command of its name")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission { $($variant,)* }

        impl Permission {
            /// The command, as it follows a `+` in ACL rules.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

permissions! {
    ClientSetName "client|setname",
    ClientNoTouch "client|no-touch",
    Hello "hello",
    Select "select",
    ClusterShards "cluster|shards",
    ClusterSlots "cluster|slots",
    Asking "asking",
    ReadOnly "readonly",
    Role "role",
    Time "time",
    Info "info",
    Scan "scan",
    XinfoStream "xinfo|stream",
    XinfoGroups "xinfo|groups",
    Xlen "xlen",
    Xpending "xpending",
    Xrange "xrange",
    Xrevrange "xrevrange",
    Eval "eval",
    Xtrim "xtrim",
    Xdel "xdel",
    Xack "xack",
    Xadd "xadd",
    Xclaim "xclaim",
    XgroupCreate "xgroup|create",
    XgroupDelConsumer "xgroup|delconsumer",
    Xreadgroup "xreadgroup",
    XinfoConsumers "xinfo|consumers",
    MemoryUsage "memory|usage",
    Get "get",
    Set "set",
    Pexpire "pexpire",
    Del "del",
    Exists "exists",
    Unlink "unlink",
    XgroupSetId "xgroup|setid",
}

impl Permission {
    /// The command, as it follows a `+` in this server's ACL rules. Some servers know no subcommands there.
    #[must_use]
    pub fn word(self, server: &Server) -> &'static str {
        let word = self.as_str();
        let whole = word.split_once('|').map_or(word, |(whole, _subcommand)| whole);
        if server.terms().has_fine_rules { word } else { whole }
    }

    /// Whether the command takes a key, so that the permission depends on the key.
    #[must_use]
    pub const fn has_key(self) -> bool {
        !matches!(
            self,
            Self::ClientSetName
                | Self::ClientNoTouch
                | Self::Hello
                | Self::Select
                | Self::ClusterShards
                | Self::ClusterSlots
                | Self::Asking
                | Self::ReadOnly
                | Self::Role
                | Self::Time
                | Self::Info
                | Self::Scan
        )
    }
}

/// Features of the sidecar that need permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Reading the streams.
    Observing,
    /// Finding the nodes of a cluster.
    Cluster,
    /// Reading replicas.
    Replicas,
    /// Searching for streams.
    Discovery,
    /// Counting entries, for lags that nothing else proves.
    Counting,
    /// Removing entries.
    Retention,
    /// Removing entries one by one, to keep an exact limit.
    Exact,
    /// Electing the one sidecar that removes entries.
    Lease,
    /// Probing whether writing works.
    Probing,
    /// Measuring the memory of streams.
    Measuring,
    /// Acting on stuck work by rules.
    ActingRules,
    /// Acting on stuck work, with commands.
    Acting,
}

/// A permission that the configuration needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The feature that needs it.
    pub feature: Feature,
    /// The command.
    pub permission: Permission,
    /// Keys that it must hold for, or samples of them. Empty for a command without a key, and where no key is
    /// known.
    pub keys: Vec<Name>,
}

/// Whether the user has a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The user has it.
    Permitted,
    /// The user does not have it.
    Refused,
    /// The server does not know the command.
    Absent,
    /// Unknown: no harmless command reveals it.
    Unknown(Failure),
}

/// A needed permission and the result of testing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The permission.
    pub need: Need,
    /// Results by key; a single one for a command without a key.
    pub answers: Vec<(Option<Name>, Answer)>,
}

/// How permissions are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `ACL DRYRUN`.
    DryRun,
    /// Sending the commands themselves. Commands that write get arguments that every server refuses.
    Trial,
}
