//! Every command that the sidecar may send to read. None of them writes, creates or touches anything.

use redis::Cmd;

use crate::model::{Name, StreamId};

/// The `COUNT` of a `SCAN`, the keys that it visits: about a millisecond of the server's time.
const SCAN_COUNT: usize = 1_000;

macro_rules! labels {
    ($($variant:pat => $label:literal,)*) => {
        impl Command<'_> {
            /// Every value of the label.
            pub const LABELS: &'static [&'static str] = &[$($label,)*];

            const fn name(&self) -> &'static str {
                match self { $($variant => $label,)* }
            }
        }
    };
}

/// A command that can be sent: one of these, which read, or one of `retention`, which may write.
pub trait Request {
    /// The value of the `command` label.
    fn label(&self) -> &'static str;
    /// The command with its arguments, ready to be sent.
    fn encode(&self) -> Cmd;
    /// Whether the command may be sent again if it is unknown whether the server has executed it. False for commands that
    /// change something.
    fn may_repeat(&self) -> bool;
    /// Whether it checks by itself all that it depends on, so that it may be sent to a node that nothing was read from.
    fn checks_again(&self) -> bool {
        self.may_repeat()
    }
    /// The key that it is about, which decides which node of a cluster it is for; `None` for one that is about the server.
    fn key(&self) -> Option<&[u8]>;
    /// Whether strings over 64 KiB in its reply are names, which are needed whole.
    fn has_long_names(&self) -> bool {
        false
    }
}

/// A command with its arguments.
#[derive(Debug, Clone, Copy)]
pub enum Command<'a> {
    /// `HELLO 3`: the server, its version and its role.
    Hello,
    /// `INFO server`, for servers without `HELLO`. It has one section, since old servers refuse several.
    InfoServer,
    /// `INFO`: the role, how long a replica's link to its primary has been down, and whether writes are accepted. It has no
    /// section, since old servers refuse several.
    Info,
    /// `ROLE`: the role, and whether a replica's link to its primary is up.
    Role,
    /// `CLIENT SETNAME streamwarden`, so that `CLIENT LIST` shows the sidecar's name.
    SetName,
    /// `CLIENT NO-TOUCH ON`, so that reads do not keep a key from eviction. Redis 7.2 and later.
    NoTouch,
    /// `TIME`, the clock that entry IDs come from.
    Time,
    /// `SCAN cursor COUNT 1000 TYPE stream`.
    Scan(u64),
    /// `XINFO STREAM key FULL COUNT 1`: everything except the last entry and the pending entries after the first.
    ///
    /// `COUNT 0` would mean no limit.
    StreamFull(&'a Name),
    /// `XINFO STREAM key`, which includes the first and the last entry with their fields.
    StreamSummary(&'a Name),
    /// `XLEN key`.
    Length(&'a Name),
    /// `XINFO GROUPS key`.
    Groups(&'a Name),
    /// `XPENDING key group start + count`. The option `IDLE` would make the server read the whole list.
    Pending(&'a Name, &'a Name, StreamId, u64),
    /// `XRANGE key start + COUNT 1`.
    First(&'a Name, StreamId),
    /// `XREVRANGE key end start COUNT n`, both ends included, since old servers have no exclusive ranges.
    Newest(&'a Name, StreamId, StreamId, u64),
    /// `XRANGE key - (end COUNT n`. Redis 6.2 and later.
    Before(&'a Name, StreamId, u64),
    /// `ASKING`: the next command is executed although its slot is only about to move here.
    Asking,
    /// `READONLY`: a replica of a cluster answers instead of redirecting to its primary.
    ReadOnly,
    /// `CLUSTER SHARDS`: the nodes of the cluster and their slots. Redis 7.0 and later.
    ClusterShards,
    /// `CLUSTER SLOTS`: the same, for older servers.
    ClusterSlots,
    /// `GET key`: the holder of the lease.
    Get(&'a str),
    /// `PTTL key`.
    TimeToLive(&'a str),
}

labels! {
    Self::Hello => "hello",
    Self::InfoServer | Self::Info => "info",
    Self::Role => "role",
    Self::SetName => "client_setname",
    Self::NoTouch => "client_no_touch",
    Self::Time => "time",
    Self::Scan(_) => "scan",
    Self::StreamFull(_) => "xinfo_stream_full",
    Self::StreamSummary(_) => "xinfo_stream",
    Self::Length(_) => "xlen",
    Self::Groups(_) => "xinfo_groups",
    Self::Pending(..) => "xpending",
    Self::First(..) | Self::Before(..) => "xrange",
    Self::Newest(..) => "xrevrange",
    Self::Asking => "asking",
    Self::ReadOnly => "readonly",
    Self::ClusterShards => "cluster_shards",
    Self::ClusterSlots => "cluster_slots",
    Self::Get(_) => "get",
    Self::TimeToLive(_) => "pttl",
}

impl Request for Command<'_> {
    fn label(&self) -> &'static str {
        self.name()
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Hello
            | Self::InfoServer
            | Self::Info
            | Self::Role
            | Self::SetName
            | Self::NoTouch
            | Self::Time
            | Self::Scan(_)
            | Self::Asking
            | Self::ReadOnly
            | Self::ClusterShards
            | Self::ClusterSlots => None,
            Self::StreamFull(stream)
            | Self::StreamSummary(stream)
            | Self::Length(stream)
            | Self::Groups(stream)
            | Self::Pending(stream, ..)
            | Self::First(stream, _)
            | Self::Newest(stream, ..)
            | Self::Before(stream, ..) => Some(stream.as_bytes()),
            Self::Get(key) | Self::TimeToLive(key) => Some(key.as_bytes()),
        }
    }

    fn has_long_names(&self) -> bool {
        // The last three are sent in one pipeline with `SCAN`, whose names must stay whole.
        matches!(
            self,
            Self::Scan(_)
                | Self::Groups(_)
                | Self::Pending(..)
                | Self::Hello
                | Self::Role
                | Self::Info
                | Self::ClusterShards
                | Self::ClusterSlots
        )
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Hello => cmd.arg("HELLO").arg(3),
            Self::InfoServer => cmd.arg("INFO").arg("server"),
            Self::Info => cmd.arg("INFO"),
            Self::Role => cmd.arg("ROLE"),
            Self::SetName => cmd.arg("CLIENT").arg("SETNAME").arg(env!("CARGO_PKG_NAME")),
            Self::NoTouch => cmd.arg("CLIENT").arg("NO-TOUCH").arg("ON"),
            Self::Time => cmd.arg("TIME"),
            Self::Scan(cursor) => {
                cmd.arg("SCAN").arg(*cursor).arg("COUNT").arg(SCAN_COUNT).arg("TYPE").arg("stream")
            }
            Self::StreamFull(stream) => {
                cmd.arg("XINFO").arg("STREAM").arg(stream.as_bytes()).arg("FULL").arg("COUNT").arg(1)
            }
            Self::StreamSummary(stream) => cmd.arg("XINFO").arg("STREAM").arg(stream.as_bytes()),
            Self::Length(stream) => cmd.arg("XLEN").arg(stream.as_bytes()),
            Self::Groups(stream) => cmd.arg("XINFO").arg("GROUPS").arg(stream.as_bytes()),
            Self::Pending(stream, group, from, count) => {
                let key = cmd.arg("XPENDING").arg(stream.as_bytes()).arg(group.as_bytes());
                key.arg(from.to_string()).arg("+").arg(*count)
            }
            Self::First(stream, from) => {
                let key = cmd.arg("XRANGE").arg(stream.as_bytes());
                key.arg(from.to_string()).arg("+").arg("COUNT").arg(1)
            }
            Self::Newest(stream, up_to, from, count) => {
                let key = cmd.arg("XREVRANGE").arg(stream.as_bytes());
                key.arg(up_to.to_string()).arg(from.to_string()).arg("COUNT").arg(*count)
            }
            Self::Before(stream, end, count) => {
                let key = cmd.arg("XRANGE").arg(stream.as_bytes());
                key.arg("-").arg(format!("({end}")).arg("COUNT").arg(*count)
            }
            Self::Asking => cmd.arg("ASKING"),
            Self::ReadOnly => cmd.arg("READONLY"),
            Self::ClusterShards => cmd.arg("CLUSTER").arg("SHARDS"),
            Self::ClusterSlots => cmd.arg("CLUSTER").arg("SLOTS"),
            Self::Get(key) => cmd.arg("GET").arg(*key),
            Self::TimeToLive(key) => cmd.arg("PTTL").arg(*key),
        };
        cmd
    }
}
