//! Reading files away from the thread that polls: a mount may hang, and a read of it with it.

use std::time::Duration;

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::model::{Failure, Reason};

/// Reads that may hang at a time, in the whole process; each holds a thread until the system gives it up.
const MOST: usize = 8;

static PLACES: Semaphore = Semaphore::const_new(MOST);

/// What `read` returns, if it does so in time. Of that it takes a half, so that whoever waits for more can say that it was this.
///
/// # Errors
/// [`Reason::Address`] where it does not.
pub(super) async fn read<T: Send + 'static>(
    time: Duration,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let late = || {
        let what = format!("its files were not read within {:?}: does a mount hang?", time / 2);
        Failure::new(Reason::Address, what)
    };
    let on_a_thread = async {
        // Never closed. Held by the thread, which may go on after this has given up.
        let place = PLACES.acquire().await.ok();
        let reading = spawn_blocking(move || {
            let _held = place;
            read()
        });
        reading.await.ok()
    };
    timeout(time / 2, on_a_thread).await.ok().flatten().ok_or_else(late)
}
