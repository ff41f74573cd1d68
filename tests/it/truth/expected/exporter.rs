//! What should stand under the names of redis_exporter.

use super::{
    super::{
        facts::Facts,
        told::Subject,
        truths::{Right, Truths},
    },
    Expected,
};

impl Expected<'_> {
    pub(super) fn exporter(&self, truths: &mut Truths, facts: &Facts) {
        let stream = Subject::Stream;
        let count = |of: &str| facts.number(of).map(Right::number);
        let (first, last) = (facts.ids.first(), facts.ids.last());
        truths.known(&stream, ("redis_stream_length", ""), Right::number(facts.length()));
        truths.known_if(&stream, ("redis_stream_radix_tree_keys", ""), count("radix-tree-keys"));
        truths.known_if(&stream, ("redis_stream_radix_tree_nodes", ""), count("radix-tree-nodes"));
        let last_id = Right::number(facts.last_id().ms);
        truths.known(&stream, ("redis_stream_last_generated_id", ""), last_id);
        truths.known(&stream, ("redis_stream_groups", ""), Right::number(facts.groups.len() as u64));
        let deleted = facts.id("max-deleted-entry-id").map(|id| Right::number(id.ms));
        truths.known_if(&stream, ("redis_stream_max_deleted_entry_id", ""), deleted);
        truths.known_if(&stream, ("redis_stream_first_entry_id", ""), first.map(|id| Right::number(id.ms)));
        truths.maybe_if(&stream, ("redis_stream_last_entry_id", ""), last.map(|id| Right::number(id.ms)));
        for (name, group) in &facts.groups {
            let subject = Subject::Group(name.clone());
            let mut known = |name, number| truths.known(&subject, (name, ""), Right::number(number));
            known("redis_stream_group_consumers", group.consumers.len() as u64);
            known("redis_stream_group_messages_pending", group.pending.len() as u64);
            known("redis_stream_group_last_delivered_id", group.delivered.ms);
            if let Some(read) = group.entries_read.and_then(|read| u64::try_from(read).ok()) {
                known("redis_stream_group_entries_read", read);
            }
            let lag = Right::number(facts.ahead(group).len() as u64);
            truths.maybe(&subject, ("redis_stream_group_lag", ""), lag);
            for (consumer, it) in self.listed(group) {
                let subject = Subject::Consumer(name.clone(), consumer.clone());
                let pending = "redis_stream_group_consumer_messages_pending";
                truths.known(&subject, (pending, ""), Right::number(it.pending));
                let idle = self.when.since(it.seen_at);
                let names = ("redis_stream_group_consumer_idle_seconds", "");
                self.known_at_rest(truths, &subject, names, Some(idle));
            }
        }
    }
}
