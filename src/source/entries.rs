//! The last entries of streams, where the configuration asks for them: their IDs and one field, never their contents.
//!
//! Redis sends whole entries whatever one wants of them, so what is read in a poll is bounded by streams and by bytes.

use super::{Command, reply, session::Session};
use crate::{
    config::Entries,
    model::{Failure, Name, Snapshot, StreamId, StreamState},
};

/// Streams a pipeline, as for their first reading.
const BATCH: usize = 10;
/// Beside its fields, an entry's reply has an ID and the protocol's own bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// Reads them into the snapshot. What a single command's failure leaves unread is missing.
pub(super) async fn read(
    session: &mut Session,
    config: &Entries,
    snapshot: &mut Snapshot,
) -> Result<(), Failure> {
    let wanted = wanted(config, snapshot);
    for batch in wanted.chunks(BATCH) {
        let newest =
            batch.iter().map(|(stream, last)| Command::Newest(stream, *last, StreamId::ZERO, config.last));
        let commands: Vec<Command<'_>> = newest.collect();
        let replies = session.send(&commands).await?;
        for ((stream, _), reply) in batch.iter().zip(replies) {
            if let Ok(entries) = reply.and_then(|reply| reply::entry_heads(&reply, &config.type_field)) {
                snapshot.last_entries.insert(stream.clone(), entries);
            }
        }
    }
    Ok(())
}

/// The first streams by name that have entries, with their last IDs, as many as fit. How large their entries are is
/// estimated by the first one; where that was too large to be read, these are not read either.
fn wanted(config: &Entries, snapshot: &Snapshot) -> Vec<(Name, StreamId)> {
    let cost = |stream: &StreamState| {
        stream.first_entry_bytes.saturating_add(ENTRY_OVERHEAD_BYTES).saturating_mul(config.last)
    };
    let mut left = config.bytes;
    let streams = snapshot.streams.iter().filter_map(|(name, state)| Some((name, state.as_ref().ok()?)));
    streams
        .filter(|(_, stream)| config.last > 0 && stream.first_entry_id.is_some())
        .filter_map(|(name, stream)| Some((name, stream.last_generated_id?, cost(stream))))
        .filter_map(|(name, last, cost)| {
            left = left.checked_sub(cost)?;
            Some((name.clone(), last))
        })
        .take(config.streams)
        .collect()
}
