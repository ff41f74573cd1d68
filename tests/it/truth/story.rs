//! A random history of one stream, `s`, with three groups.

use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    acts::act,
    oracle::{Oracle, Read},
};

/// What happens, in order.
pub(super) type Story = Vec<Op>;

/// An ID by its place: of the entries there are, or an end of all IDs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// `0`.
    Beginning,
    /// `$`.
    End,
    /// The ID of an entry, by a share of 256 of the way through the stream.
    Entry(u8),
    /// Just before such an entry.
    Before(u8),
}

/// Something that an application or an operator does, or a poll.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Poll,
    /// A look at the streams that are near a loss, where there are some.
    Reread,
    Add(u8),
    /// With an ID of the application's own: so many milliseconds behind the last.
    AddOwn(u64),
    AddMaxLen(u8),
    Read {
        group: u8,
        consumer: u8,
        count: u8,
        no_ack: bool,
    },
    /// The oldest pending entries, or the newest, so that some in the middle are acknowledged by all.
    Ack {
        group: u8,
        count: u8,
        newest: bool,
    },
    Delete(Place),
    TrimMaxLen {
        keep: u8,
        approximately: bool,
    },
    TrimMinId {
        place: Place,
        approximately: bool,
    },
    Create {
        group: u8,
        place: Place,
        entries_read: Option<u8>,
    },
    SetId {
        group: u8,
        place: Place,
        entries_read: Option<u8>,
    },
    Destroy(u8),
    Claim {
        group: u8,
        consumer: u8,
        place: Place,
    },
    AutoClaim {
        group: u8,
        consumer: u8,
    },
    /// With all that it has pending.
    DeleteConsumer {
        group: u8,
        consumer: u8,
    },
    Rare(Rare),
}

/// Something that happens to the stream as a whole, or that came with Redis 8.2 or later.
#[derive(Debug, Clone)]
pub(super) enum Rare {
    /// `DEL`, and so many entries again at once, of which so many are kept.
    Recreate(u8, u8),
    /// `RENAME` of another stream to this one, with so many entries, of which so many are kept.
    Rename(u8, u8),
    /// Notes the stream as it is.
    Dump,
    /// `RESTORE` of what was noted, or `COPY` of it.
    Restore {
        by_copy: bool,
    },
    Remove,
    /// A trim that spares what a group has not acknowledged, alone or with an entry that is added.
    TrimAcked {
        keep: u8,
        adds: bool,
    },
    /// `XDELEX`, in one of its modes.
    DeleteEx(Place, u8),
    /// `XACKDEL` of a group's oldest pending entry, in one of its modes.
    AckDelete(u8, u8),
    /// `XADD` by an idempotent producer (`IDMP`), with an ID of its own.
    AddOnce(u8),
    /// Nothing happens for a while.
    Rest,
}

impl Op {
    /// Whether it is what applications do all day.
    pub(super) fn is_ordinary(&self) -> bool {
        !self.is_by_an_operator() && !matches!(self, Self::AddOwn(_) | Self::Rare(_))
    }

    /// Whether a poll could not tell this from other things that happen between two polls: losses are reported as polls
    /// see them, so there is one on either side.
    fn is_by_an_operator(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::SetId { .. }
                | Self::Destroy(_)
                | Self::Rare(Rare::Recreate(..) | Rare::Rename(..) | Rare::Restore { .. } | Rare::Remove)
        )
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Beginning),
        Just(Place::End),
        any::<u8>().prop_map(Place::Entry),
        any::<u8>().prop_map(Place::Before),
    ]
}

/// Stories begin with some entries and a group, as streams do.
pub(super) fn stories() -> impl Strategy<Value = Story> {
    let group = 0_u8..3;
    let consumer = 0_u8..2;
    let entries_read = prop_oneof![3 => Just(None), 1 => (0_u8..40).prop_map(Some)];
    let op = prop_oneof![
        12 => Just(Op::Poll),
        8 => Just(Op::Reread),
        10 => (1_u8..12).prop_map(Op::Add),
        1 => prop_oneof![1_u64..4, Just(3_600_000)].prop_map(Op::AddOwn),
        3 => (1_u8..15).prop_map(Op::AddMaxLen),
        12 => (group.clone(), consumer.clone(), 1_u8..6, prop::bool::weighted(0.2)).prop_map(
            |(group, consumer, count, no_ack)| Op::Read { group, consumer, count, no_ack }),
        6 => (group.clone(), 1_u8..8, any::<bool>()).prop_map(|(group, count, newest)| Op::Ack { group, count, newest }),
        5 => place().prop_map(Op::Delete),
        3 => (0_u8..15, any::<bool>()).prop_map(|(keep, approximately)| Op::TrimMaxLen { keep, approximately }),
        3 => (place(), any::<bool>()).prop_map(|(place, approximately)| Op::TrimMinId { place, approximately }),
        4 => (group.clone(), place(), entries_read.clone()).prop_map(
            |(group, place, entries_read)| Op::Create { group, place, entries_read }),
        3 => (group.clone(), place(), entries_read).prop_map(
            |(group, place, entries_read)| Op::SetId { group, place, entries_read }),
        1 => group.clone().prop_map(Op::Destroy),
        2 => (group.clone(), consumer.clone(), place()).prop_map(
            |(group, consumer, place)| Op::Claim { group, consumer, place }),
        1 => (0_u8..40, 0_u8..40).prop_map(|(count, keep)| Op::Rare(Rare::Recreate(count, keep))),
        1 => (0_u8..40, 0_u8..40).prop_map(|(count, keep)| Op::Rare(Rare::Rename(count, keep))),
        1 => Just(Op::Rare(Rare::Dump)),
        1 => any::<bool>().prop_map(|by_copy| Op::Rare(Rare::Restore { by_copy })),
        5 => (0_u8..15, any::<bool>()).prop_map(|(keep, adds)| Op::Rare(Rare::TrimAcked { keep, adds })),
        1 => (place(), 0_u8..3).prop_map(|(place, mode)| Op::Rare(Rare::DeleteEx(place, mode))),
        2 => (group.clone(), 0_u8..3).prop_map(|(group, mode)| Op::Rare(Rare::AckDelete(group, mode))),
        1 => Just(Op::Rare(Rare::Remove)),
        1 => Just(Op::Rare(Rare::Rest)),
        1 => (0_u8..3).prop_map(|id| Op::Rare(Rare::AddOnce(id))),
        2 => (group.clone(), consumer.clone()).prop_map(
            |(group, consumer)| Op::DeleteConsumer { group, consumer }),
        2 => (group, consumer).prop_map(|(group, consumer)| Op::AutoClaim { group, consumer }),
    ];
    let beginning = [Op::Add(6), Op::Create { group: 0, place: Place::Beginning, entries_read: None }];
    prop::collection::vec(op, 1..60).prop_map(move |ops| beginning.iter().cloned().chain(ops).collect())
}

/// What random stories seldom come to.
pub(super) fn rare() -> [(Story, Polls); 6] {
    use Polls::{Around, Between};
    let create = |group, place| Op::Create { group, place, entries_read: None };
    let read = |group, count| Op::Read { group, consumer: 0, count, no_ack: false };
    let ack = |count| Op::Ack { group: 0, count, newest: true };
    // Ten are stuck; those behind them are trimmed when the group is past them, and another group is made in front.
    let holes = vec![
        Op::Add(20),
        create(0, Place::Beginning),
        read(0, 14),
        ack(4),
        Op::Poll,
        read(0, 6),
        ack(6),
        Op::Rare(Rare::TrimAcked { keep: 12, adds: false }),
        create(1, Place::Entry(200)),
    ];
    // Ten entries become forty others, of which one is trimmed: more than the thirty that seem to have been added.
    let another = vec![
        Op::Add(10),
        create(0, Place::Beginning),
        Op::Poll,
        Op::Rare(Rare::Recreate(40, 39)),
        create(2, Place::Entry(7)),
    ];
    // The first entry has an ID of the application's own, and goes with others that were not yet delivered to the group.
    let own = vec![Op::AddOwn(1), Op::Add(3), create(0, Place::Beginning), Op::AddMaxLen(2), read(0, 1)];
    let dropped = vec![
        Op::Add(6),
        create(0, Place::Beginning),
        read(0, 4),
        Op::Rare(Rare::Rest),
        Op::Poll,
        Op::DeleteConsumer { group: 0, consumer: 0 },
    ];
    // What all have acknowledged is trimmed from the end, and an older entry is pending.
    let end = vec![
        Op::Add(1),
        create(0, Place::Beginning),
        Op::Rare(Rare::Rest),
        Op::Add(4),
        read(0, 5),
        ack(4),
        Op::Rare(Rare::TrimAcked { keep: 1, adds: false }),
    ];
    // The polls around what is done to the group fall between two samples that are kept.
    let away = vec![
        Op::Add(20),
        create(0, Place::Beginning),
        Op::Rare(Rare::Rest),
        Op::Poll,
        Op::Destroy(0),
        create(0, Place::End),
    ];
    [(holes, Between), (another, Between), (own, Around), (dropped, Around), (end, Around), (away, Around)]
}

/// When polls come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polls {
    /// Also before and after whatever an operator does, so that a poll sees each of it alone.
    Around,
    /// Whenever: much may happen between two of them.
    Between,
    /// Whenever, while the stream moves to other servers, and operators do nothing to its groups.
    Moving,
}

/// Plays a story, and compares at each poll. It ends where something happened between two polls that can't be told.
pub(super) fn play(
    story: &Story,
    polls: Polls,
    oracle: &mut Oracle<'_>,
    mut poll: impl FnMut() -> Read,
    mut reread: impl FnMut(),
) -> Result<(), TestCaseError> {
    let mut compare = |oracle: &mut Oracle<'_>| {
        let began = oracle.time();
        oracle.compare(began, &poll(), polls)
    };
    for op in story {
        let is_alone = op.is_by_an_operator() && polls == Polls::Around;
        if is_alone || matches!(op, Op::Poll) {
            compare(oracle)?;
        }
        if matches!(op, Op::Reread) {
            reread();
        }
        // IDs of the application's own may come again in another stream.
        if !(polls == Polls::Between && matches!(op, Op::AddOwn(_))) {
            act(op, oracle);
        }
        if is_alone {
            compare(oracle)?;
        }
        if oracle.is_over {
            return Ok(());
        }
    }
    compare(oracle)
}
