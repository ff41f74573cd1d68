//! Tells tasks that the program stops, so that each can finish its current work.

use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// The signal, and its sender: `send(true)` stops the program.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn requested(&mut self) {
        // An error means that the sender is gone, and the program with it.
        let _gone = self.0.wait_for(|requested| *requested).await.is_err();
    }
}
