//! The publisher: creates events at a steady rate and appends each to the stream of its kind.

use std::{num::NonZeroU32, sync::Arc, time::SystemTime};

use anyhow::anyhow;
use redis::Cmd;
use tokio::time::{Duration, interval};

use crate::{
    events::{DomainEvent, Message, ProjectEvent, SessionEvent, SimulationEvent, TrainingEvent, UserEvent},
    link::Link,
    shutdown::Shutdown,
    totals::Totals,
};

pub(crate) struct Publisher {
    pub(crate) link: Link,
    /// Events per second.
    pub(crate) rate: NonZeroU32,
    pub(crate) max_length: Option<u64>,
    pub(crate) totals: Arc<Totals>,
    pub(crate) shutdown: Shutdown,
}

impl Publisher {
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut ticks = interval(Duration::from_secs(1) / self.rate.get());
        loop {
            tokio::select! {
                () = self.shutdown.requested() => return Ok(()),
                _tick = ticks.tick() => {}
            }
            let message = Message::new(&something_happens(), fastrand::u32(1..=500), now());
            let command = self.append(&message);
            // An event whose reply is lost may be published twice. Consumers can rely on at least once.
            while let Err(error) = self.link.query::<()>(&command).await {
                tokio::select! {
                    () = self.shutdown.requested() => return Ok(()),
                    recovered = self.link.recover(error) => {
                        recovered.map_err(|error| anyhow!("cannot publish to {}: {error}", message.stream))?;
                    }
                }
                // Ticks that an outage delayed must not become a burst after it.
                ticks.reset();
            }
            self.totals.published();
        }
    }

    fn append(&self, message: &Message) -> Cmd {
        let mut command = redis::cmd("XADD");
        command.arg(message.stream);
        if let Some(length) = self.max_length {
            command.arg("MAXLEN").arg("~").arg(length);
        }
        command.arg("*").arg(&message.fields());
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "the example has no clock of its own to ask")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// A random event. All kinds are equally frequent.
fn something_happens() -> DomainEvent {
    use DomainEvent::{Project, Session, Simulation, Training, User};
    let id = || fastrand::u32(1..=500);
    let percent = || fastrand::u32(0..=100);
    match fastrand::u8(0..15) {
        0 => Session(SessionEvent::Created { user_id: id() }),
        1 => Session(SessionEvent::Extended { minutes: fastrand::u32(5..=60) }),
        2 => Session(SessionEvent::Ended { seconds: fastrand::u32(30..=7_200) }),
        3 => Training(TrainingEvent::Started { course: "fire-safety" }),
        4 => Training(TrainingEvent::Progressed { percent: percent() }),
        5 => Training(TrainingEvent::Completed { score: percent() }),
        6 => Project(ProjectEvent::Created { owner_id: id() }),
        7 => Project(ProjectEvent::Shared { user_id: id() }),
        8 => Project(ProjectEvent::Archived { reason: "finished" }),
        9 => User(UserEvent::Registered { plan: "team" }),
        10 => User(UserEvent::LoggedIn { device: "web" }),
        11 => User(UserEvent::Deactivated { reason: "requested" }),
        12 => Simulation(SimulationEvent::Started { scenario: "evacuation" }),
        13 => Simulation(SimulationEvent::Completed { steps: fastrand::u32(100..=10_000) }),
        _ => Simulation(SimulationEvent::Failed { step: fastrand::u32(1..=10_000) }),
    }
}
