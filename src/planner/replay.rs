//! Which dead letters to play back, and how dead letters are read.

use std::collections::BTreeMap;

use super::{Looker, Refusal};
use crate::{
    config::Config,
    model::{Content, Entry, Millis, Name, StreamId},
    source::Details,
    stuck::{Act, DeadLetter, Outcome, Outcomes, Planned},
};

/// Entries in one reply, since each may be large.
const PORTION: u64 = 20;
/// Entries after which a stream without a dead letter counts as one that holds none.
const MOST_OTHERS: usize = 1_000;

/// What to play back.
#[derive(Debug, Clone)]
pub struct ReplayOrder {
    /// The key of the dead letters.
    pub key: Name,
    /// These; empty: all that fit the rest.
    pub ids: Vec<StreamId>,
    /// Only those with these fields and values.
    pub filter: Vec<(String, String)>,
    /// Only those that were set aside within this time.
    pub since: Option<Millis>,
    /// The stream that gets them, unless it is the one that each is from.
    pub to: Option<Name>,
    /// Where to begin.
    pub from: StreamId,
    /// The most of them.
    pub max: usize,
    /// How often one is replayed.
    pub most_replays: u64,
    /// What the names of added fields begin with, unless it is as the rule of the dead letters says.
    pub prefix: Option<String>,
}

/// What would be played back.
#[derive(Debug)]
pub struct ReplayPlan {
    /// To each stream.
    pub streams: Vec<Replayed>,
    /// Those that were replayed too often.
    pub looped: u64,
    /// What was not looked at.
    pub rest: Option<Rest>,
}

/// The entries behind the last one that was looked at, since that was as many as were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Where they begin.
    pub next: StreamId,
    /// How many they are at least.
    pub at_least: u64,
    /// Whether there are no more.
    pub is_exact: bool,
}

/// What one stream would get.
#[derive(Debug)]
pub struct Replayed {
    /// The stream.
    pub to: Name,
    /// Its groups: all see them again.
    pub groups: Vec<Name>,
    /// The act.
    pub planned: Planned,
}

impl ReplayOrder {
    /// # Errors
    /// A parameter is wrong, something is missing, or Redis failed.
    pub async fn plan(&self, config: &Config, details: &mut Details) -> Result<ReplayPlan, Refusal> {
        let prefix = self.prefix.as_deref().unwrap_or_else(|| config.prefix_of_dead_letters(&self.key));
        let Chosen { by_origin, looped, rest } = self.choose(config, details, prefix).await?;
        let key = &self.key;
        if self.to.as_ref() == Some(key) || by_origin.contains_key(key) {
            let what = format!("{key} is the stream of the dead letters itself; name another one");
            return Err(Refusal::wrong("to", what));
        }
        let mut streams = Vec::new();
        for (origin, ids) in by_origin {
            let to = self.to.as_ref().unwrap_or(&origin).clone();
            let groups = Looker { config, stream: &to, details }.groups().await?;
            let act = Act::replay(key, &to, prefix, Some(&origin), self.most_replays);
            let groups = groups.into_iter().map(|group| group.name).collect();
            streams.push(Replayed { to, groups, planned: Planned::of_ids(act, ids) });
        }
        Ok(ReplayPlan { streams, looped, rest })
    }

    /// What is meant.
    async fn choose(&self, config: &Config, details: &mut Details, prefix: &str) -> Result<Chosen, Refusal> {
        let mut looker = Looker { config, stream: &self.key, details };
        let now = looker.time().await?;
        if now.is_none() && self.since.is_some() {
            let what = "needs the server's clock, and the user may not run TIME";
            return Err(Refusal::wrong("since", what));
        }
        let (mut by_origin, mut count, mut looped) = (BTreeMap::<Name, Vec<StreamId>>::new(), 0, 0);
        let rest = select(&mut looker, (&self.ids, self.from), prefix, |letter| {
            let its_age = now.zip(letter.time).and_then(|(now, time)| now.0.checked_sub(time));
            let is_recent =
                self.since.is_none_or(|most| its_age.is_some_and(|its_own| its_own <= most.get()));
            if !is_recent || !self.is_meant(letter) {
                return true;
            }
            if letter.replays >= self.most_replays {
                looped += 1;
                return true;
            }
            by_origin.entry(letter.stream.clone()).or_default().push(letter.id);
            count += 1;
            count < self.max
        })
        .await?;
        Ok(Chosen { by_origin, looped, rest })
    }

    fn is_meant(&self, letter: &DeadLetter<'_>) -> bool {
        let is_in = |(field, value): &(String, String)| {
            let is = |content: &Content, text: &str| content.bytes() == Some(text.as_bytes());
            letter.fields.iter().any(|(its_name, its_value)| is(its_name, field) && is(its_value, value))
        };
        self.filter.iter().all(is_in)
    }
}

/// What a replay means.
struct Chosen {
    /// The dead letters, by the stream that they are from.
    by_origin: BTreeMap<Name, Vec<StreamId>>,
    /// How many were replayed too often.
    looped: u64,
    rest: Option<Rest>,
}

impl ReplayPlan {
    /// What would stay as it is, and why.
    #[must_use]
    pub fn left(&self) -> Outcomes {
        let mut left = Outcomes::of(Outcome::Looped, self.looped);
        left.join(&Outcomes::of(Outcome::NotLookedAt, self.rest.map_or(0, |rest| rest.at_least)));
        left
    }

    /// Dead letters that would be replayed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.streams.iter().map(|stream| stream.planned.items.len()).sum()
    }
}

/// Reads a stream from its oldest entry on.
pub struct Pages(Option<StreamId>);

impl Pages {
    /// From this ID on.
    #[must_use]
    pub const fn new(from: StreamId) -> Self {
        Self(Some(from))
    }

    /// The next entries; `None` after the last one.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn next(&mut self, looker: &mut Looker<'_>) -> Result<Option<Vec<Entry>>, Refusal> {
        let Some(from) = self.0 else { return Ok(None) };
        let page = looker.details.entries_from(looker.config, looker.stream, from, PORTION).await;
        let page = page.map_err(|failure| looker.refusal(&failure))?;
        self.0 = page.last().and_then(|last| last.id.next());
        Ok((!page.is_empty()).then_some(page))
    }
}

/// Calls `take` with the dead letters of these IDs, or with all of the stream from an ID on, until it returns false. Returns what it left.
///
/// # Errors
/// An ID that does not exist or is not a dead letter, a stream without dead letters, or why they can't be read.
pub async fn select(
    looker: &mut Looker<'_>,
    (ids, from): (&[StreamId], StreamId),
    prefix: &str,
    mut take: impl FnMut(&DeadLetter<'_>) -> bool,
) -> Result<Option<Rest>, Refusal> {
    if !ids.is_empty() {
        let found = looker.entries(ids).await?;
        let key = looker.stream;
        for (id, entry) in ids.iter().zip(&found) {
            let entry = entry.as_ref().ok_or_else(|| Refusal::Missing(format!("{key} has no entry {id}")))?;
            let letter = DeadLetter::of(entry, prefix);
            let letter =
                letter.ok_or_else(|| Refusal::Forbidden(format!("{key}: {id} is not a dead letter")))?;
            take(&letter);
        }
        return Ok(None);
    }
    let mut pages = Pages::new(from);
    // What is left of dead letters may be other entries alone.
    let goes_on = from != StreamId::ZERO;
    let (mut others, mut has_letters, mut looked_at) = (0, goes_on, 0);
    while let Some(page) = pages.next(looker).await? {
        for entry in &page {
            looked_at += 1;
            match DeadLetter::of(entry, prefix) {
                Some(letter) if !take(&letter) => return rest(looker, from, letter.id, looked_at).await,
                Some(_) => has_letters = true,
                None => others += 1,
            }
        }
        if !has_letters && others >= MOST_OTHERS {
            break;
        }
    }
    if looked_at == 0 {
        looker.check_may_hold_dead_letters().await?;
    }
    if has_letters || others == 0 {
        return Ok(None);
    }
    let others =
        if others >= MOST_OTHERS { format!("of its oldest {others}") } else { format!("of its {others}") };
    Err(Refusal::Forbidden(format!(
        "{} holds no dead letters: none {others} entries has the fields of one, which begin with {prefix} (`prefix`)",
        looker.stream
    )))
}

/// What is behind the last of so many entries that were looked at. If these are not the first ones, only a page of the others is counted.
async fn rest(
    looker: &mut Looker<'_>,
    from: StreamId,
    last: StreamId,
    looked_at: u64,
) -> Result<Option<Rest>, Refusal> {
    let Some(next) = last.next() else { return Ok(None) };
    let (at_least, is_exact) = if from == StreamId::ZERO {
        let length = looker.details.length(looker.config, looker.stream).await;
        (length.map_err(|failure| looker.refusal(&failure))?.saturating_sub(looked_at), true)
    } else {
        let page = Pages::new(next).next(looker).await?.unwrap_or_default();
        let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
        (count, count < PORTION)
    };
    Ok((at_least > 0).then_some(Rest { next, at_least, is_exact }))
}
