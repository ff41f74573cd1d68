//! `streamwarden check-config --cost`: how many commands a configuration sends to Redis, for who is billed by them. What
//! can be measured is: it searches for streams and polls as the sidecar does.

use std::{collections::BTreeMap, fmt::Write, process::ExitCode, sync::Arc, time::Duration};

use super::{complain, print};
use crate::{
    config::{Config, Log, Sources},
    model::{Failure, Name, Snapshot},
    poll::Reader,
    retention::{Lease, Policy},
    self_stats::SelfStats,
    source::{Command, Discovery, Link, polls_between_checks},
    telemetry,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The first polls ask what later ones need not ask again; after these one is measured.
const FIRST_POLLS: usize = 2;
/// Between them: what moves has moved by then.
const BETWEEN: Duration = Duration::from_secs(1);
/// A run of retention asks for the clock, and then once more than it removes something, which here it does once.
const CHECK: u64 = 1;
const STEPS: u64 = 2;
/// What a step sends, with the commands in its script, ...
const STEP: u64 = 8;
/// ... and for each group.
const STEP_OF_A_GROUP: u64 = 2;
/// Looking after the lease: whose it is, and that it goes on.
const LEASE: u64 = 2;

/// Prints what this configuration costs, and what it would with `redis.billed_by_command` the other way.
pub(super) fn run(config: &Config, mut sources: Sources) -> ExitCode {
    telemetry::start_logging(&Log { level: "warn".to_owned(), ..config.log.clone() });
    let other = !config.redis.billed_by_command;
    sources.overrides.set("--cost", "redis.billed_by_command", Some(other.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let table = sources.load().map_err(|error| error.to_string()).and_then(|other| {
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        runtime.block_on(compare(config, &other)).map_err(|failure| format!("cannot ask Redis: {failure}"))
    });
    match table {
        Ok(table) => {
            print(table);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("error: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn compare(config: &Config, other: &Config) -> Result<String, Failure> {
    let stats = Arc::new(SelfStats::new());
    let found = Discovery::new(Link::new(Arc::clone(&stats))).search(config).await?;
    let scans = stats.commands_sent(&["scan"]);
    let cost = Cost::measure(config, &found.streams, scans).await?;
    let other_cost = Cost::measure(other, &found.streams, scans).await?;
    let mut text = format!(
        "redis.billed_by_command is {}; {} streams with {} groups\n\n",
        config.redis.billed_by_command,
        found.streams.len(),
        cost.groups
    );
    text += &cost.table();
    let (most, is_billed) = (cost.most_in(MONTH), other.redis.billed_by_command);
    let (others, others_most) = (other_cost.total_in(MONTH), other_cost.most_in(MONTH));
    write!(
        text,
        "\nUp to {most} in 30 days if each poll leaves something open in each group.\n\
         With redis.billed_by_command: {is_billed} it would be {others} to {others_most}.\n\
         Not counted: a few commands for each connection that is made.\n"
    )
    .expect("a String takes any text");
    Ok(text)
}

/// Something that is done again and again.
struct Row {
    what: String,
    commands: u64,
    every: Duration,
    how_known: &'static str,
}

impl Row {
    fn times_in(&self, span: Duration) -> u64 {
        u64::try_from(span.as_nanos() / self.every.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    fn commands_in(&self, span: Duration) -> u64 {
        self.commands.saturating_mul(self.times_in(span))
    }
}

struct Cost {
    read: Row,
    clock: Row,
    /// What a reading leaves open and is asked then.
    open: Row,
    others: Vec<Row>,
    groups: usize,
    /// Commands for one question about each group.
    most_open: u64,
}

impl Cost {
    async fn measure(config: &Config, streams: &[Name], scans: u64) -> Result<Self, Failure> {
        let stats = Arc::new(SelfStats::new());
        let mut reader = Reader::new(Arc::clone(&stats));
        for _ in 0..FIRST_POLLS {
            reader.read(config, streams).await?;
            tokio::time::sleep(config.poll.interval.min(BETWEEN)).await;
        }
        let asks_for_time = || stats.commands_sent(&["time"]);
        let sent = || stats.commands_sent(Command::LABELS) - asks_for_time();
        let before = sent();
        let snapshot = reader.observe(config, streams).await?;
        let read = sent();
        let groups = snapshot.streams.values().flatten().map(|stream| stream.groups.len()).sum::<usize>();
        let retention = retention(config, &snapshot);
        reader.complete(config, snapshot).await?;
        let asked = sent() - read;

        let row = |what: &str, commands, every| {
            let what = what.to_owned();
            Row { what, commands, every, how_known: "measured" }
        };
        let search = row("a search for streams", scans, config.poll.discovery_interval);
        let search = config.needs_discovery().then_some(search);
        Ok(Self {
            read: row("reading the streams", read - before, config.poll.interval),
            clock: row(
                "the server's clock",
                1,
                config.poll.interval * polls_between_checks(config.redis.billed_by_command),
            ),
            open: row("what that leaves open", asked, config.poll.interval),
            others: search.into_iter().chain(retention).collect(),
            groups,
            most_open: asked.max(u64::try_from(groups).unwrap_or(u64::MAX)),
        })
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        [&self.read, &self.clock, &self.open].into_iter().chain(&self.others)
    }

    fn total_in(&self, span: Duration) -> u64 {
        self.rows().map(|row| row.commands_in(span)).sum()
    }

    fn most_in(&self, span: Duration) -> u64 {
        self.total_in(span) + (self.most_open - self.open.commands) * self.open.times_in(span)
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{:32} {:>9} {:>12} {:>10} {:>11}\n",
            "", "commands", "times a day", "a day", "in 30 days"
        );
        for row in self.rows() {
            let (what, commands, times) = (&row.what, row.commands, row.times_in(DAY));
            let (a_day, in_a_month) = (row.commands_in(DAY), row.commands_in(MONTH));
            writeln!(text, "{what:32} {commands:9} {times:12} {a_day:10} {in_a_month:11}  {}", row.how_known)
                .expect("a String takes any text");
        }
        text + &format!("{:55} {:10} {:11}\n", "total", self.total_in(DAY), self.total_in(MONTH))
    }
}

/// What retention sends depends on what there is to trim.
fn retention(config: &Config, snapshot: &Snapshot) -> Vec<Row> {
    let mut streams_by_run = BTreeMap::<Duration, (u64, u64)>::new();
    for (name, stream) in &snapshot.streams {
        let Some(policy) = Policy::of(config, name).filter(Policy::enforces) else { continue };
        let groups = stream.as_ref().map_or(0, |stream| stream.groups.len());
        let groups = u64::try_from(groups).unwrap_or(u64::MAX);
        let (streams, commands) = streams_by_run.entry(policy.interval).or_default();
        *streams += 1;
        *commands += CHECK + STEPS * (STEP + STEP_OF_A_GROUP * groups);
    }
    let lease = (!streams_by_run.is_empty()).then(|| Row {
        what: "the retention lease".to_owned(),
        commands: LEASE,
        every: Lease::pace(config),
        how_known: "estimated: for its holder; half for others",
    });
    let runs = streams_by_run.into_iter().map(|(every, (streams, commands))| Row {
        what: format!("retention of {streams} streams"),
        commands,
        every,
        how_known: "estimated: each run removes something in one step, by a script whose commands count",
    });
    runs.chain(lease).collect()
}
