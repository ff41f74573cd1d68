//! Which pending entries to hand over to another consumer.

use super::{Looked, Looker, Refusal, looker::no_consumer};
use crate::{
    config::Config,
    model::{Consumer, Millis, Name, PendingEntry, ServerTime, StreamId},
    source::{Details, Wanted},
    stuck::{Act, Planned},
};

/// Entries that a plan shows.
const MOST_SHOWN: usize = 20;

/// What to hand over.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// The stream.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// The consumer that is gone.
    pub from: Name,
    /// The one that gets its entries.
    pub to: Name,
    /// How long the consumer did nothing, and each entry was not delivered.
    pub idle: Millis,
    /// The most entries.
    pub max: usize,
}

/// What would be handed over.
#[derive(Debug)]
pub struct ClaimPlan {
    /// The consumer that is gone.
    pub holder: Consumer,
    /// The entries; the first ones of them, if they exist.
    pub looked: Looked,
    /// The server's clock.
    pub now: Option<ServerTime>,
    /// The act.
    pub planned: Planned,
}

impl ClaimOrder {
    /// # Errors
    /// A parameter is wrong, something is missing, the consumer was active, or Redis failed.
    pub async fn plan(&self, config: &Config, details: &mut Details) -> Result<ClaimPlan, Refusal> {
        let Self { stream, group, from, to, idle, .. } = self;
        if from == to {
            return Err(Refusal::wrong("to", format!("both consumers are {to}")));
        }
        let mut looker = Looker { config, stream, details };
        let its_group = looker.group(group).await?;
        let consumers = looker.consumers(group).await?;
        let holder = consumer(&consumers, from, group)?;
        consumer(&consumers, to, group)?;
        if holder.idle < *idle {
            let its_own = crate::evaluate::short(holder.idle.duration());
            return Err(Refusal::Forbidden(format!(
                "{from} was idle for {its_own} only: it may be working on its entries"
            )));
        }
        let wanted = Wanted { consumer: Some(from.clone()), idle: *idle, ..Wanted::all(self.max) };
        let found = looker.find(group, &wanted).await?;
        let ids: Vec<StreamId> = found.entries.iter().map(PendingEntry::id).collect();
        let exist = looker.exist(ids.get(..MOST_SHOWN).unwrap_or(&ids)).await?;
        let now = looker.time().await?;
        let planned = Planned::of_ids(Act::claim((stream, group), (from, to), *idle), ids);
        let looked = Looked { group: its_group, found, exist };
        Ok(ClaimPlan { holder: holder.clone(), looked, now, planned })
    }
}

fn consumer<'a>(consumers: &'a [Consumer], name: &Name, group: &Name) -> Result<&'a Consumer, Refusal> {
    let found = consumers.iter().find(|consumer| consumer.name == *name);
    found.ok_or_else(|| Refusal::Missing(no_consumer(group, name, consumers)))
}
