//! Reads streams that another node named this one for.

use super::{
    Command,
    failure::no_reply,
    node_observer::NodeObserver,
    plausible::plausible,
    stream_reply::{ReadWith, stream_full},
};
use crate::{
    clock,
    config::{Config, Watched},
    model::{Failure, Node, Origin, Reason, StreamState},
};

/// Streams in a pipeline.
const BATCH: usize = 12;

/// A stream that was redirected here.
#[derive(Clone, Copy)]
pub(super) struct RedirectedStream<'a> {
    pub(super) watched: &'a Watched,
    /// Whether the slot is about to move here, so that only a command behind `ASKING` is executed.
    pub(super) asking: bool,
}

/// What a node replied about the streams that were redirected to it.
pub(super) struct RedirectedReading {
    pub(super) node: Node,
    /// In the order of the streams.
    pub(super) states: Vec<Result<StreamState, Failure>>,
}

impl NodeObserver {
    /// Reads these streams, from the same server as the rest of this poll if there is an `origin`. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub(super) async fn read_redirected(
        &mut self,
        config: &Config,
        streams: &[RedirectedStream<'_>],
        origin: Option<&Origin>,
    ) -> Result<RedirectedReading, Failure> {
        let result = self.read_redirected_now(config, streams, origin).await;
        self.link.after(&result);
        result
    }

    async fn read_redirected_now(
        &mut self,
        config: &Config,
        streams: &[RedirectedStream<'_>],
        origin: Option<&Origin>,
    ) -> Result<RedirectedReading, Failure> {
        let started = clock::now();
        let session = self.link.session(&config.redis).await?;
        let time = session.check().await?;
        session.may_be_read(&config.redis)?;
        if origin.is_some_and(|origin| !origin.is_same(&session.origin())) {
            return Err(Failure::new(
                Reason::Closed,
                "another server answers than for the rest of this poll",
            ));
        }
        self.origin = session.origin();
        let mut states = Vec::with_capacity(streams.len());
        for batch in streams.chunks(BATCH) {
            let commands: Vec<Command<'_>> = batch.iter().flat_map(commands).collect();
            let mut replies = session.send(&commands).await?.into_iter();
            for stream in batch {
                if stream.asking {
                    replies.next();
                }
                let reading =
                    ReadWith::of(stream.watched, config, &self.names, time.as_ref().ok().map(|now| now.time));
                let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
                let state = reply.and_then(|reply| stream_full(&reply, reading)).and_then(plausible);
                states.push(state.map_err(|failure| on_the_way(failure, stream.asking)));
            }
        }
        if !session.origin().is_same(&self.origin) {
            return Err(Failure::new(Reason::Closed, "the connection was closed while streams were read"));
        }
        let node = Node {
            address: session.place().into(),
            server: session.server.clone(),
            origin: self.origin.clone(),
            condition: session.condition.clone(),
            time,
            took: clock::now() - started,
            failure: None,
        };
        Ok(RedirectedReading { node, states })
    }
}

fn commands<'a>(stream: &RedirectedStream<'a>) -> impl Iterator<Item = Command<'a>> {
    let asking = stream.asking.then_some(Command::Asking);
    asking.into_iter().chain([Command::StreamFull(&stream.watched.name)])
}

/// A key that is missing where its slot is about to move may be on its way.
fn on_the_way(failure: Failure, asking: bool) -> Failure {
    if asking && failure.reason == Reason::NoKey {
        return Failure::new(
            Reason::TryAgain,
            "the slot is being moved to another node, and the key was on neither",
        );
    }
    failure
}
