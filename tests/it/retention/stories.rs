//! Random stories of a stream: steps of retention of two sidecars between everything else that happens to it.

use std::sync::Mutex;

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use redis::{Cmd, Connection, cmd};
use streamwarden::{
    actions::Write,
    config::{Mode, Policy},
    model::{Name, StreamId},
    source::Request,
};

use super::oracle::{Answer, Truth, check_complete, check_harmless, check_losses, ensure};
use support::Redis;

use crate::truth::number;

/// Something that happens to the stream `s`.
#[derive(Debug, Clone)]
enum Op {
    Add(u8),
    /// With IDs that no float can tell apart.
    AddBeyondFloats(u8),
    Read {
        group: u8,
        count: u8,
        no_ack: bool,
    },
    Ack {
        group: u8,
        count: u8,
    },
    Create {
        group: u8,
        back: u8,
    },
    SetId {
        group: u8,
        back: u8,
    },
    Destroy(u8),
    Delete(u8),
    /// Claims an entry that was never delivered to the group, or was acknowledged.
    Claim {
        group: u8,
        back: u8,
    },
    AutoClaim(u8),
    Remove,
    /// A step of one of two sidecars, with another operation in the middle if it is more than one act.
    Step {
        sidecar: bool,
        between: Box<Op>,
    },
}

#[derive(Debug, Clone)]
struct Story {
    policy: Policy,
    step: u64,
    node: u64,
    ops: Vec<Op>,
}

fn ops() -> impl Strategy<Value = Op> {
    let group = 0_u8..3;
    let other = prop_oneof![
        6 => (1_u8..40).prop_map(Op::Add),
        1 => (1_u8..10).prop_map(Op::AddBeyondFloats),
        9 => (group.clone(), 1_u8..40, prop::bool::weighted(0.3))
            .prop_map(|(group, count, no_ack)| Op::Read { group, count, no_ack }),
        5 => (group.clone(), 1_u8..40).prop_map(|(group, count)| Op::Ack { group, count }),
        2 => (group.clone(), any::<u8>()).prop_map(|(group, back)| Op::Create { group, back }),
        2 => (group.clone(), any::<u8>()).prop_map(|(group, back)| Op::SetId { group, back }),
        1 => group.clone().prop_map(Op::Destroy),
        2 => any::<u8>().prop_map(Op::Delete),
        2 => (group.clone(), any::<u8>()).prop_map(|(group, back)| Op::Claim { group, back }),
        1 => group.prop_map(Op::AutoClaim),
        1 => Just(Op::Remove),
    ];
    let between = other.clone().prop_map(Box::new);
    prop_oneof![
        3 => other,
        1 => (any::<bool>(), between).prop_map(|(sidecar, between)| Op::Step { sidecar, between }),
    ]
}

fn stories() -> impl Strategy<Value = Story> {
    let groups = |share| {
        prop::collection::vec(0_u8..3, 0..=1).prop_map(move |groups: Vec<u8>| {
            groups
                .iter()
                .filter(|_| share)
                .map(|group| Name::from(format!("g{group}").as_str()))
                .collect::<Vec<_>>()
        })
    };
    let modes = prop_oneof![5 => Just(Mode::Safe), 1 => Just(Mode::Strict)];
    let policy = (
        0_u64..60,
        modes,
        any::<bool>(),
        prop::option::weighted(0.2, 60_u64..90),
        groups(true),
        any::<bool>(),
        groups(true),
    );
    let policy = policy.prop_map(|(length, mode, exact, ceiling, ignored, is_expecting, expected)| Policy {
        max_length: Some(length),
        max_age: None,
        mode,
        ceiling: ceiling.filter(|_| mode == Mode::Safe),
        exact,
        // None of the stories' entries is a dead letter.
        spares_dead_letters: true,
        ignore_groups: ignored,
        groups: if is_expecting { Vec::new() } else { expected },
        interval: std::time::Duration::from_secs(1),
    });
    let sizes = prop_oneof![Just(1_u64), Just(3), Just(10), Just(100)];
    let steps = prop_oneof![Just(10_u64), Just(100), Just(10_000)];
    (policy, steps, sizes, prop::collection::vec(ops(), 1..50)).prop_map(|(policy, step, node, ops)| Story {
        policy,
        step,
        node,
        ops,
    })
}

/// How a step is taken: the real way, or a wrong one, in the middle of which other things may happen.
pub(super) type Stepper =
    dyn Fn(&mut Connection, &Policy, u64, &mut dyn FnMut()) -> redis::RedisResult<Answer>;

pub(super) fn encode(policy: &Policy, step: u64) -> Cmd {
    Write::Step(&Name::from("s"), policy, None, step).encode()
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// That nothing goes that is needed, or is within the limit.
    Harm,
    /// And that all goes that may, and the right group is named for the rest.
    All,
}

fn play(
    story: &Story,
    connections: &mut [Connection; 2],
    checks: Checks,
    stepper: &Stepper,
) -> Result<u64, TestCaseError> {
    let [ours, other] = connections;
    cmd("FLUSHALL").query::<()>(ours).unwrap();
    cmd("CONFIG").arg("SET").arg("stream-node-max-entries").arg(story.node).query::<()>(ours).unwrap();
    for op in [Op::Add(30), Op::Create { group: 0, back: 255 }] {
        act(&op, ours);
    }
    let mut removed = 0;
    for op in &story.ops {
        let Op::Step { sidecar, between } = op else {
            act(op, ours);
            continue;
        };

        let (own, between_on) = if *sidecar { (&mut *ours, &mut *other) } else { (&mut *other, &mut *ours) };
        // What happens in the middle of a step counts as before it: nothing that it needs may go.
        let mut before = Truth::of(own);
        let answer = stepper(own, &story.policy, story.step, &mut || {
            act(between, between_on);
            before = Truth::of(between_on);
        });
        let answer = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let after = Truth::of(own);
        removed += answer.0;
        check_harmless((&story.policy, story.step), &before, &after, &answer)?;
        if checks == Checks::All {
            check_losses(&before, &after, &answer)?;
            check_complete((&story.policy, story.step, story.node), &before, &answer)?;
        }
    }
    if checks == Checks::All {
        ends_within_the_limit(story, ours, stepper)?;
    }
    Ok(removed)
}

/// When all is read and acknowledged, steps end within a node of the limit, or exactly there.
fn ends_within_the_limit(
    story: &Story,
    ours: &mut Connection,
    stepper: &Stepper,
) -> Result<(), TestCaseError> {
    for group in Truth::of(ours).groups.keys() {
        cmd("XGROUP").arg("DESTROY").arg("s").arg(group).query::<()>(ours).unwrap();
    }
    let policy = Policy { groups: Vec::new(), ..story.policy.clone() };
    for _ in 0..1_000 {
        let answer = stepper(ours, &policy, story.step, &mut || {})
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        if answer.0 == 0 {
            let excess = policy.excess(answer.1);
            let most = if policy.exact { 0 } else { story.node - 1 };
            ensure!(
                excess <= most || answer.4 == "node_size",
                "{excess} over the limit at the end: {answer:?}"
            );
            return Ok(());
        }
    }
    Err(TestCaseError::fail("steps without end"))
}

fn act(op: &Op, connection: &mut Connection) {
    let run = |words: String, connection: &mut Connection| {
        let mut words = words.split(' ').map(str::to_owned);
        let mut command = cmd(&words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        // Much of it fails, as on a stream without such a group; then it did nothing.
        drop(command.query::<redis::Value>(connection));
    };
    let back = |back: &u8, connection: &mut Connection| {
        let entries = Truth::of(connection).entries;
        let index = (entries.len() * usize::from(255 - *back)) / 256;
        entries.get(index).copied().unwrap_or(StreamId::ZERO)
    };
    match op {
        Op::Add(count) => (0..*count).for_each(|_| run("XADD s * f v".to_owned(), connection)),
        Op::AddBeyondFloats(count) => {
            (0..*count).for_each(|index| run(format!("XADD s 9007199254740993-{index} f v"), connection));
        }
        Op::Read { group, count, no_ack } => {
            let no_ack = if *no_ack { " NOACK" } else { "" };
            run(format!("XREADGROUP GROUP g{group} c COUNT {count}{no_ack} STREAMS s >"), connection);
        }
        Op::Ack { group, count } => {
            let truth = Truth::of(connection);
            let pending = truth.groups.get(&format!("g{group}")).map(|needs| needs.pending.clone());
            for id in pending.into_iter().flatten().take((*count).into()) {
                run(format!("XACK s g{group} {id}"), connection);
            }
        }
        Op::Create { group, back: share } => {
            let id = if *share == 255 { StreamId::ZERO } else { back(share, connection) };
            run(format!("XGROUP CREATE s g{group} {id} MKSTREAM"), connection);
        }
        Op::SetId { group, back: share } => {
            let id = back(share, connection);
            run(format!("XGROUP SETID s g{group} {id}"), connection);
        }
        Op::Destroy(group) => run(format!("XGROUP DESTROY s g{group}"), connection),
        Op::Delete(share) => {
            let id = back(share, connection);
            run(format!("XDEL s {id}"), connection);
        }
        Op::Claim { group, back: share } => {
            let id = back(share, connection);
            run(format!("XCLAIM s g{group} c 0 {id} FORCE"), connection);
        }
        Op::AutoClaim(group) => run(format!("XAUTOCLAIM s g{group} c 0 0 COUNT 5"), connection),
        Op::Remove => run("DEL s".to_owned(), connection),
        Op::Step { .. } => unreachable!("a step is not another's middle"),
    }
}

/// Plays stories; gives the entries removed in all of them, or the first story that shows a fault.
pub(super) fn run(redis: &Redis, cases: u64, checks: Checks, stepper: &Stepper) -> Result<u64, String> {
    let connections = Mutex::new([redis.connect(), redis.connect()]);
    let removed = Mutex::new(0);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("STREAMWARDEN_TEST_SEED", 11).to_le_bytes());
    let runs = Runs { cases: cases.try_into().unwrap(), failure_persistence: None, ..Runs::default() };
    let mut runner = TestRunner::new_with_rng(runs, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(&stories(), |story| {
        *removed.lock().unwrap() += play(&story, &mut connections.lock().unwrap(), checks, stepper)?;
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(*removed.lock().unwrap()),
        Err(TestError::Fail(reason, story)) => Err(format!("{reason}\nin the story: {story:#?}")),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
