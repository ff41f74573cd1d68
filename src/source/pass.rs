//! One reading in progress: what to ask next, what was answered, and how to go on after the server closes the connection.

use std::collections::{BTreeMap, VecDeque};

use tracing::warn;

use super::{
    Command,
    failure::closed,
    failure::no_reply,
    names::Names,
    portions::{NextPortion, Portions},
    read_strategy::{Read, ReadStrategy, Replies},
    seldom::Seldom,
    session::{Asked, Session},
    stream_reply::ReadWith,
};
use crate::{
    clock::{self, Instant},
    config::{Config, Watched, Watchlist},
    model::{Failure, InOrder, Name, NameMap, Node, Now, Origin, Reason, Snapshot, StreamState},
};

/// Streams in flight. Bounds the size of the replies, what a timeout covers, and how long other clients wait: about 20
/// microseconds for each stream.
const BATCH: usize = 24;
/// Streams in a pipeline. Two are in flight, so that the server works on one while the sidecar reads the replies to the other.
const PIPELINE: usize = BATCH / 2;
/// Streams in a run. Nothing is in flight at its end, which shows whether there was a reply too many. Until then none of
/// them counts as read.
const RUN: usize = 10 * BATCH;
/// Streams in flight while the size of their replies is unknown: entries may be megabytes.
const FIRST_BATCH: usize = 5;
/// A stream and how to ask for it; `None` for a new one.
type Asking<'a> = (&'a Watched, Option<ReadStrategy>);

/// What earlier polls learned about how to ask.
pub(super) struct Known {
    /// How to ask for each stream at the next poll.
    strategies: NameMap<ReadStrategy>,
    /// Streams that the server did not send whole, with the strategy that works.
    refused: BTreeMap<Name, ReadStrategy>,
    portions: Portions,
    seldom: Seldom,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            strategies: NameMap::default(),
            refused: BTreeMap::new(),
            portions: Portions::new(BATCH),
            seldom: Seldom::default(),
        }
    }
}

impl Known {
    /// How many streams the server answers at once.
    pub(super) const fn portion(&self) -> usize {
        self.portions.size()
    }

    /// Whether the server does not send all of this stream.
    pub(super) fn is_for_less(&self, stream: &Name) -> bool {
        self.strategies.get(stream).copied().is_some_and(ReadStrategy::is_for_less)
    }

    /// Starts a poll.
    pub(super) fn begin(&mut self) {
        self.portions.begin();
    }
}

/// Commands in flight.
struct Pipeline<'a> {
    batch: Vec<Asking<'a>>,
    commands: Vec<Command<'a>>,
    asked: Asked,
}

/// Replies that are not read yet.
struct Answered<'a> {
    batch: Vec<Asking<'a>>,
    replies: Replies,
    /// Whether nothing else was in flight, so that there was no reply too many.
    is_certain: bool,
}

/// A reading in progress.
pub(super) struct Pass<'a> {
    known: &'a mut Known,
    /// Known streams first, since more of them fit into a pipeline.
    streams: Vec<Asking<'a>>,
    /// How many of them are read.
    done: usize,
    /// How many of the next ones were sent. Some of them may be answered.
    asked: usize,
    /// The server, once it has answered.
    origin: Option<Origin>,
    taken: Taken<'a>,
    /// Whether it was restarted because replies were in the wrong order or the server's role has changed.
    is_repeated: bool,
    /// Streams that seem to be too large for the server to send.
    accused: Vec<Name>,
    started: Instant,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        config: &'a Config,
        names: &'a mut Names,
        known: &'a mut Known,
        watchlist: &'a Watchlist,
    ) -> Self {
        known.refused.retain(|stream, _| watchlist.get(stream).is_some());
        let mut strategies = InOrder::new(&known.strategies);
        let asking = |watched: &'a Watched| (watched, strategies.get(&watched.name).copied());
        let (mut all, new): (Vec<Asking<'a>>, Vec<_>) =
            watchlist.iter().map(asking).partition(|(_, strategy)| strategy.is_some());
        all.extend(new);
        let taken = Taken::new(config, names, all.len());
        Self {
            known,
            streams: all,
            done: 0,
            asked: 0,
            origin: None,
            taken,
            is_repeated: false,
            accused: Vec::new(),
            started: clock::now(),
        }
    }

    /// Asks for all streams that are left.
    pub(super) async fn go_on(&mut self, session: &mut Session) -> Result<(), Failure> {
        if self.origin.as_ref().is_some_and(|origin| !origin.is_same(&session.origin())) {
            self.restart();
        }
        session.has_streams()?;
        let mut questions = Vec::new();
        if self.origin.is_none() {
            // A poll without streams still asks for the clock and the role.
            let now = if self.streams.is_empty() { None } else { session.clock.without_asking(clock::now()) };
            questions = if now.is_some() { questions } else { session.questions_of_poll() };
            self.taken.time = now.unwrap_or_else(|| Err(no_reply()));
        } else {
            // The new connection has just learned its role.
            session.may_be_read(&self.taken.config.redis)?;
        }
        let (number, asked_of) = (session.number(), session.origin());
        self.asked = 0;
        self.taken.uncertain.clear();
        let mut in_flight = VecDeque::new();
        let mut answered: Option<Answered<'a>> = None;
        loop {
            let sent = clock::now();
            let handed_over = self.hand_over(session, &questions, &mut in_flight).await;
            // The server works on these while the earlier replies are read.
            if let Some(answered) = answered.take() {
                self.taken.read(answered);
            }
            handed_over?;
            let Some(Pipeline { batch, commands, asked }) = in_flight.pop_front() else { return Ok(()) };
            let mut replies = session.answers(&commands, asked).await?.into_iter();
            if !std::mem::take(&mut questions).is_empty() {
                self.taken.time = session.note(&mut replies, sent)?;
                session.may_be_read(&self.taken.config.redis)?;
                // The questions may have been sent again on a new connection.
                self.origin = Some(session.origin());
            } else if session.number() != number && !session.origin().is_same(&asked_of) {
                // The known clock is another server's.
                return Err(closed());
            } else {
                self.origin.get_or_insert_with(|| session.origin());
            }
            let is_certain = in_flight.is_empty();
            self.answered(&batch, is_certain);
            answered = Some(Answered { batch, replies, is_certain });
        }
    }

    /// Sends as many streams as may be in flight, and these questions with the first of them.
    async fn hand_over(
        &mut self,
        session: &mut Session,
        questions: &[Command<'static>],
        in_flight: &mut VecDeque<Pipeline<'a>>,
    ) -> Result<(), Failure> {
        loop {
            let batch = self.batch(in_flight.iter().map(|pipeline| pipeline.batch.len()).sum());
            let questions = if in_flight.is_empty() { questions } else { &[] };
            if batch.is_empty() && questions.is_empty() {
                return Ok(());
            }
            self.asked += batch.len();
            let of_streams = batch
                .iter()
                .flat_map(|(stream, strategy)| strategy.unwrap_or(ReadStrategy::Full).commands(&stream.name));
            let commands: Vec<Command<'a>> = questions.iter().copied().chain(of_streams).collect();
            let behind = in_flight.iter().map(|pipeline| pipeline.commands.len()).sum();
            let asked = session.ask(&commands, behind).await?;
            in_flight.push_back(Pipeline { batch, commands, asked });
        }
    }

    fn answered(&mut self, batch: &[Asking<'a>], is_certain: bool) {
        self.known.portions.answered();
        if is_certain {
            self.done += std::mem::take(&mut self.asked);
        }
        if !self.known.refused.is_empty() {
            for (stream, _) in batch.iter().filter(|(_, strategy)| strategy.is_none()) {
                self.known.refused.remove(&stream.name);
            }
        }
    }

    /// The streams of the next pipeline, while `in_flight` streams are in flight. A stream that the server did not send whole is
    /// alone.
    ///
    /// Two pipelines are in flight if the sizes of the replies are known and the server sends them. The first pipeline of a reading
    /// is alone: its replies decide whether, and on which connection, the reading goes on.
    fn batch(&self, in_flight: usize) -> Vec<Asking<'a>> {
        let left = self.streams.get(self.done..).unwrap_or_default();
        let Some((asked, [first, behind @ ..])) = left.split_at_checked(self.asked) else {
            return Vec::new();
        };
        let most = |(stream, strategy): &Asking<'_>| match strategy {
            Some(_) => BATCH,
            None if self.known.refused.contains_key(&stream.name) => 1,
            None => FIRST_BATCH,
        };
        let whole = most(first).min(self.known.portions.size());
        let overlaps = self.origin.is_some() && whole == BATCH;
        let room = match asked.last() {
            None if overlaps => PIPELINE,
            None => whole,
            Some(last) if overlaps && most(last) == BATCH && asked.len() < RUN => {
                PIPELINE.min(BATCH.saturating_sub(in_flight))
            }
            Some(_) => 0,
        };
        let behind = behind.iter().take_while(|next| most(next) == most(first));
        [first].into_iter().chain(behind).take(room).copied().collect()
    }

    /// Restarts the reading on a new connection, once, if earlier replies may belong to other commands or to another server.
    pub(super) fn begins_again_after(&mut self, failure: &Failure) -> bool {
        let is_to_be_repeated = matches!(failure.reason, Reason::Protocol | Reason::RoleChanged);
        if self.is_repeated || !is_to_be_repeated {
            return false;
        }
        warn!(%failure, "repeating the poll on a new connection");
        self.is_repeated = true;
        self.restart();
        true
    }

    /// Whether the reading can go on, on a new connection.
    pub(super) fn recovers_from(&mut self, failure: &Failure) -> bool {
        if self.begins_again_after(failure) {
            return true;
        }
        if failure.reason != Reason::Closed {
            return false;
        }
        match self.known.portions.closed(self.asked.min(BATCH)) {
            NextPortion::Again | NextPortion::Smaller => {}
            NextPortion::Less => self.ask_for_less(),
            // Nothing was answered at all, so the streams are not the cause.
            NextPortion::Stop if self.done == 0 || self.done == self.streams.len() => return false,
            NextPortion::Stop => self.give_up(),
        }
        true
    }

    /// Asks for less of the next stream, since the server did not send it.
    fn ask_for_less(&mut self) {
        let Some((stream, strategy)) = self.streams.get_mut(self.done) else { return };
        let now = strategy.unwrap_or(ReadStrategy::Full);
        let stream = &stream.name;
        let known = self.known.refused.get(stream).copied().filter(|_| now == ReadStrategy::Full);
        let less = known.map_or_else(|| now.less(), ReadStrategy::longer);
        *strategy = Some(less);
        if self.known.refused.insert(stream.clone(), less).is_none() {
            self.accused.push(stream.clone());
        }
    }

    /// Leaves the remaining streams unread in this poll.
    fn give_up(&mut self) {
        let left = self.streams.split_off(self.done);
        warn!(
            streams = left.len(),
            "the server closes every connection; the remaining streams are not read in this poll"
        );
        let failed = |(stream, _): Asking<'_>| (stream.name.clone(), Err(ReadStrategy::too_large()));
        self.taken.streams.extend(left.into_iter().map(failed));
    }

    fn restart(&mut self) {
        (self.done, self.origin) = (0, None);
        self.taken.streams.clear();
        self.taken.forbidden = 0;
        self.taken.lengths.clear();
        let strategies: BTreeMap<_, _> = self.taken.strategies.drain(..).collect();
        for (stream, strategy) in &mut self.streams {
            *strategy = strategies.get(&stream.name).copied().or(*strategy);
        }
    }

    /// Ends the reading without a snapshot. Closed connections were then not the fault of a stream.
    pub(super) fn fail(self) {
        self.known.portions = Portions::new(BATCH);
        for stream in &self.accused {
            self.known.refused.remove(stream);
        }
    }

    /// Where it comes from.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone().unwrap_or_default()
    }

    pub(super) fn end(self, session: &Session) -> Snapshot {
        let origin = self.origin();
        let Taken { time, streams, forbidden, lengths, strategies, .. } = self.taken;
        for stream in &self.accused {
            warn!(%stream, "the server closes the connection instead of sending all of the stream; asking for less of it");
        }
        self.known.strategies = strategies.into_iter().collect();
        let node = Node {
            address: session.place().into(),
            server: session.server.clone(),
            origin: origin.clone(),
            condition: session.condition.clone(),
            time,
            took: clock::now() - self.started,
            failure: None,
        };
        let mut snapshot = Snapshot {
            nodes: vec![node],
            placement: Box::default(),
            cluster: None,
            place: session.place().into(),
            source: session.source(),
            database: session.database,
            streams: streams.into_iter().collect(),
            forbidden,
            lengths,
            last_entries: BTreeMap::new(),
        };
        let Known { strategies, seldom, .. } = self.known;
        let mut strategies = InOrder::new(&*strategies);
        let is_seldom =
            |stream: &Name| strategies.get(stream).copied().is_some_and(ReadStrategy::is_for_less);
        seldom.complete(&mut snapshot, &origin, is_seldom, clock::now());
        snapshot
    }
}

/// The reading so far. Lists, since a map that is built at once is half the size of one that grows.
struct Taken<'a> {
    config: &'a Config,
    names: &'a mut Names,
    time: Result<Now, Failure>,
    streams: Vec<(Name, Result<StreamState, Failure>)>,
    forbidden: usize,
    lengths: BTreeMap<Name, u64>,
    /// How to ask for them at the next poll.
    strategies: Vec<(Name, ReadStrategy)>,
    /// Streams of a run that has not ended: their replies may be those of others.
    uncertain: Vec<(Asking<'a>, Read)>,
}

impl<'a> Taken<'a> {
    /// `most` is how many streams there are.
    fn new(config: &'a Config, names: &'a mut Names, most: usize) -> Self {
        Self {
            config,
            names,
            time: Err(no_reply()),
            streams: Vec::with_capacity(most),
            forbidden: 0,
            lengths: BTreeMap::new(),
            strategies: Vec::with_capacity(most),
            uncertain: Vec::with_capacity(most.min(RUN)),
        }
    }

    fn read(&mut self, Answered { batch, mut replies, is_certain }: Answered<'a>) {
        let time = self.time.as_ref().ok().map(|now| now.time);
        for asking @ (watched, strategy) in batch {
            let reading = ReadWith::of(watched, self.config, self.names, time);
            let read = strategy.unwrap_or(ReadStrategy::Full).read(&mut replies, reading);
            self.uncertain.push((asking, read));
        }
        if is_certain {
            self.keep();
        }
    }

    fn keep(&mut self) {
        for ((watched, strategy), Read { state, length, next }) in self.uncertain.drain(..) {
            let stream = &watched.name;
            // It was asked for less, so the size of the whole reply is unknown.
            let was_asked_for_less = strategy.is_some_and(ReadStrategy::is_for_less);
            let is_to_be_tried = was_asked_for_less && next == ReadStrategy::Full;
            // A stream that fails for another reason must not cause a small pipeline at each poll.
            if !is_to_be_tried
                && (next != ReadStrategy::Full || state.as_ref().err().is_none_or(Failure::is_absence))
            {
                self.strategies.push((stream.clone(), next));
            }
            // A deleted stream is dropped, unless the configuration names it. One that the user may not read is only counted: the
            // search finds all keys, whatever the permissions. Dead letters of a rule are no find: whether there are some is unknown then.
            let failure = state.as_ref().err().filter(|_| !watched.is_expected);
            let is_gone = failure.is_some_and(|failure| failure.reason == Reason::NoKey);
            let is_forbidden =
                !watched.holds_dead_letters && length.is_none() && failure.is_some_and(Failure::is_of_key);
            self.forbidden += usize::from(is_forbidden);
            self.lengths.extend(length.map(|length| (stream.clone(), length)));
            if !is_gone && !is_forbidden {
                self.streams.push((stream.clone(), state));
            }
        }
    }
}
