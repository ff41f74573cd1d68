//! The end of the program, as its tasks learn of it: each finishes what it has begun.

use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// The end, and what brings it about: `send(true)`.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn requested(&mut self) {
        // An error means that its sender is gone, and with it the program.
        let _gone = self.0.wait_for(|requested| *requested).await.is_err();
    }
}
