//! `streamwarden dead-letters`: lists, shows and removes dead letters.

use std::{ffi::OsString, time::Duration};

use clap::{ArgGroup, Args, Subcommand};

use super::{
    acting::{beyond_max, carry_out},
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
    details::{age, counted, details, fields_of, millis, name, span},
    table::{table, table_with},
};
use crate::{
    app::self_stats,
    config::{Config, Log},
    evaluate::grouped,
    model::{Entry, Failure, Name, Reason, ServerTime, StreamId},
    planner::{Looker, Pages, select},
    source::{Details, Discovery, Link},
    stuck::{Act, DEFAULT_BEGIN, DeadLetter, Planned, dead_letters_of},
    telemetry,
};

/// List, show and remove dead letters.
#[derive(Debug, Args)]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Show(Show),
    Purge(Purge),
}

/// List the streams of dead letters: those of the watched streams, by their rules and default names, and those that are named here. Read-only.
///
/// Exit code: 0, 1 on a failure or if a node of the cluster does not answer, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
struct List {
    /// Key of dead letters that have another name.
    key: Vec<OsString>,
}

/// Show dead letters, the oldest first. Read-only.
///
/// Exit code: 0, 1 on a failure or if an ID does not exist, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
struct Show {
    /// Key of the dead letters.
    key: OsString,

    /// The dead letter with this ID; repeat it for more.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "limit"])]
    id: Vec<StreamId>,

    /// Begin at this ID.
    #[arg(long, value_name = "ID", default_value = "0-0", hide_default_value = true)]
    from: StreamId,

    /// At most this many.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,

    /// Also print the fields. Long values are cut.
    #[arg(long)]
    show: bool,

    /// What the names of added fields begin with. [default: as the rule of the dead letters says, else dlq:]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
}

/// Remove dead letters for good. Other entries of the stream stay.
///
/// Exit code: 0 if all were removed, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["id", "older_than", "all"])))]
struct Purge {
    /// Key of the dead letters.
    key: OsString,

    /// The dead letter with this ID; repeat it for more.
    #[arg(long, value_name = "ID", conflicts_with = "max")]
    id: Vec<StreamId>,

    /// Those that were set aside at least this long ago, as in 30d.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,

    /// All of them.
    #[arg(long)]
    all: bool,

    /// At most this many, the oldest first. What is left is said.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    /// What the names of added fields begin with. [default: as the rule of the dead letters says, else dlq:]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    #[command(flatten)]
    confirm: Confirm,
}

impl DeadLetters {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        if let What::Purge(purge) = &self.what {
            purge.confirm.is_possible()?;
        }
        telemetry::start_logging(log);
        match self.what {
            What::List(list) => block_on(list.look(config))?,
            What::Show(show) => block_on(show.look(config))?,
            What::Purge(purge) => block_on(purge.plan_and_remove(config))?,
        }
    }
}

impl List {
    async fn look(self, config: &Config) -> Result<Exit, Error> {
        let failed = |failure| Error::of_redis("search for streams", &config.redis.access, &failure);
        let mut discovery = Discovery::new(Link::new(self_stats()));
        let streams = discovery.search(config).await.map_err(failed)?;
        let watched = streams.watchlist(config);
        let of_watched = watched.iter().flat_map(|watched| {
            let is_named_so = watched.name.as_bytes().starts_with(DEFAULT_BEGIN.as_bytes());
            let its_own = (watched.holds_dead_letters || is_named_so).then(|| watched.name.clone());
            [its_own, config.dead_letters(&watched.name), dead_letters_of(&watched.name)]
                .into_iter()
                .flatten()
        });
        let mut keys: Vec<Name> = self.key.iter().map(name).chain(of_watched).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut details = details();
        let (mut rows, mut unread) = (Vec::new(), Vec::new());
        for key in &keys {
            match row(&mut details, config, key).await {
                Ok(row) => rows.extend(row),
                Err(failure) => unread.push((key, failure)),
            }
        }
        let unanswered = discovery.unanswered();
        if rows.is_empty() && unread.is_empty() && unanswered.is_empty() {
            print("there are no dead letters\n")?;
        } else if !rows.is_empty() {
            print(table(["KEY", "ENTRIES", "OLDEST", "FROM"], &rows))?;
        }
        let unsearched =
            unanswered.iter().map(|(node, failure)| format!("the streams of {node} ({failure})"));
        let unread = unread.iter().map(|(key, failure)| format!("{key} ({failure})"));
        let missing: Vec<String> = unsearched.chain(unread).collect();
        if missing.is_empty() {
            return Ok(Exit::Success);
        }
        Err(Error::Other(format!("the list is incomplete; it lacks\n  {}", missing.join("\n  "))))
    }
}

/// The row of a key; `None` if it has no dead letters. A key of another type has a row that says so.
async fn row(details: &mut Details, config: &Config, key: &Name) -> Result<Option<[String; 4]>, Failure> {
    let length = details.length(config, key).await?;
    let oldest = match details.entries_from(config, key, StreamId::ZERO, 1).await {
        // Its length is 0 too.
        Err(failure) if failure.reason == Reason::WrongType => {
            let [entries, oldest] = ["-", "-"].map(str::to_owned);
            let from = "not a stream: nothing can be set aside here".to_owned();
            return Ok(Some([key.to_string(), entries, oldest, from]));
        }
        oldest => oldest?.pop(),
    };
    if length == 0 {
        return Ok(None);
    }
    let now = details.time(config, key).await?;
    let letter =
        oldest.as_ref().and_then(|oldest| DeadLetter::of(oldest, config.prefix_of_dead_letters(key)));
    let origin = letter.map_or_else(|| "?".to_owned(), |letter| letter.stream.to_string());
    let oldest = span(oldest.and_then(|oldest| age(oldest.id, now)));
    Ok(Some([key.to_string(), grouped(length), oldest, origin]))
}

impl Show {
    async fn look(self, config: &Config) -> Result<Exit, Error> {
        let key = name(&self.key);
        let mut details = details();
        let mut looker = Looker { config, stream: &key, details: &mut details };
        let now = looker.time().await?;
        let mut next = None;
        let (entries, missing) = if self.id.is_empty() {
            let mut pages = Pages::new(self.from);
            let (mut entries, limit) = (Vec::new(), usize::from(self.limit));
            while let Some(page) = pages.next(&mut looker).await?.filter(|_| entries.len() <= limit) {
                entries.extend(page);
            }
            next = entries.get(limit).map(|entry: &Entry| entry.id);
            entries.truncate(limit);
            (entries, Vec::new())
        } else {
            let found = looker.entries(&self.id).await?;
            let missing = self.id.iter().zip(&found).filter(|(_, entry)| entry.is_none());
            let missing: Vec<StreamId> = missing.map(|(id, _)| *id).collect();
            (found.into_iter().flatten().collect(), missing)
        };
        if entries.is_empty() && missing.is_empty() {
            looker.check_may_hold_dead_letters().await?;
            print(format_args!("{key} has no dead letters\n"))?;
        } else if !entries.is_empty() {
            let prefix = self.prefix.as_deref().unwrap_or_else(|| config.prefix_of_dead_letters(&key));
            print(self.text(&entries, prefix, now))?;
        }
        if let Some(next) = next {
            let (shown, all) = (grouped(self.limit.into()), looker.details.length(config, &key).await);
            let all = all.map_or_else(|_| "more".to_owned(), grouped);
            print(format_args!(
                "showed {shown} of {all}; go on with --from {next}, or with a larger --limit\n"
            ))?;
        }
        missing.iter().try_for_each(|id| print(format_args!("{key} has no entry {id}\n")))?;
        Ok(Exit::success_if(missing.is_empty()))
    }

    fn text(&self, entries: &[Entry], prefix: &str, now: Option<ServerTime>) -> String {
        let row = |entry: &Entry| {
            let id = entry.id.to_string();
            let Some(letter) = DeadLetter::of(entry, prefix) else {
                return [
                    id,
                    "?".into(),
                    "not a dead letter".into(),
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                ];
            };
            let aside = now.zip(letter.time).and_then(|(now, time)| now.0.checked_sub(time));
            [
                id,
                span(aside),
                letter.stream.to_string(),
                letter.group.to_string(),
                letter.origin_id.map_or_else(|| "?".to_owned(), |id| id.to_string()),
                letter.deliveries.map_or_else(|| "?".to_owned(), grouped),
                letter.replays.to_string(),
            ]
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let shown = entries.iter().map(|entry| {
            let letter = DeadLetter::of(entry, prefix);
            let fields = letter.map_or(entry.fields.as_slice(), |letter| letter.fields);
            if self.show { fields_of(fields) } else { String::new() }
        });
        table_with(["ID", "SINCE", "FROM", "GROUP", "ITS ID", "DELIVERIES", "REPLAYS"], &rows, shown)
    }
}

impl Purge {
    async fn plan_and_remove(self, config: &Config) -> Result<Exit, Error> {
        let key = name(&self.key);
        let mut details = details();
        let mut looker = Looker { config, stream: &key, details: &mut details };
        let now = looker.time().await?;
        let most = usize::try_from(self.max).unwrap_or(usize::MAX);
        if now.is_none() && self.older_than.is_some() {
            let what = "--older-than needs the server's clock, and the user may not run TIME";
            return Err(Error::Other(what.to_owned()));
        }
        let least_age = self.older_than.map(|age| millis(age).get());
        let is_meant = |letter: &DeadLetter<'_>| {
            let its_age = now.zip(letter.time).and_then(|(now, time)| now.0.checked_sub(time));
            least_age.is_none_or(|least| its_age.is_some_and(|its_own| its_own >= least))
        };
        let prefix = self.prefix.as_deref().unwrap_or_else(|| config.prefix_of_dead_letters(&key));
        let mut chosen = Vec::new();
        let rest = select(&mut looker, (&self.id, StreamId::ZERO), prefix, |letter| {
            chosen.extend(is_meant(letter).then_some(letter.id));
            chosen.len() < most
        })
        .await?;
        print(format_args!("would remove  {} from {key}, for good\n", counted(chosen.len(), "dead letter")))?;
        let rest = beyond_max(rest, self.max);
        rest.iter().try_for_each(print)?;
        let question = format!("Remove {} for good?", counted(chosen.len(), "dead letter"));
        let plan = Planned::of_ids(Act::purge(&key, prefix), chosen);
        carry_out(config, &self.confirm, &question, vec![plan], None, rest.as_deref()).await
    }
}
