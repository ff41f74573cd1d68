//! Reads files outside the thread that polls, since a mount may hang and block the read.

use std::time::Duration;

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::model::{Failure, Reason};

/// Reads that may hang at the same time, in the whole process. Each blocks a thread until the system gives up.
const MOST: usize = 8;

static PLACES: Semaphore = Semaphore::const_new(MOST);

/// Runs `read` within half of the time, so that a caller with the whole of it can name the cause.
///
/// # Errors
/// [`Reason::Address`] if it takes longer.
pub(super) async fn read<T: Send + 'static>(
    time: Duration,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let late = || {
        let what = format!("cannot read its files within {:?}; a mount may hang", time / 2);
        Failure::new(Reason::Address, what)
    };
    let on_a_thread = async {
        // The semaphore is never closed. The thread holds the permit, and may continue after the timeout.
        let place = PLACES.acquire().await.ok();
        let reading = spawn_blocking(move || {
            let _held = place;
            read()
        });
        reading.await.ok()
    };
    timeout(time / 2, on_a_thread).await.ok().flatten().ok_or_else(late)
}
