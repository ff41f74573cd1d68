//! Reads the last entries of streams, where the configuration asks for them: their IDs and one field, never their contents.
//!
//! Redis always sends whole entries, so a poll is bounded by streams and by bytes. In a cluster both bounds are those of a primary: the
//! primaries are read at the same time, and none waits for what another one has.

use super::{Command, reply, session::Session};
use crate::{
    config::Entries,
    model::{Failure, Name, Snapshot, StreamId, StreamState},
};

/// Streams in a pipeline.
const BATCH: usize = 10;
/// Bytes of an entry's reply beside its fields: the ID and the protocol's own bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// Reads them into the snapshot. The entries of a stream whose command fails are missing.
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

/// The first streams by name that have entries, with their last IDs, as many as fit. The first entry of a stream estimates
/// the size of its entries; where it was too large to be read, the last ones are not read either.
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
