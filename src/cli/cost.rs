//! `streamwarden check-config --cost`: the commands that a configuration sends to Redis, and what they cost on a server that bills
//! them. It searches for streams and polls as the sidecar does, and counts the commands of other clients.

mod others;
mod prices;

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use super::{
    command::{Error, Exit, block_on, print},
    details::counted,
};
use crate::{
    actions::{Lease, Prober},
    app::self_stats,
    config::{Config, Sources, Watchlist},
    evaluate::{self, grouped},
    model::{Failure, Snapshot},
    reader::{MONTH, Reader},
    source::{Command, Discovery, Link, polls_between_checks},
};
use others::{Others, arithmetic};
use prices::PRICES;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The intervals that are compared.
const INTERVALS: [Duration; 5] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];
/// The first polls ask more than later ones. The poll after them is measured.
const FIRST_POLLS: usize = 2;
/// The pause between them, so that streams move.
const BETWEEN: Duration = Duration::from_secs(1);
/// Asking for the clock and the role. A run of retention does it too.
const CHECK: u64 = 2;
/// A run removes something once, and then once finds nothing to remove.
const STEPS: u64 = 2;
/// A search asks for the role too.
const ROLE: u64 = 1;
/// The commands of a step, with those in its script, ...
const STEP: u64 = 8;
/// ... and for each group.
const STEP_OF_A_GROUP: u64 = 2;
/// Looking for dead letters before a run under the limit of a glob removes something: the script's step does it by what it reads anyway,
/// so this is for servers without scripts.
const LOOK: u64 = 1;
/// The groups of a stream, which its rules about stuck work ask for.
const GROUPS: u64 = 1;
/// Reading and extending the lease.
const LEASE: u64 = 2;

/// Prints the cost of this configuration and of other intervals, and the commands of other clients in this time.
pub(super) fn run(config: &Config, mut sources: Sources, others: Duration) -> Result<Exit, Error> {
    let other = !config.redis.billed_by_command;
    sources.overrides.set("--cost", "redis.billed_by_command", other.to_string());
    let text = block_on(describe(config, &sources.load()?, others))?;
    print(text.map_err(|failure| Error::of_redis("count commands", &config.redis.access, &failure))?)?;
    Ok(Exit::Success)
}

async fn describe(config: &Config, other: &Config, others: Duration) -> Result<String, Failure> {
    let stats = self_stats();
    let found = Discovery::new(Link::new(Arc::clone(&stats))).search(config).await?;
    let scans = stats.commands_sent(&["scan"]);
    let cost = Cost::measure(config, &found.watchlist(config), scans).await?;
    let other_cost = Cost::measure(other, &found.watchlist(other), scans).await?;
    let mut text = format!(
        "redis.billed_by_command is {}; {} with {}\n\n{}\n{}",
        config.redis.billed_by_command,
        counted(found.streams.len(), "stream"),
        evaluate::counted(cost.groups, "group"),
        cost.table(),
        cost.intervals()
    );
    let (total, most) =
        (other_cost.total_in(MONTH, other_cost.interval), other_cost.most(other_cost.interval));
    write!(
        text,
        "\nWith redis.billed_by_command: {}, at {}, it would be {} to {} ({} to {}).\n\
         Not counted: a few commands for each new connection.\n\n{}\n",
        other.redis.billed_by_command,
        humantime::format_duration(other_cost.interval),
        grouped(total),
        grouped(most),
        PRICES.money(total),
        PRICES.money(most),
        PRICES.describe()
    )
    .expect("a String takes any text");
    if !others.is_zero() {
        match Others::count(config, others).await {
            Ok(others) => text += &others.table(),
            Err(failure) => {
                writeln!(text, "What other clients send is unknown: {failure}")
                    .expect("a String takes any text");
            }
        }
        text.push('\n');
    }
    Ok(text + &arithmetic(cost.consumers))
}

/// How often something is done.
enum Pace {
    /// Once in this many polls.
    Polls(u32),
    Every(Duration),
}

/// A repeated activity.
struct Row {
    what: String,
    commands: u64,
    pace: Pace,
    how_known: String,
}

impl Row {
    /// `interval` is that of the polls.
    fn times_in(&self, span: Duration, interval: Duration) -> u64 {
        let every = match self.pace {
            Pace::Polls(polls) => interval * polls,
            Pace::Every(every) => every,
        };
        u64::try_from(span.as_nanos() / every.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    fn commands_in(&self, span: Duration, interval: Duration) -> u64 {
        self.commands.saturating_mul(self.times_in(span, interval))
    }
}

struct Cost {
    interval: Duration,
    /// All but the lookups, which ask what a reading leaves open.
    rows: Vec<Row>,
    lookups: Row,
    /// The most lookups in a month, if there is a bound.
    budget: Option<u64>,
    groups: u64,
    consumers: u64,
}

impl Cost {
    async fn measure(config: &Config, streams: &Watchlist, scans: u64) -> Result<Self, Failure> {
        let stats = self_stats();
        let mut reader = Reader::new(Link::new(Arc::clone(&stats)));
        for _ in 0..FIRST_POLLS {
            reader.read(config, streams).await?;
            tokio::time::sleep(config.poll.interval.min(BETWEEN)).await;
        }
        let checks = || stats.commands_sent(&["time", "hello", "role", "info"]);
        let sent = || stats.commands_sent(Command::LABELS) - checks();
        let before = sent();
        let snapshot = reader.observe(config, streams).await?;
        let read = sent();
        let groups = || snapshot.streams.values().flatten().flat_map(|stream| stream.groups.values());
        let (group_count, consumers) = groups()
            .fold((0, 0), |(groups, consumers), group| (groups + 1, consumers + group.consumer_count));
        let retention = retention(config, streams, &snapshot);
        let rules = rules(config, streams, &snapshot);
        reader.complete(config, streams, snapshot).await?;
        let asked = sent() - read;

        let is_billed = config.redis.billed_by_command;
        let row = |what: &str, commands, pace, how_known: &str| {
            let (what, how_known) = (what.to_owned(), how_known.to_owned());
            Row { what, commands, pace, how_known }
        };
        let search = Pace::Every(config.poll.discovery_interval);
        let search = row("a search for streams", scans + ROLE, search, "measured");
        let check = Pace::Polls(polls_between_checks(is_billed));
        let budget = config.redis.lookups_a_month;
        let allowed = budget.map(|budget| format!("; redis.lookups_a_month allows {}", grouped(budget)));
        let rows = [
            row("reading the streams", read - before, Pace::Polls(1), "measured"),
            row("the server's clock and role", CHECK, check, "by design"),
        ];
        Ok(Self {
            interval: config.poll.interval,
            rows: rows
                .into_iter()
                .chain(ticks(config, streams))
                .chain(probes(config))
                .chain(memory(config, streams))
                .chain(config.needs_discovery().then_some(search))
                .chain(retention)
                .chain(rules)
                .collect(),
            lookups: row(
                "what that leaves open",
                asked,
                Pace::Polls(1),
                &format!("measured{}", allowed.unwrap_or_default()),
            ),
            budget,
            groups: group_count,
            consumers,
        })
    }

    /// Lookups, if each poll sends this many.
    fn lookups_in(&self, span: Duration, interval: Duration, a_poll: u64) -> u64 {
        let wanted = self.lookups.times_in(span, interval).saturating_mul(a_poll);
        let allowed = |budget| u128::from(budget) * span.as_nanos() / MONTH.as_nanos();
        let allowed =
            self.budget.map_or(u64::MAX, |budget| u64::try_from(allowed(budget)).unwrap_or(u64::MAX));
        wanted.min(allowed)
    }

    fn total_with(&self, span: Duration, interval: Duration, lookups_a_poll: u64) -> u64 {
        let others: u64 = self.rows.iter().map(|row| row.commands_in(span, interval)).sum();
        others + self.lookups_in(span, interval, lookups_a_poll)
    }

    fn total_in(&self, span: Duration, interval: Duration) -> u64 {
        self.total_with(span, interval, self.lookups.commands)
    }

    /// In a month, if each poll leaves something open on each group.
    fn most(&self, interval: Duration) -> u64 {
        self.total_with(MONTH, interval, self.lookups.commands.max(self.groups))
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{:32} {:>9} {:>12} {:>10} {:>11}\n",
            "", "commands", "times a day", "a day", "in 30 days"
        );
        let mut add = |row: &Row, a_day: u64, in_a_month: u64| {
            let (commands, times) = (grouped(row.commands), grouped(row.times_in(DAY, self.interval)));
            let (a_day, in_a_month) = (grouped(a_day), grouped(in_a_month));
            let Row { what, how_known, .. } = row;
            writeln!(text, "{what:32} {commands:>9} {times:>12} {a_day:>10} {in_a_month:>11}  {how_known}")
                .expect("a String takes any text");
        };
        for row in &self.rows {
            add(row, row.commands_in(DAY, self.interval), row.commands_in(MONTH, self.interval));
        }
        let lookups = |span| self.lookups_in(span, self.interval, self.lookups.commands);
        add(&self.lookups, lookups(DAY), lookups(MONTH));
        let total = |span| grouped(self.total_in(span, self.interval));
        text + &format!("{:55} {:>10} {:>11}\n", "total", total(DAY), total(MONTH))
    }

    /// What other intervals cost, in commands and in money.
    fn intervals(&self) -> String {
        let mut text = format!(
            "{:16} {:>12} {:>12} {:>22}  {}\n",
            "poll.interval", "in 30 days", "at most", "pay as you go", "free plan"
        );
        let mut intervals = INTERVALS.to_vec();
        intervals.push(self.interval);
        intervals.sort();
        intervals.dedup();
        for interval in intervals {
            let (total, most) = (self.total_in(MONTH, interval), self.most(interval));
            let mark = if interval == self.interval { " (now)" } else { "" };
            let name = format!("{}{mark}", humantime::format_duration(interval));
            let money = format!("{} to {}", PRICES.money(total), PRICES.money(most));
            let is_free = match PRICES.free_commands {
                free if most < free => "enough",
                free if total < free => "perhaps enough",
                _ => "not enough",
            };
            let (total, most) = (grouped(total), grouped(most));
            writeln!(text, "{name:16} {total:>12} {most:>12} {money:>22}  {is_free}")
                .expect("a String takes any text");
        }
        text + "\"At most\": if each poll leaves something open on each group.\n"
    }
}

/// The commands that measure objectives: `TIME`, and one a stream. Those about entries that are followed depend on the traffic.
fn ticks(config: &Config, watchlist: &Watchlist) -> Option<Row> {
    let measured =
        watchlist.iter().filter(|watched| watched.rule.as_ref().is_some_and(|rule| rule.slo.is_some()));
    let measured = measured.take(config.latency.streams).count();
    let commands = u64::try_from(measured).unwrap_or(u64::MAX).saturating_add(1);
    (config.latency.enabled && measured > 0).then(|| Row {
        what: format!("the objectives of {}", counted(measured, "stream")),
        commands,
        pace: Pace::Every(config.latency.tick),
        how_known: "by design; one more for each other node of a cluster, and up to four for each group with an objective for handled".to_owned(),
    })
}

/// The commands of the probe.
fn probes(config: &Config) -> Option<Row> {
    config.probe.enabled.then(|| Row {
        what: "the probe".to_owned(),
        commands: Prober::COMMANDS,
        pace: Pace::Every(config.probe.interval),
        how_known: "by design; as many for each other primary of a cluster".to_owned(),
    })
}

/// The questions about the memory of streams.
fn memory(config: &Config, watchlist: &Watchlist) -> Option<Row> {
    let asked = watchlist.len().min(config.memory.streams);
    (config.memory.enabled && asked > 0).then(|| Row {
        what: format!("the memory of {}", counted(asked, "stream")),
        commands: u64::try_from(asked).unwrap_or(u64::MAX),
        pace: Pace::Every(config.memory.interval),
        how_known: "by design".to_owned(),
    })
}

/// What the rules about stuck work read. What they move or delete depends on what is to be moved.
fn rules(config: &Config, watchlist: &Watchlist, snapshot: &Snapshot) -> Vec<Row> {
    let mut streams_by_run = BTreeMap::<Duration, (u64, u64)>::new();
    for (name, stream) in &snapshot.streams {
        let Some(watched) = watchlist.get(name).filter(|_| config.retention.enabled) else { continue };
        let rules = [watched.dead_letter().is_some(), watched.reap_consumers().is_some()];
        let a_group = rules.iter().map(|is_there| u64::from(*is_there)).sum::<u64>();
        if a_group == 0 {
            continue;
        }
        let groups = stream.as_ref().map_or(0, |stream| stream.groups.len());
        let groups = u64::try_from(groups).unwrap_or(u64::MAX);
        let interval = watched.policy.as_ref().map_or(config.retention.interval, |policy| policy.interval);
        let (streams, commands) = streams_by_run.entry(interval).or_default();
        *streams += 1;
        *commands += GROUPS + a_group * groups;
    }
    let row = |(every, (streams, commands))| Row {
        what: format!("dead_letter, reap: {}", evaluate::counted(streams, "stream")),
        commands,
        pace: Pace::Every(every),
        how_known: "estimated: what they read; 1 more for each 1,000 pending, 11 or more to move one"
            .to_owned(),
    };
    streams_by_run.into_iter().map(row).collect()
}

/// The commands of retention, which depend on what is to be trimmed.
fn retention(config: &Config, watchlist: &Watchlist, snapshot: &Snapshot) -> Vec<Row> {
    let mut streams_by_run = BTreeMap::<Duration, (u64, u64)>::new();
    for (name, stream) in &snapshot.streams {
        let policy = watchlist.get(name).and_then(|watched| watched.policy.as_ref());
        let Some(policy) = policy.filter(|policy| policy.enforces()) else { continue };
        let groups = stream.as_ref().map_or(0, |stream| stream.groups.len());
        let groups = u64::try_from(groups).unwrap_or(u64::MAX);
        let (streams, commands) = streams_by_run.entry(policy.interval).or_default();
        *streams += 1;
        *commands += CHECK + STEPS * (STEP + STEP_OF_A_GROUP * groups);
        *commands += if policy.spares_dead_letters { LOOK } else { 0 };
    }
    let lease = (!streams_by_run.is_empty()).then(|| Row {
        what: "the retention lease".to_owned(),
        commands: LEASE,
        pace: Pace::Every(Lease::pace(config)),
        how_known: "estimated: for its holder; half for others".to_owned(),
    });
    let runs = streams_by_run.into_iter().map(|(every, (streams, commands))| Row {
        what: format!("retention of {}", evaluate::counted(streams, "stream")),
        commands,
        pace: Pace::Every(every),
        how_known: "estimated: each run trims once, by a script whose commands count".to_owned(),
    });
    runs.chain(lease).collect()
}
