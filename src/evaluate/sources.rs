//! Which servers of a reading are certainly those of the reading before.

use std::ops::BitOrAssign;

use crate::model::{Node, NodeIndex, Origin, Text};

/// A server, as far as it can be recognised in the next reading.
#[derive(Debug, Clone)]
pub(super) struct Source {
    origin: Origin,
    address: Text,
}

/// How the server of a stream relates to that of the reading before. By default it is certainly the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// It may be another one.
    pub(super) may_be_new: bool,
    /// It may lack the last changes that the other one had.
    pub(super) may_be_behind: bool,
    /// It is certainly another one, or has been restarted.
    pub(super) is_another: bool,
}

/// The servers of a reading, compared with those of the reading before.
pub(super) struct Sources<'a> {
    now: &'a [Source],
    before: &'a [Source],
    /// For each server, which one of the reading before it certainly is.
    was: Vec<Option<NodeIndex>>,
    /// Whether any other server may lack the last changes.
    may_be_behind: bool,
}

impl Source {
    pub(super) fn new(node: &Node) -> Self {
        Self { origin: node.origin.clone(), address: node.address.clone() }
    }
}

impl<'a> Sources<'a> {
    pub(super) fn new(now: &'a [Source], before: &'a [Source], may_be_behind: bool) -> Self {
        let was = |source: &Source| {
            let index = before.iter().position(|before| source.origin.is_same(&before.origin));
            index.and_then(|index| NodeIndex::try_from(index).ok())
        };
        Self { now, before, was: now.iter().map(was).collect(), may_be_behind }
    }

    /// Whether one of the servers may be another one than each of the reading before.
    pub(super) fn any_is_new(&self) -> bool {
        self.was.contains(&None)
    }

    /// The server of a stream that is read from `index` and was last read from `was`, and whether it is another one.
    ///
    /// If no server was asked for the stream, it is still the one of the last reading.
    pub(super) fn of(&self, index: NodeIndex, was: Option<NodeIndex>) -> (NodeIndex, Change) {
        let Some(source) = self.now.get(usize::from(index)) else {
            let still = was.and_then(|was| self.still(was));
            return still.map_or((index, self.unknown()), |still| (still, Change::default()));
        };
        let before = self.was.get(usize::from(index)).copied().flatten();
        if before.is_some_and(|before| was.is_none_or(|was| was == before)) {
            return (index, Change::default());
        }
        let from = was.and_then(|was| self.before.get(usize::from(was)));
        let is_elsewhere = from.is_some_and(|from| from.address != source.address);
        let is_another = is_elsewhere || from.is_some_and(|from| source.origin.is_another(&from.origin));
        // Only a failover or a migration leads to another address for the same data.
        let may_be_behind = self.may_be_behind || is_elsewhere;
        (index, Change { is_another, may_be_behind, ..self.unknown() })
    }

    /// The place of a server of the last reading in this one, if it certainly is among its servers.
    pub(super) fn still(&self, was: NodeIndex) -> Option<NodeIndex> {
        let still = self.was.iter().position(|before| *before == Some(was))?;
        NodeIndex::try_from(still).ok()
    }

    const fn unknown(&self) -> Change {
        Change { may_be_new: true, may_be_behind: self.may_be_behind, is_another: false }
    }
}

impl BitOrAssign for Change {
    fn bitor_assign(&mut self, more: Self) {
        self.may_be_new |= more.may_be_new;
        self.may_be_behind |= more.may_be_behind;
        self.is_another |= more.is_another;
    }
}
