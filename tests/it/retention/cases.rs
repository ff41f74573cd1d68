//! What a step does in each situation, down to the commands that it costs.

use std::{collections::BTreeMap, ops::RangeInclusive};

use redis::{Cmd, Connection, FromRedisValue, RedisError, RedisResult, Value, cmd};

use super::trimming;
use support::{Need, Redis};

pub(super) const SCRIPT: &str = concat!(
    include_str!("../../../src/actions/script_head.lua"),
    include_str!("../../../src/actions/step.lua"),
    include_str!("../../../src/actions/script_tail.lua")
);

/// Runs the script with a count of its commands and of the rows that they read, and lets one command fail.
const WATCHED: (&str, &str) = (
    "local calls, rows, seen, server = 0, 0, {}, redis
     local failing, nth = table.remove(ARGV, 1), tonumber(table.remove(ARGV, 1))
     local function watched(command, ...)
       calls, seen[command] = calls + 1, (seen[command] or 0) + 1
       if command == failing and seen[command] == nth then return {err = 'OOM failed'} end
       local reply = server.pcall(command, ...)
       if (command == 'XRANGE' or command == 'XPENDING') and not reply.err then rows = rows + #reply end
       return reply
     end
     local function step()
     local function raising(command, ...)
       local reply = watched(command, ...)
       if type(reply) == 'table' and reply.err then error(reply, 0) end
       return reply
     end
     local redis = setmetatable({call = raising}, {__index = server})\n",
    "\nend
     local answer = step()
     if answer.err then return answer end
     table.insert(answer, calls)
     table.insert(answer, rows)
     return answer",
);

/// A situation, a step, and what comes of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    setup: Vec<Vec<&'static str>>,
    /// The arguments of the script.
    pub(super) step: Vec<&'static str>,
    pub(super) outcome: &'static str,
}

impl Case {
    /// Brings the situation about on a server, which has nothing else.
    pub(super) fn set_up(&self, connection: &mut Connection) {
        let mut pipeline = redis::pipe();
        let clean: [&[&str]; 2] = [&["FLUSHALL"], &["node", "10"]];
        for command in clean.into_iter().chain(self.setup.iter().map(Vec::as_slice)).flat_map(commands) {
            pipeline.add_command(command).ignore();
        }
        pipeline.query::<()>(connection).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }
}

pub(super) fn step_cases() -> Vec<Case> {
    cases(include_str!("step_cases.txt"))
}

/// The cases in a file.
pub(super) fn cases(file: &'static str) -> Vec<Case> {
    let blocks = file.split("\n\n").filter(|block| block.starts_with('#'));
    let case = |block: &'static str| {
        let (mut setup, mut step, mut outcome) = (Vec::new(), Vec::new(), "");
        for line in block.lines().skip(1) {
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "step" => step = words[1..].iter().map(|word| word.trim_matches('-')).collect(),
                "=" => outcome = &line[2..],
                _ => setup.push(words),
            }
        }
        Case { name: block.lines().next().unwrap(), setup, step, outcome }
    };
    blocks.map(case).collect()
}

/// The numbers in `2..5`, or in `2`.
pub(crate) fn numbers(text: &str) -> RangeInclusive<u64> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    from.parse().unwrap()..=to.parse().unwrap()
}

fn ids(text: &str) -> Vec<String> {
    numbers(text).map(|number| format!("{number}-0")).collect()
}

fn add(id: impl std::fmt::Display) -> Cmd {
    cmd("XADD").arg("s").arg(id.to_string()).arg("f").arg("v").clone()
}

/// The commands for a line of a case, by its words.
fn commands(words: &[&str]) -> Vec<Cmd> {
    let own = |words: &[&str]| vec![cmd(words[0]).arg(&words[1..]).clone()];
    match *words {
        ["node", entries] => own(&["CONFIG", "SET", "stream-node-max-entries", entries]),
        ["add", numbers] => ids(numbers).into_iter().map(add).collect(),
        ["times", from_to] => {
            numbers(from_to).map(|number| add(format!("{}-0", 1_700_000_000_000 + number))).collect()
        }
        ["addid", ref ids @ ..] => ids.iter().map(add).collect(),
        ["read", group, count] => {
            own(&["XREADGROUP", "GROUP", group, "c", "COUNT", count, "STREAMS", "s", ">"])
        }
        ["ack", group, numbers] => vec![cmd("XACK").arg("s").arg(group).arg(ids(numbers)).clone()],
        ["del", numbers] => vec![cmd("XDEL").arg("s").arg(ids(numbers)).clone()],
        ["groups", count] => {
            let create = |number| cmd("XGROUP").arg(&["CREATE", "s", &format!("g{number}"), "5-0"]).clone();
            numbers(&format!("1..{count}")).map(create).collect()
        }
        ["deny", command] => {
            let forbidden = format!("-{command}");
            own(&["ACL", "SETUSER", "limited", "reset", "on", ">word", "~*", "+@all", &forbidden])
        }
        ["fail", ..] => Vec::new(),
        _ => own(words),
    }
}

/// Plays a case with this script, and tells what came of it.
pub(super) fn play(case: &Case, script: &str, redis: &Redis, connection: &mut Connection) -> String {
    case.set_up(connection);
    let failing =
        case.setup.iter().find(|words| words[0] == "fail").map_or(vec!["", "0"], |it| it[1..].to_vec());
    let mut step = cmd("EVAL");
    step.arg(script).arg(1).arg("s").arg(failing).arg(&case.step);
    let answer = if case.setup.iter().any(|words| words[0] == "deny") {
        let limited = redis::Client::open(redis.uri().replace("redis://", "redis://limited:word@")).unwrap();
        step.query(&mut limited.get_connection().unwrap())
    } else {
        step.query(connection)
    };
    let answer = answer.and_then(|answer: Vec<Value>| told(&answer));
    let first: Vec<(String, Value)> =
        cmd("XRANGE").arg(&["s", "-", "+", "COUNT", "1"]).query(connection).unwrap_or_default();
    let first = first.into_iter().next().map_or("-".to_owned(), |(id, _)| id);
    answer.map_or_else(|error| refused(&error), |answer| answer.replace("FIRST", &first))
}

/// The answer of the script in words.
fn told(answer: &[Value]) -> RedisResult<String> {
    let text = |index: usize| {
        let value = answer.get(index).cloned().unwrap_or(Value::Nil);
        String::from_redis_value(value).map(|text| if text.is_empty() { "-".to_owned() } else { text })
    };
    let lost: BTreeMap<String, u64> =
        FromRedisValue::from_redis_value(answer.get(7).cloned().unwrap_or(Value::Nil))?;
    let all: u64 = lost.values().sum();
    let lost = match lost.len() {
        0 => "-".to_owned(),
        1..6 => lost.iter().map(|(group, lost)| format!("{group}={lost}")).collect::<Vec<_>>().join(" "),
        groups => format!("{groups} groups lose {all}"),
    };
    Ok(format!(
        "gone {}, left {} from FIRST, floor {}, group {}, why {}, forced {}, ever {}, lost {lost}, calls {}, rows {}",
        text(0)?,
        text(1)?,
        text(2)?,
        text(3)?,
        text(4)?,
        text(5)?,
        text(6)?,
        text(8)?,
        text(9)?
    ))
}

/// The code of an error, and what is in quotation marks in it.
pub(crate) fn refused(error: &RedisError) -> String {
    let quoted = error.detail().unwrap_or_default().split(' ').filter(|word| word.starts_with('\''));
    ["error", error.code().unwrap_or("-")].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
}

pub(crate) fn watched(script: &str) -> String {
    [WATCHED.0, script, WATCHED.1].concat()
}

/// A server whose nodes are as large as the cases say.
pub(super) fn server() -> Option<Redis> {
    trimming(Redis::with_settings("stream-node-max-bytes 0"))?.if_meets(Need::COUNTED_ADDITIONS)
}

#[test]
fn a_step_does_what_its_case_says() {
    let Some(redis) = server() else { return };
    let (script, mut connection) = (watched(SCRIPT), redis.connect());
    let wrong = step_cases().into_iter().filter_map(|case| {
        let outcome = play(&case, &script, &redis, &mut connection);
        (outcome != case.outcome).then(|| format!("{}\n  {outcome}\n  {}", case.name, case.outcome))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "what is, and what should be:\n{}", wrong.join("\n"));
}
