//! What each script that acts on items does in each situation, down to the commands that it costs; and every fault that a rule can make in
//! it, one at a time: a case shows it, or it stands in a table with the reason.

use std::collections::BTreeMap;

use redis::{Connection, Value, cmd};

use crate::retention::{
    cases::{numbers, refused, watched},
    mutants::faulty,
};
use support::{Need, Redis};

const HEAD: &str = include_str!("../../../src/actions/script_head.lua");
const ITEMS: &str = include_str!("../../../src/actions/items.lua");
const TAIL: &str = include_str!("../../../src/actions/script_tail.lua");
const SCRIPTS: [(&str, &str); 4] = [
    ("dead_letter", include_str!("../../../src/actions/dead_letter.lua")),
    ("replay", include_str!("../../../src/actions/replay.lua")),
    ("reap", include_str!("../../../src/actions/reap.lua")),
    ("claim", include_str!("../../../src/actions/claim.lua")),
];

pub(super) fn script(name: &str) -> String {
    let (_, body) = SCRIPTS.iter().find(|(its_own, _)| *its_own == name).unwrap();
    [HEAD, ITEMS, body, TAIL].concat()
}

/// A situation, a script with its arguments, and what comes of it.
struct Case {
    name: &'static str,
    setup: Vec<Vec<&'static str>>,
    script: &'static str,
    arguments: Vec<&'static str>,
    outcome: &'static str,
}

fn cases() -> Vec<Case> {
    let blocks = include_str!("script_cases.txt").split("\n\n").filter(|block| block.starts_with('#'));
    let case = |block: &'static str| {
        let mut lines: Vec<&str> = block.lines().collect();
        let outcome = lines.pop().and_then(|line| line.strip_prefix("= ")).expect(block);
        let told: Vec<&str> = lines.pop().unwrap().split(' ').collect();
        let arguments = told[1..].iter().map(|word| word.trim_matches('_')).collect();
        let setup = lines[1..].iter().map(|line| line.split(' ').collect()).collect();
        Case { name: lines[0], setup, script: told[0], arguments, outcome }
    };
    blocks.map(case).collect()
}

fn words(text: &str) -> redis::Cmd {
    let mut words = text.split(' ');
    cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).clone()
}

/// The fields of a dead letter behind those of its entry.
const ORIGIN: &str =
    "dlq:stream s dlq:group g dlq:id 9-0 dlq:consumer c dlq:deliveries 7 dlq:time 1 dlq:by me";

/// The commands for a line of a case.
fn commands(line: &[&str]) -> Vec<redis::Cmd> {
    match *line {
        ["add", range] => {
            numbers(range).map(|number| words(&format!("XADD s {number}-0 f v{number}"))).collect()
        }
        ["wide", key, id, pairs, ref letter @ ..] => {
            let fields = "f v ".repeat(pairs.parse().unwrap()) + if letter.is_empty() { "" } else { ORIGIN };
            vec![words(format!("XADD {key} {id} {fields}").trim_end())]
        }
        ["big", key, id, bytes] => {
            vec![words(&format!("XADD {key} {id} f {}", "x".repeat(bytes.parse().unwrap())))]
        }
        ["read", consumer, count] => {
            vec![words(&format!("XREADGROUP GROUP g {consumer} COUNT {count} STREAMS s >"))]
        }
        ["again", id, consumer, deliveries, idle] => {
            vec![words(&format!("XCLAIM s g {consumer} 0 {id} IDLE {idle} RETRYCOUNT {deliveries}"))]
        }
        ["letter", id, ref fields @ ..] => {
            vec![words(&format!("XADD dead {id} {} {ORIGIN}", fields.join(" ")))]
        }
        ["fail", ..] | ["keys", ..] => Vec::new(),
        ["deny", command] => vec![words(&format!("ACL SETUSER limited reset on >word ~* +@all -{command}"))],
        _ => vec![words(&line.join(" "))],
    }
}

/// Plays a case with this script, and tells what came of it.
fn play(case: &Case, script: &str, redis: &Redis, connection: &mut Connection) -> String {
    let mut pipeline = redis::pipe();
    for line in [&["FLUSHALL"][..], &["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"]] {
        pipeline.add_command(words(&line.join(" "))).ignore();
    }
    case.setup.iter().flat_map(|line| commands(line)).for_each(|command| {
        pipeline.add_command(command).ignore();
    });
    pipeline.query::<()>(connection).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let line = |first: &str| case.setup.iter().find(|words| words[0] == first).map(|it| it[1..].to_vec());
    let keys = line("keys").unwrap_or_else(|| match case.script {
        "dead_letter" => vec!["s", "dead"],
        "replay" => vec!["dead", "s"],
        _ => vec!["s"],
    });
    let failing = line("fail").unwrap_or_else(|| vec!["", "0"]);
    let mut run = cmd("EVAL");
    run.arg(script).arg(keys.len()).arg(keys).arg(failing).arg(&case.arguments);
    let answer: redis::RedisResult<Vec<String>> = if line("deny").is_some() {
        let limited = redis::Client::open(redis.uri().replace("redis://", "redis://limited:word@")).unwrap();
        run.query(&mut limited.get_connection().unwrap())
    } else {
        run.query(connection)
    };
    let words = match answer {
        Ok(mut answer) => {
            // The rows that were read.
            answer.pop();
            let calls = answer.pop().unwrap_or_default();
            format!("{}, calls {calls}", answer.join(" "))
        }
        Err(error) => refused(&error),
    };
    format!("{words}; {}", state(redis, connection)).trim_end().to_owned()
}

/// What is there afterwards.
fn state(redis: &Redis, connection: &mut Connection) -> String {
    let rows: Vec<(String, String, u64, u64)> =
        words("XPENDING s g - + 100").query(connection).unwrap_or_default();
    let pending = rows.iter().map(|(id, consumer, _, deliveries)| format!("{id}/{consumer}/{deliveries}"));
    let consumers: Vec<BTreeMap<String, Value>> =
        words("XINFO CONSUMERS s g").query(connection).unwrap_or_default();
    let name =
        |fields: &BTreeMap<String, Value>| redis::from_redis_value::<String>(fields["name"].clone()).unwrap();
    let consumers: Vec<String> = consumers.iter().map(name).collect();
    let now = redis.milliseconds();
    let mut stream = |key: &str| {
        let entries: Vec<(String, Vec<String>)> =
            cmd("XRANGE").arg(key).arg("-").arg("+").query(connection).unwrap_or_default();
        let entries = entries.iter().map(|(id, fields)| {
            // One that the server made.
            let id = if id.len() > 10 { "*" } else { id };
            format!("{id}:{}", told(fields, now))
        });
        entries.collect::<Vec<_>>().join(" ")
    };
    let (s, dead) = (stream("s"), stream("dead"));
    format!(
        "pending {}; by {}; s {s}; dead {dead}",
        pending.collect::<Vec<_>>().join(" "),
        consumers.join(" ")
    )
}

/// Fields in short.
fn told(fields: &[String], now: u64) -> String {
    if fields.len() > 60 {
        return format!("{} pairs", fields.len() / 2);
    }
    let value = |(name, value): (&str, &str)| match value.parse() {
        Ok(time) if name.ends_with("time") && now.abs_diff(time) < 60_000 => "NOW".to_owned(),
        _ if value.len() > 40 => format!("<{}>", value.len()),
        _ => value.to_owned(),
    };
    let pairs = fields.chunks(2).map(|pair| format!("{}={}", pair[0], value((&pair[0], &pair[1]))));
    pairs.collect::<Vec<_>>().join(",")
}

#[test]
fn each_script_does_what_its_case_says() {
    let Some(redis) = Redis::start().if_meets(Need::CREATED_CONSUMERS) else { return };
    let mut connection = redis.connect();
    let wrong = cases().into_iter().filter_map(|case| {
        let outcome = play(&case, &watched(&script(case.script)), &redis, &mut connection);
        (outcome != case.outcome).then(|| format!("{}\n= {outcome}\n= {}", case.name, case.outcome))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "what is, and what should be:\n{}", wrong.join("\n"));
}

/// Lines of which the first must come first: with the other order, something is lost or doubled when the second one fails.
const ORDERS: [(&str, &str, &str); 3] = [
    ("dead_letter", "  call('XADD', dead, '*', unpack(fields))", "  acknowledge_later(id)\n  return"),
    (
        "dead_letter",
        "  local words = each(9, set_aside)",
        "  if #done > 0 then call('XACK', key, group, unpack(done)) end",
    ),
    ("replay", "  call('XADD', stream, '*', unpack(fields))", "  call('XDEL', dead, id)"),
];

#[test]
fn each_order_of_writes_that_matters_is_shown_by_a_case() {
    let Some(redis) = Redis::start().if_meets(Need::CREATED_CONSUMERS) else { return };
    let mut connection = redis.connect();
    for (of, first, second) in ORDERS {
        let right = script(of);
        let at = right.find(&format!("{first}\n")).expect(first);
        let (before, after) = right.split_at(at);
        assert!(after.contains(second), "{second}");
        let wrong = after.replacen(second, "\0", 1).replacen(first, second, 1).replacen('\0', first, 1);
        let wrong = watched(&[before, &wrong].concat());
        let is_shown = cases()
            .iter()
            .filter(|case| case.script == of)
            .any(|case| play(case, &wrong, &redis, &mut connection) != case.outcome);
        assert!(is_shown, "{of}: {second} before {first}");
    }
}

/// What changes nothing, or what no test can bring about: the script, what is replaced by what, and why.
const NO_FAULTS: [(&str, &str, &str, &str); 13] = [
    ("dead_letter", "row[3] < idle", "row[3] <= idle", A_MILLISECOND),
    ("dead_letter", "parts[2] / 1000", "parts[2] / 1001", "the times differ by a millisecond"),
    ("dead_letter", "id, id, 1)", "id, id, 2)", ONE),
    ("claim", "id, id, 1)", "id, id, 2)", ONE),
    ("dead_letter", "row[3] >= 0", "row[3] > 0", "no test is as fast as an idle time of 0"),
    ("dead_letter", "row[3] >= 0", "row[3] >= 1", "no test is as fast as an idle time of 0"),
    ("dead_letter", "row[3] >= 0", "row[4] >= 0", "only XNACK makes it negative, from Redis 8.8 on"),
    ("reap", "].idle < idle", "].idle <= idle", A_MILLISECOND),
    ("reap", "'+', 1, name)", "'+', 2, name)", "whether it holds one is asked"),
    ("claim", "].idle < idle", "].idle <= idle", A_MILLISECOND),
    ("dead_letter", "'COUNT', 1)", "'COUNT', 2)", "the first of them is the newest one"),
    ("items", "error(groups, 0)", "error(groups, 1)", "`text_of` takes the place in the script away"),
    ("items", "MOST_WORDS = 7000", "MOST_WORDS = 7001", "the number of words is even"),
];
const ONE: &str = "from an ID to itself there is one entry at most";
/// So a case may show it, or not.
const A_MILLISECOND: &str = "they differ for a millisecond";

#[test]
fn each_fault_in_a_script_is_shown_by_a_case() {
    let Some(redis) = Redis::start().if_meets(Need::CREATED_CONSUMERS) else { return };
    let (cases, mut connection) = (cases(), redis.connect());
    let (mut shown, mut survivors) = (0, Vec::new());
    let mut no_faults = NO_FAULTS.to_vec();
    // The head and the tail are those of a step of retention, whose cases show their faults.
    let bodies = SCRIPTS.iter().map(|(name, body)| (*name, *body)).chain([("items", ITEMS)]);
    for (of, original) in bodies {
        for (fault, part) in faulty(original) {
            let is_shown = cases.iter().filter(|case| of == "items" || case.script == of).any(|case| {
                let whole = script(case.script);
                let script = watched(&whole.replacen(original, &format!("{part}\n"), 1));
                play(case, &script, &redis, &mut connection) != case.outcome
            });
            if is_shown {
                shown += 1;
            } else if let Some(at) = no_faults.iter().position(|(its_own, from, to, _)| {
                *its_own == of && original.replace(from, to).trim_end() == part.trim_end()
            }) {
                no_faults.remove(at);
            } else {
                survivors.push(format!("{of}: {fault}"));
            }
        }
        cmd("SCRIPT").arg("FLUSH").query::<()>(&mut connection).unwrap();
    }
    eprintln!("{shown} faults are shown");
    assert!(shown > 150, "next to nothing is tried: {shown}");
    assert!(survivors.is_empty(), "no case shows:\n{}", survivors.join("\n"));
    no_faults.retain(|(.., why)| *why != A_MILLISECOND);
    assert_eq!(no_faults, [], "a case shows what is said to be no fault");
}
