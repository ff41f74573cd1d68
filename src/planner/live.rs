//! Keys of dead letters: whether one that should get some is a stream that somebody uses for something else, and whether one that should hold
//! some is a typing error.

use super::{Looker, Refusal};
use crate::{
    model::{Reason, StreamId},
    stuck::{DeadLetter, origins_of},
};

impl Looker<'_> {
    /// Checks that this stream may get dead letters: it is empty, or its newest entry is one. The script checks it again.
    ///
    /// A key that `is_known` as one of dead letters may have groups while it is empty: those of who handles them.
    ///
    /// # Errors
    /// It is somebody's stream, or Redis failed. What the user may not read is left to the script.
    pub(super) async fn check_takes_dead_letters(&mut self, is_known: bool) -> Result<(), Refusal> {
        match self.live_because(is_known).await {
            Ok(None)
            | Err(Refusal::Failed(Reason::NoPermission, _) | Refusal::Missing(_) | Refusal::Forbidden(_)) => {
                Ok(())
            }
            Ok(Some(why)) => Err(Refusal::Forbidden(format!(
                "{key} is a live stream: {why}. Its consumers would get the dead letters, and what trims it would remove them. Name a key of \
                 their own (`to`): one that does not exist, or whose newest entry is a dead letter",
                key = self.stream
            ))),
            Err(refusal) => Err(refusal),
        }
    }

    /// Checks that this key exists, or may come to hold dead letters: those of a stream that exists, or of a rule. Another one is a typing error.
    ///
    /// # Errors
    /// There is no such key, or Redis failed. What the user may not read passes.
    pub async fn check_may_hold_dead_letters(&mut self) -> Result<(), Refusal> {
        let missing = match self.groups().await {
            Ok(_) | Err(Refusal::Failed(Reason::NoPermission, _)) => return Ok(()),
            Err(Refusal::Missing(missing)) => missing,
            Err(refusal) => return Err(refusal),
        };
        for origin in origins_of(self.stream) {
            let mut looker = Looker { config: self.config, stream: &origin, details: &mut *self.details };
            // What the user may not read may be there.
            if matches!(looker.groups().await, Ok(_) | Err(Refusal::Failed(Reason::NoPermission, _))) {
                return Ok(());
            }
        }
        if self.config.names_for_dead_letters(self.stream) {
            return Ok(());
        }
        let has_origins = origins_of(self.stream).next().is_some();
        let origin = if has_origins { ", nor one whose dead letters it would hold" } else { "" };
        Err(Refusal::Missing(format!("{missing}{origin}")))
    }

    /// Why this is somebody's stream; `None` if it is not.
    async fn live_because(&mut self, is_known: bool) -> Result<Option<String>, Refusal> {
        let newest = self.details.newest(self.config, self.stream, StreamId::MAX, 1).await;
        let newest = newest.map_err(|failure| self.refusal(&failure))?;
        if let Some(newest) = newest.first() {
            let why = format!("its newest entry, {}, is not a dead letter", newest.id);
            return Ok((!DeadLetter::is(newest)).then_some(why));
        }
        if is_known {
            return Ok(None);
        }
        let groups = self.groups().await?;
        Ok(groups.first().map(|group| format!("it is empty, but has groups ({}, ...)", group.name)))
    }
}
