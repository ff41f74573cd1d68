//! Named tasks that are all joined. A task that ends early stops the process, and its name is logged.

use std::{collections::HashMap, time::Duration};

use tokio::{
    runtime::Handle,
    task::{Id, JoinError, JoinSet},
    time::timeout,
};

/// A task that ended early.
#[derive(Debug, thiserror::Error)]
pub enum TaskEnded {
    /// It returned.
    #[error("the task {0} ended unexpectedly")]
    Returned(&'static str),
    /// It panicked.
    #[error("the task {0} panicked")]
    Panicked(&'static str),
}

/// The running tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Spawns a task on the current runtime.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&Handle::current(), name, task);
    }

    /// Spawns a task on another runtime.
    pub(crate) fn spawn_on(
        &mut self,
        scheduler: &Handle,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.running.spawn_on(task, scheduler);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the first task to end, which none should do before it is stopped. Pending forever without tasks.
    /// Cancel-safe.
    pub(crate) async fn first_to_end(&mut self) -> TaskEnded {
        match self.running.join_next_with_id().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits until all tasks have ended, after they were told to stop. Aborts those that are still running after
    /// `grace`.
    ///
    /// # Errors
    /// The names of the tasks that did not end in time.
    pub(crate) async fn join_all(mut self, grace: Duration) -> Result<(), Vec<&'static str>> {
        let all = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.names.remove(&id(&ended));
            }
        };
        timeout(grace, all).await.map_err(|_elapsed| self.names.into_values().collect())
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> TaskEnded {
        let name = self.names.remove(&id(&ended)).unwrap_or("unknown");
        if ended.is_err() { TaskEnded::Panicked(name) } else { TaskEnded::Returned(name) }
    }
}

fn id(ended: &Result<(Id, ()), JoinError>) -> Id {
    match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}
