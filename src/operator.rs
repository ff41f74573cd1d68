//! The task that asks Redis for single entries when a client of the API does: one question at a time, and a pause behind each, so that
//! clients can't make it a load.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    model::{Name, ServerTime},
    planner::{Looked, Looker, Refusal},
    source::{Details, Wanted},
};

/// The pause after a question: at most twenty in a second.
const PAUSE: Duration = Duration::from_millis(50);

/// A question about the pending entries of a group.
pub struct Question {
    /// The stream.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// Which entries.
    pub wanted: Wanted,
    /// Receives the entries, and the server's clock.
    pub answer: oneshot::Sender<Result<(Looked, Option<ServerTime>), Refusal>>,
}

/// The task and its inputs.
pub struct Operator {
    /// Its connection.
    pub details: Details,
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// What to ask.
    pub questions: mpsc::Receiver<Question>,
}

impl Operator {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.answer() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn answer(mut self) {
        while let Some(Question { stream, group, wanted, answer }) = self.questions.recv().await {
            if answer.is_closed() {
                continue;
            }
            let config = Arc::clone(&self.config.borrow());
            let mut looker = Looker { config: &config, stream: &stream, details: &mut self.details };
            let looked = look(&mut looker, &group, &wanted).await;
            // The client may be gone.
            drop(answer.send(looked));
            sleep(PAUSE).await;
        }
        // Without senders it waits to be stopped.
        std::future::pending::<()>().await;
    }
}

async fn look(
    looker: &mut Looker<'_>,
    group: &Name,
    wanted: &Wanted,
) -> Result<(Looked, Option<ServerTime>), Refusal> {
    let group = looker.group(group).await?;
    let looked = looker.look(group, wanted).await?;
    Ok((looked, looker.time().await?))
}
