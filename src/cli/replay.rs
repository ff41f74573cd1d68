//! `streamwarden replay`: plays dead letters back.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use clap::Args;

use super::{
    acting::{Planned, carry_out},
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
    dead_letters::select,
    details::{OneStream, counted, millis, name},
};
use crate::{
    config::{Config, Log},
    model::{Content, Name, StreamId},
    stuck::{Act, DEFAULT_PREFIX, DeadLetter, MOST_REPLAYS},
    telemetry,
};

/// Add dead letters to their stream again, and remove them from the dead letters.
///
/// All groups of the stream see them again, also those that had handled them. They come to the end of the stream. A command that was
/// interrupted goes on where it was if it is run again.
///
/// Exit code: 0 if all were replayed, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Key of the dead letters.
    key: OsString,

    /// The dead letter with this ID; repeat it for more.
    #[arg(long, value_name = "ID", conflicts_with_all = ["filter", "since"])]
    id: Vec<StreamId>,

    /// Only those of which this field has this value; repeat it for more fields.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = parse_filter)]
    filter: Vec<(String, String)>,

    /// Only those that were set aside within this time, as in 2h.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    /// The stream that gets them. Without it, the one that each is from. In a cluster it must be in the slot of the dead letters.
    #[arg(long, value_name = "STREAM")]
    to: Option<OsString>,

    /// At most this many.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    /// At most this many in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,

    /// Leave those that were replayed this often already: they fail each time.
    #[arg(long, value_name = "N", default_value_t = MOST_REPLAYS, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    max_replays: u64,

    /// What the names of added fields begin with.
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PREFIX)]
    prefix: String,

    #[command(flatten)]
    confirm: Confirm,
}

fn parse_filter(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("a filter looks like FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// What is to be replayed.
#[derive(Default)]
struct Chosen {
    /// By the stream that they are from.
    by_origin: BTreeMap<Name, Vec<StreamId>>,
    count: usize,
    /// Those that were replayed too often.
    looped: usize,
}

impl Replay {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        self.confirm.is_possible()?;
        telemetry::start_logging(log);
        block_on(self.plan_and_replay(config))?
    }

    async fn plan_and_replay(self, config: &Config) -> Result<Exit, Error> {
        let key = name(&self.key);
        let to = self.to.as_ref().map(name);
        let chosen = self.choose(config, &key).await?;
        if to.as_ref() == Some(&key) || chosen.by_origin.contains_key(&key) {
            return Err(Error::Usage(format!(
                "{key} is the stream of the dead letters itself; pass another one as --to"
            )));
        }
        print(format_args!("dead letters  {key}\n"))?;
        if chosen.looped > 0 {
            let how_often = format!("replayed {} times already (--max-replays)", self.max_replays);
            print(format_args!("would leave   {}, {how_often}\n", counted(chosen.looped, "dead letter")))?;
        }
        let mut plans = Vec::new();
        for (origin, ids) in chosen.by_origin {
            let stream = to.as_ref().unwrap_or(&origin);
            print(format_args!("would replay  {} to {stream}\n", counted(ids.len(), "dead letter")))?;
            print(seen_by(config, stream).await?)?;
            let act = Act::replay(&key, stream, &self.prefix, Some(&origin), self.max_replays);
            plans.push(Planned { rate: self.rate, ..Planned::of_ids(act, ids) });
        }
        let question = format!("Replay {}?", counted(chosen.count, "dead letter"));
        carry_out(config, &self.confirm, &question, plans).await
    }

    async fn choose(&self, config: &Config, key: &Name) -> Result<Chosen, Error> {
        let mut reading = OneStream::new(config, key);
        let now = reading.time().await?;
        let most = usize::try_from(self.max).unwrap_or(usize::MAX);
        let most_age = self.since.map(|since| millis(since).get());
        let mut chosen = Chosen::default();
        select(&mut reading, &self.id, &self.prefix, |letter| {
            let its_age = now.zip(letter.time).and_then(|(now, time)| now.0.checked_sub(time));
            let is_recent = most_age.is_none_or(|most| its_age.is_some_and(|its_own| its_own <= most));
            if !is_recent || !self.is_meant(letter) {
                return true;
            }
            if letter.replays >= self.max_replays {
                chosen.looped += 1;
                return true;
            }
            chosen.by_origin.entry(letter.stream.clone()).or_default().push(letter.id);
            chosen.count += 1;
            chosen.count < most
        })
        .await?;
        Ok(chosen)
    }

    fn is_meant(&self, letter: &DeadLetter<'_>) -> bool {
        let is_in = |(field, value): &(String, String)| {
            let is = |content: &Content, text: &str| content.bytes() == Some(text.as_bytes());
            letter.fields.iter().any(|(its_name, its_value)| is(its_name, field) && is(its_value, value))
        };
        self.filter.iter().all(is_in)
    }
}

/// The groups that see what is added to this stream.
async fn seen_by(config: &Config, stream: &Name) -> Result<String, Error> {
    let groups = OneStream::new(config, stream).groups().await?;
    let names: Vec<String> = groups.iter().map(|group| group.name.to_string()).collect();
    Ok(match names.as_slice() {
        [] => format!("              {stream} has no groups: nothing reads them but XREAD\n"),
        all => format!("              all of its groups see them again: {}\n", all.join(", ")),
    })
}
