//! Sends changes of statuses to a webhook, for those without Alertmanager.
//!
//! The [`Watcher`] compares each reading with what is known from earlier ones, and puts the changes into the outbox. The
//! [`Sender`] takes them out one by one, in order, and sends each until its receiver takes it. So a receiver that is down or
//! slow delays no poll. The outbox is bounded. Nothing is stored: after a restart everything that is wrong is sent again.

mod changes;
mod outbox;
mod post;
mod queue;
mod sender;
mod watcher;

pub(crate) use outbox::Outbox;
pub(crate) use sender::Sender;
pub(crate) use watcher::Watcher;
