//! Reads details of one stream: its groups, consumers and pending entries, and single entries.

use super::Refusal;
use crate::{
    config::Config,
    model::{Consumer, Entry, Failure, GroupPending, Name, PendingEntry, Reason, ServerTime, StreamId},
    source::{Details, Found, Wanted},
};

/// Names that an error lists.
const MOST_NAMES: usize = 20;

/// Reads details of one stream.
pub struct Looker<'a> {
    /// Where Redis is.
    pub config: &'a Config,
    /// The stream.
    pub stream: &'a Name,
    /// The connection.
    pub details: &'a mut Details,
}

/// Pending entries of a group, and whether each entry still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The group.
    pub group: GroupPending,
    /// Its pending entries.
    pub found: Found,
    /// Whether each entry still exists, in the same order. The first ones only, if they are many.
    pub exist: Vec<bool>,
}

impl Looker<'_> {
    /// The refusal for a failure.
    #[must_use]
    pub fn refusal(&self, failure: &Failure) -> Refusal {
        if failure.reason == Reason::NoKey {
            return Refusal::Missing(format!("there is no stream {}", self.stream));
        }
        if failure.reason == Reason::WrongType {
            return Refusal::Forbidden(format!("{} is not a stream", self.stream));
        }
        Refusal::Failed(failure.reason, self.config.redis.access.cannot("read the stream", failure))
    }

    /// The server's clock; `None` if it may not be asked for.
    ///
    /// # Errors
    /// [`Refusal::Failed`].
    pub async fn time(&mut self) -> Result<Option<ServerTime>, Refusal> {
        let time = self.details.time(self.config, self.stream).await;
        time.map_err(|failure| self.refusal(&failure))
    }

    /// All groups of the stream.
    ///
    /// # Errors
    /// There is no such stream, or Redis failed.
    pub async fn groups(&mut self) -> Result<Vec<GroupPending>, Refusal> {
        let groups = self.details.groups(self.config, self.stream).await;
        groups.map_err(|failure| self.refusal(&failure))
    }

    /// One group.
    ///
    /// # Errors
    /// There is no such stream or group, or Redis failed.
    pub async fn group(&mut self, name: &Name) -> Result<GroupPending, Refusal> {
        let groups = self.groups().await?;
        let its_groups = listed(groups.iter().map(|group| &group.name));
        let missing = || match its_groups.as_str() {
            "" => format!("there is no group {name}: the stream has no groups"),
            all => format!("there is no group {name}; the stream has: {all}"),
        };
        groups.into_iter().find(|group| group.name == *name).ok_or_else(|| Refusal::Missing(missing()))
    }

    /// The consumers of a group.
    ///
    /// # Errors
    /// There is no such stream or group, or Redis failed.
    pub async fn consumers(&mut self, group: &Name) -> Result<Vec<Consumer>, Refusal> {
        let consumers = self.details.consumers(self.config, (self.stream, group)).await;
        consumers.map_err(|failure| self.refusal(&failure))
    }

    /// The entries with these IDs, in the same order; `None` for one that does not exist.
    ///
    /// # Errors
    /// As [`Details::entries`].
    pub async fn entries(&mut self, ids: &[StreamId]) -> Result<Vec<Option<Entry>>, Refusal> {
        let entries = self.details.entries(self.config, self.stream, ids).await;
        entries.map_err(|failure| self.refusal(&failure))
    }

    /// Whether the entries with these IDs exist, in the same order.
    ///
    /// # Errors
    /// As [`Details::exist`].
    pub async fn exist(&mut self, ids: &[StreamId]) -> Result<Vec<bool>, Refusal> {
        let exist = self.details.exist(self.config, self.stream, ids).await;
        exist.map_err(|failure| self.refusal(&failure))
    }

    /// The pending entries of a group that are wanted.
    ///
    /// # Errors
    /// Redis failed.
    pub async fn find(&mut self, group: &Name, wanted: &Wanted) -> Result<Found, Refusal> {
        let found = self.details.find(self.config, (self.stream, group), wanted).await;
        found.map_err(|failure| self.refusal(&failure))
    }

    /// The pending entries of a group with these IDs, in the same order; `None` for one that is not pending.
    ///
    /// # Errors
    /// Redis failed.
    pub async fn pending_of(
        &mut self,
        group: &Name,
        ids: &[StreamId],
    ) -> Result<Vec<Option<PendingEntry>>, Refusal> {
        let found = self.details.pending_of(self.config, (self.stream, group), ids).await;
        found.map_err(|failure| self.refusal(&failure))
    }

    /// What [`Looker::find`] finds, and whether the entries still exist.
    ///
    /// # Errors
    /// As [`Looker::find`] and [`Looker::exist`].
    pub async fn look(&mut self, group: GroupPending, wanted: &Wanted) -> Result<Looked, Refusal> {
        let found = self.find(&group.name, wanted).await?;
        let ids: Vec<StreamId> = found.entries.iter().map(PendingEntry::id).collect();
        let exist = self.exist(&ids).await?;
        Ok(Looked { group, found, exist })
    }

    /// Checks that a group has this consumer. A user who may not list consumers is not told.
    ///
    /// # Errors
    /// There is no such consumer, or Redis failed.
    pub async fn check_consumer(&mut self, group: &Name, consumer: &Name) -> Result<(), Refusal> {
        match self.consumers(group).await {
            Ok(all) if all.iter().all(|it| it.name != *consumer) => {
                Err(Refusal::Missing(no_consumer(group, consumer, &all)))
            }
            Err(Refusal::Failed(Reason::NoPermission, _)) | Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

/// That a group has no such consumer, and which ones it has.
#[must_use]
pub(super) fn no_consumer(group: &Name, consumer: &Name, all: &[Consumer]) -> String {
    match listed(all.iter().map(|it| &it.name)).as_str() {
        "" => format!("group {group} has no consumer {consumer}: it has no consumers"),
        names => format!("group {group} has no consumer {consumer}; it has: {names}"),
    }
}

/// Names in a sentence, the first ones if they are many.
fn listed<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let mut names: Vec<String> = names.take(MOST_NAMES + 1).map(ToString::to_string).collect();
    if names.len() > MOST_NAMES {
        names.truncate(MOST_NAMES);
        names.push("...".to_owned());
    }
    names.join(", ")
}
