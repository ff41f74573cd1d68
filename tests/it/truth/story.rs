//! A random history of one stream, `s`, with three groups.

use proptest::{prelude::*, test_runner::TestCaseError};
use redis::{Cmd, cmd};
use streamwarden::poll::Reading;

use super::oracle::Oracle;

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
    Ack {
        group: u8,
        count: u8,
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
    /// `DEL`, and so many entries again at once.
    Recreate(u8),
    Remove,
}

impl Op {
    /// Whether a poll could not tell this from other things that happen between two polls: losses are told as polls
    /// see them, so there is one on either side.
    fn is_by_an_operator(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::SetId { .. } | Self::Destroy(_) | Self::Recreate(_) | Self::Remove
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
        10 => (1_u8..12).prop_map(Op::Add),
        1 => prop_oneof![1_u64..4, Just(3_600_000)].prop_map(Op::AddOwn),
        3 => (1_u8..15).prop_map(Op::AddMaxLen),
        12 => (group.clone(), consumer.clone(), 1_u8..6, prop::bool::weighted(0.2)).prop_map(
            |(group, consumer, count, no_ack)| Op::Read { group, consumer, count, no_ack }),
        6 => (group.clone(), 1_u8..4).prop_map(|(group, count)| Op::Ack { group, count }),
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
        2 => (group, consumer).prop_map(|(group, consumer)| Op::AutoClaim { group, consumer }),
        1 => (0_u8..12).prop_map(Op::Recreate),
        1 => Just(Op::Remove),
    ];
    let beginning = [Op::Add(6), Op::Create { group: 0, place: Place::Beginning, entries_read: None }];
    prop::collection::vec(op, 1..60).prop_map(move |ops| beginning.iter().cloned().chain(ops).collect())
}

/// Plays a story, and compares at each poll.
pub(super) fn play(
    story: &Story,
    oracle: &mut Oracle<'_>,
    mut poll: impl FnMut() -> Reading,
) -> Result<(), TestCaseError> {
    for op in story {
        if op.is_by_an_operator() {
            oracle.compare(&poll())?;
        }
        if matches!(op, Op::Poll) {
            oracle.compare(&poll())?;
        }
        act(op, oracle);
        if op.is_by_an_operator() {
            oracle.compare(&poll())?;
        }
    }
    oracle.compare(&poll())
}

fn act(op: &Op, oracle: &mut Oracle<'_>) {
    let group = |group: &u8| format!("g{group}");
    let consumer = |consumer: &u8| format!("c{consumer}");
    match op {
        Op::Poll => {}
        Op::Add(count) => (0..*count).for_each(|_| oracle.run(&words("XADD s * f v"))),
        Op::AddOwn(ahead) => {
            let id = oracle.own_id(*ahead);
            oracle.run(&words(&format!("XADD s {id} f v")));
        }
        Op::AddMaxLen(keep) => oracle.run_removing(&words(&format!("XADD s MAXLEN {keep} * f v"))),
        Op::Read { group: g, consumer: c, count, no_ack } => {
            let no_ack = if *no_ack { " NOACK" } else { "" };
            let (g, c) = (group(g), consumer(c));
            oracle.run(&words(&format!("XREADGROUP GROUP {g} {c} COUNT {count}{no_ack} STREAMS s >")));
        }
        Op::Ack { group: g, count } => {
            for id in oracle.pending(&group(g)).into_iter().take((*count).into()) {
                oracle.run(&words(&format!("XACK s {} {id}", group(g))));
            }
        }
        Op::Delete(place) => {
            let id = oracle.id_at(*place);
            oracle.run_removing(&words(&format!("XDEL s {id}")));
        }
        Op::TrimMaxLen { keep, approximately } => {
            oracle.run_removing(&words(&format!("XTRIM s MAXLEN {} {keep}", sign(*approximately))));
        }
        Op::TrimMinId { place, approximately } => {
            let id = oracle.id_at(*place);
            oracle.run_removing(&words(&format!("XTRIM s MINID {} {id}", sign(*approximately))));
        }
        Op::Create { group: g, place, entries_read } => position("CREATE", *g, *place, *entries_read, oracle),
        Op::SetId { group: g, place, entries_read } => position("SETID", *g, *place, *entries_read, oracle),
        Op::Destroy(g) => oracle.run(&words(&format!("XGROUP DESTROY s {}", group(g)))),
        Op::Claim { group: g, consumer: c, place } => {
            let id = oracle.id_at(*place);
            oracle.run(&words(&format!("XCLAIM s {} {} 0 {id} FORCE", group(g), consumer(c))));
        }
        Op::AutoClaim { group: g, consumer: c } => {
            oracle.run(&words(&format!("XAUTOCLAIM s {} {} 0 0 COUNT 3", group(g), consumer(c))));
        }
        Op::Recreate(count) => {
            oracle.run(&words("DEL s"));
            (0..*count).for_each(|_| oracle.run(&words("XADD s * f v")));
            oracle.run(&words("XGROUP CREATE s g0 0 MKSTREAM"));
        }
        Op::Remove => oracle.run(&words("DEL s")),
    }
}

/// Makes a group, or moves it.
fn position(how: &str, group: u8, place: Place, entries_read: Option<u8>, oracle: &mut Oracle<'_>) {
    let id = oracle.id_at(place);
    let entries_read = entries_read.map_or(String::new(), |count| format!(" ENTRIESREAD {count}"));
    oracle.run(&words(&format!("XGROUP {how} s g{group} {id}{entries_read}")));
}

fn sign(approximately: bool) -> &'static str {
    if approximately { "~" } else { "=" }
}

fn words(text: &str) -> Cmd {
    let mut words = text.split(' ');
    let mut command = cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command
}
