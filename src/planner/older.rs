//! How many entries of a stream are before an ID. Redis only counts all of them, so they are read, in portions and up to a bound.

use super::{Looker, Refusal};
use crate::model::StreamId;

/// Entries that are read at most.
const MOST_ENTRIES: u64 = 10_000;
/// Bytes of fields that are read at most, and about how many in one reply.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
const PORTION_BYTES: u64 = 256 * 1024;
/// Entries in the first reply, since each may be large, and in any.
const FIRST_PORTION: u64 = 10;
const MOST_PORTION: u64 = 1_000;

/// A number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Older {
    /// So many at least.
    pub at_least: u64,
    /// So many at most.
    pub at_most: u64,
}

impl Looker<'_> {
    /// How many entries are before this ID, and how many of them before `floor`. The numbers are exact up to a bound; beyond it they are at most as
    /// many as the stream has, less one if it has an entry behind.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn count_before(&mut self, id: StreamId, floor: StreamId) -> Result<(Older, Older), Refusal> {
        let length = self.details.length(self.config, self.stream).await;
        let length = length.map_err(|failure| self.refusal(&failure))?;
        let (mut from, mut count, mut below, mut bytes) = (StreamId::ZERO, 0, 0, 0);
        let mut portion = FIRST_PORTION;
        while count < MOST_ENTRIES && bytes < MOST_BYTES {
            let page = self.details.entries_from(self.config, self.stream, from, portion).await;
            let page = page.map_err(|failure| self.refusal(&failure))?;
            let is_last = u64::try_from(page.len()).is_ok_and(|len| len < portion);
            for entry in &page {
                if entry.id >= id {
                    return Ok((exactly(count), exactly(below)));
                }
                count += 1;
                below += u64::from(entry.id < floor);
                bytes += entry.size();
            }
            let next = page.last().and_then(|last| last.id.next());
            let Some(next) = next.filter(|_| !is_last) else { return Ok((exactly(count), exactly(below))) };
            from = next;
            portion = (PORTION_BYTES * count / bytes.max(1)).clamp(1, MOST_PORTION.min(4 * portion));
        }
        let behind = self.details.entries_from(self.config, self.stream, id, 1).await;
        let behind = behind.map_err(|failure| self.refusal(&failure))?;
        let at_most = length.saturating_sub(u64::from(!behind.is_empty())).max(count);
        let floored = if below == count { Older { at_least: below, at_most } } else { exactly(below) };
        Ok((Older { at_least: count, at_most }, floored))
    }
}

const fn exactly(count: u64) -> Older {
    Older { at_least: count, at_most: count }
}
