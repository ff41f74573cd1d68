//! What it costs to set stuck work aside: the server's time for a step, compared with one plain script that does the same, and how long
//! another client waits while the program moves entries. Starts its own servers and stops them.
//!
//! `make bench-stuck SERVERS="program program"`; `cargo bench --bench stuck -- [pending entries]` has 1,000,000 pending by default.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark prints, and fails loudly"
)]

use std::{process::Command, thread::sleep, time::Duration};

use redis::{Connection, Value, cmd};
use support::{Redis, beside};

/// The script that the program sends.
const SCRIPT: &str = concat!(
    include_str!("../src/actions/script_head.lua"),
    include_str!("../src/actions/items.lua"),
    include_str!("../src/actions/dead_letter.lua"),
    include_str!("../src/actions/script_tail.lua")
);
/// One script that looks and moves, without a bound on what it copies, a limit on the dead letters, or an answer for each entry.
const PLAIN: &str = "
if redis.replicate_commands then redis.replicate_commands() end
local key, dead, group, deliveries, idle = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now, moved = time[1] .. ('%03d'):format(math.floor(time[2] / 1000)), 0
for _, row in ipairs(redis.call('XPENDING', key, group, '-', '+', 1000)) do
  if row[4] >= deliveries and row[3] >= idle then
    local entry = redis.call('XRANGE', key, row[1], row[1])[1]
    if entry then
      local fields = entry[2]
      local origin = {'dlq:stream', key, 'dlq:group', group, 'dlq:id', row[1], 'dlq:consumer', row[2],
        'dlq:deliveries', tostring(row[4]), 'dlq:time', now, 'dlq:by', 'me'}
      for _, word in ipairs(origin) do table.insert(fields, word) end
      redis.call('XADD', dead, '*', unpack(fields))
      moved = moved + 1
    end
    redis.call('XACK', key, group, row[1])
  end
end
return moved";
/// Runs inside the server: adds entries of so many fields and so many bytes a value, delivers them, and makes each n-th one fail. They are
/// not made idle: from Redis 8.4 on this takes time for each entry that is pending.
const FILL: &str = "
local first, count, pairs, bytes, every = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local fields, value = {}, ('x'):rep(bytes)
for field = 1, pairs do
  fields[2 * field - 1], fields[2 * field] = 'field' .. field, value
end
for number = first, first + count - 1 do redis.call('XADD', KEYS[1], number .. '-0', unpack(fields)) end
redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', count, 'STREAMS', KEYS[1], '>')
for number = first, first + count - 1 do
  if number % every == 0 then
    redis.call('XCLAIM', KEYS[1], 'g', 'c', 0, number .. '-0', 'RETRYCOUNT', 8, 'JUSTID')
  end
end";
const ROUNDS: usize = 51;

fn main() {
    let pending = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000_u64);
    let redis = Redis::start();
    let info: String = redis.run("INFO server");
    let version = |name: &str| info.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    let valkey = version("valkey_version:").map(|version| format!("Valkey {version}"));
    let server = valkey.unwrap_or_else(|| format!("Redis {}", version("redis_version:").unwrap_or_default()));
    cost(&redis, &server);
    waits(&redis, &server, pending);
}

/// A stream `s` with a group `g` that has all pending.
fn fill(connection: &mut Connection, entries: u64, (pairs, bytes): (u64, u64), every: u64) {
    cmd("FLUSHALL").query::<()>(connection).unwrap();
    cmd("XGROUP").arg(&["CREATE", "s", "g", "0", "MKSTREAM"]).query::<()>(connection).unwrap();
    let portion = (10_000_000 / (pairs * (bytes + 10))).clamp(1, 10_000);
    for first in (1..=entries).step_by(usize::try_from(portion).unwrap()) {
        let mut fill = cmd("EVAL");
        fill.arg(FILL).arg(1).arg("s").arg(first).arg(portion.min(entries + 1 - first));
        fill.arg(pairs).arg(bytes).arg(every).query::<()>(connection).unwrap();
    }
}

/// The time that the server had for a command, in microseconds.
fn server_time<T>(
    connection: &mut Connection,
    command: &str,
    run: impl FnOnce(&mut Connection) -> T,
) -> (u64, T) {
    cmd("CONFIG").arg("RESETSTAT").query::<()>(connection).unwrap();
    let result = run(connection);
    let stats: String = cmd("INFO").arg("commandstats").query(connection).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:"))).unwrap();
    let time = line.split(',').find_map(|field| field.strip_prefix("usec=")).unwrap();
    (time.parse().unwrap(), result)
}

/// A look over 1,000 pending entries and 100 moves of 200 bytes.
fn cost(redis: &Redis, server: &str) {
    let mut connection = redis.connect();
    let (mut plain, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        fill(&mut connection, 1_000, (4, 40), 10);
        let (time, moved) = server_time(&mut connection, "eval", |connection| {
            let mut eval = cmd("EVAL");
            eval.arg(PLAIN).arg(&["2", "s", "dead", "g", "5", "0"]).query::<u64>(connection).unwrap()
        });
        assert_eq!(moved, 100);
        plain.push(time);
        fill(&mut connection, 1_000, (4, 40), 10);
        let (looking, rows) = server_time(&mut connection, "xpending", |connection| {
            let mut look = cmd("XPENDING");
            look.arg(&["s", "g", "-", "+", "1000"])
                .query::<Vec<(String, String, u64, u64)>>(connection)
                .unwrap()
        });
        let ids: Vec<String> = rows.into_iter().filter(|row| row.3 >= 5).map(|row| row.0).collect();
        let (moving, words) = server_time(&mut connection, "eval", |connection| {
            let mut eval = cmd("EVAL");
            eval.arg(SCRIPT).arg(&["2", "s", "dead", "g", "5", "0", "10000", "dlq:", "me", "", "1"]);
            eval.arg(&ids).query::<Vec<String>>(connection).unwrap()
        });
        assert_eq!(words, vec!["moved"; 100]);
        own.push(looking + moving);
    }
    plain.sort_unstable();
    own.sort_unstable();
    let (plain, own) = (plain[ROUNDS / 2], own[ROUNDS / 2]);
    #[expect(clippy::cast_precision_loss, reason = "microseconds")]
    let times = own as f64 / plain as f64;
    println!(
        "{server}: 1,000 pending looked at and 100 moved: {own} us, the plain script {plain} us, {times:.2} times as long"
    );
}

/// How long another client waits.
fn waits(redis: &Redis, server: &str, pending: u64) {
    println!(
        "\n| {server} | took | moved | another client's longest wait | its 99.9th percentile | the longest command |"
    );
    println!("|---|---|---|---|---|---|");
    let mut connection = redis.connect();
    row(redis, "nothing, for two seconds", &[], || sleep(Duration::from_secs(2)));
    let act = |arguments: &[&str]| {
        let output = Command::new(support::program())
            .args(arguments)
            .arg("--yes")
            .env("REDIS_URI", redis.uri())
            .output();
        let output = output.unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2) && output.stderr.is_empty(), "{output:?}");
    };
    let aside = ["dead-letter", "s", "g", "--deliveries", "5", "--idle", "0s", "--max", "10000"];
    for (name, entries, size, every) in [
        (format!("{pending} pending, each tenth fails"), pending, (4, 40), 10),
        ("entries of 20 kB".to_owned(), 1_000, (4, 5_000), 1),
        ("entries of 1 MB".to_owned(), 200, (1, 1_000_000), 1),
        ("entries of 400 fields".to_owned(), 1_000, (400, 5), 1),
        ("entries of 3,499 fields".to_owned(), 200, (3_499, 1), 1),
    ] {
        fill(&mut connection, entries, size, every);
        row(redis, &name, &["xpending", "eval"], || act(&aside));
        if entries == pending {
            let left: u64 = redis.run::<(u64, Value, Value, Value)>("XPENDING s g").0;
            let (looked_at, read): (u64, u64) = (pending.min(100_000), pending - left);
            assert!(read <= looked_at / 10, "{read} moved, of {looked_at} looked at");
            row(redis, "... and replayed", &["eval"], || act(&["replay", "dead:{s}", "--max", "10000"]));
        }
    }
    for consumers in [1_000, 10_000] {
        cmd("FLUSHALL").query::<()>(&mut connection).unwrap();
        cmd("XGROUP").arg(&["CREATE", "s", "g", "0", "MKSTREAM"]).query::<()>(&mut connection).unwrap();
        let create =
            "for n = 1, ARGV[1] do redis.call('XGROUP', 'CREATECONSUMER', 's', 'g', 'worker-' .. n) end";
        cmd("EVAL").arg(create).arg(1).arg("s").arg(consumers).query::<()>(&mut connection).unwrap();
        row(redis, &format!("{consumers} consumers deleted"), &["eval"], || {
            act(&["reap-consumers", "s", "g", "--idle", "0s", "--force"]);
        });
    }
}

fn row(redis: &Redis, name: &str, commands: &[&str], work: impl FnOnce()) {
    redis.run::<()>("CONFIG SET slowlog-log-slower-than 500 slowlog-max-len 100000");
    redis.run::<()>("SLOWLOG RESET");
    let (took, waits) = beside(redis.connect(), work);
    let slow: Vec<Vec<Value>> = redis.run("SLOWLOG GET -1");
    let time = |entry: &Vec<Value>| {
        let words: Vec<String> = redis::from_redis_value(entry[3].clone()).unwrap();
        let is_meant = commands.contains(&words[0].to_lowercase().as_str());
        is_meant.then(|| redis::from_redis_value::<u64>(entry[2].clone()).unwrap())
    };
    let longest = slow
        .iter()
        .filter_map(time)
        .max()
        .map_or_else(|| "under 500 us".to_owned(), |time| format!("{time} us"));
    let moved = redis.try_run::<u64>("XLEN dead:{s}").unwrap_or(0);
    let p999 = waits[waits.len() * 999 / 1_000];
    println!("| {name} | {took:.1?} | {moved} | {:.2?} | {p999:.2?} | {longest} |", waits.last().unwrap());
}
