//! What a Redis user must be permitted to do, and what was found out about it.

use super::{Failure, Name, Server};

macro_rules! permissions {
    ($($variant:ident $text:literal,)*) => {
        /// A command that the sidecar may send, as rules for users name it.
        #[expect(missing_docs, reason = "each is the command of its name")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission { $($variant,)* }

        impl Permission {
            /// The command, as it stands behind a `+`.
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
    Time "time",
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
    Get "get",
    Set "set",
    Pexpire "pexpire",
    Del "del",
}

impl Permission {
    /// The command, as it stands behind a `+` in this server's rules: some know no subcommands.
    #[must_use]
    pub fn word(self, server: &Server) -> &'static str {
        let word = self.as_str();
        let whole = word.split_once('|').map_or(word, |(whole, _subcommand)| whole);
        if server.terms().has_fine_rules { word } else { whole }
    }

    /// Whether the command has a key, so that it is permitted on some keys and not on others.
    #[must_use]
    pub const fn has_key(self) -> bool {
        !matches!(
            self,
            Self::ClientSetName | Self::ClientNoTouch | Self::Hello | Self::Select | Self::Time | Self::Scan
        )
    }
}

/// What the sidecar needs permissions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Reading the streams.
    Observing,
    /// Looking for streams.
    Discovery,
    /// Counting entries, to prove lags that nothing else proves.
    Counting,
    /// Removing entries.
    Retention,
    /// Removing them to the entry.
    Exact,
    /// Agreeing on the one sidecar that removes them.
    Lease,
}

/// A permission that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What for.
    pub feature: Feature,
    /// The command.
    pub permission: Permission,
    /// On these keys, or on samples of them; empty for a command without a key, and where no key is known.
    pub keys: Vec<Name>,
}

/// Whether the server would let the user do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It would.
    Permitted,
    /// It would not.
    Refused,
    /// It does not know the command.
    Absent,
    /// Nothing harmless tells.
    Unknown(Failure),
}

/// A need, and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The need.
    pub need: Need,
    /// By key; a command without one has a single answer.
    pub answers: Vec<(Option<Name>, Answer)>,
}

/// How it was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `ACL DRYRUN`.
    DryRun,
    /// The commands themselves: those that write, with arguments that no server takes.
    Trial,
}
