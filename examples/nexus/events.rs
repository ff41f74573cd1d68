//! The events of the domain, and their form in Redis: the stream of each, and its four fields.

use std::{collections::HashMap, time::SystemTime};

use anyhow::Context;
use serde_json::{Value, json};

use crate::topic::Topic;

/// Something that happened to one aggregate.
pub(crate) enum DomainEvent {
    Session(SessionEvent),
    Training(TrainingEvent),
    Project(ProjectEvent),
    User(UserEvent),
    Simulation(SimulationEvent),
}

pub(crate) enum SessionEvent {
    Created { user_id: u32 },
    Extended { minutes: u32 },
    Ended { seconds: u32 },
}

pub(crate) enum TrainingEvent {
    Started { course: &'static str },
    Progressed { percent: u32 },
    Completed { score: u32 },
}

pub(crate) enum ProjectEvent {
    Created { owner_id: u32 },
    Shared { user_id: u32 },
    Archived { reason: &'static str },
}

pub(crate) enum UserEvent {
    Registered { plan: &'static str },
    LoggedIn { device: &'static str },
    Deactivated { reason: &'static str },
}

pub(crate) enum SimulationEvent {
    Started { scenario: &'static str },
    Completed { steps: u32 },
    Failed { step: u32 },
}

/// The event's type, which tells consumers what the payload contains, and the payload.
type Content = (&'static str, Value);

impl DomainEvent {
    fn topic(&self) -> Topic {
        match self {
            Self::Session(_) => Topic::Session,
            Self::Training(_) => Topic::Training,
            Self::Project(_) => Topic::Project,
            Self::User(_) => Topic::User,
            Self::Simulation(_) => Topic::Simulation,
        }
    }

    fn content(&self) -> Content {
        match self {
            Self::Session(event) => event.content(),
            Self::Training(event) => event.content(),
            Self::Project(event) => event.content(),
            Self::User(event) => event.content(),
            Self::Simulation(event) => event.content(),
        }
    }
}

impl SessionEvent {
    fn content(&self) -> Content {
        match self {
            Self::Created { user_id } => ("SessionCreated", json!({ "user_id": user_id })),
            Self::Extended { minutes } => ("SessionExtended", json!({ "minutes": minutes })),
            Self::Ended { seconds } => ("SessionEnded", json!({ "seconds": seconds })),
        }
    }
}

impl TrainingEvent {
    fn content(&self) -> Content {
        match self {
            Self::Started { course } => ("TrainingStarted", json!({ "course": course })),
            Self::Progressed { percent } => ("TrainingProgressed", json!({ "percent": percent })),
            Self::Completed { score } => ("TrainingCompleted", json!({ "score": score })),
        }
    }
}

impl ProjectEvent {
    fn content(&self) -> Content {
        match self {
            Self::Created { owner_id } => ("ProjectCreated", json!({ "owner_id": owner_id })),
            Self::Shared { user_id } => ("ProjectShared", json!({ "user_id": user_id })),
            Self::Archived { reason } => ("ProjectArchived", json!({ "reason": reason })),
        }
    }
}

impl UserEvent {
    fn content(&self) -> Content {
        match self {
            Self::Registered { plan } => ("UserRegistered", json!({ "plan": plan })),
            Self::LoggedIn { device } => ("UserLoggedIn", json!({ "device": device })),
            Self::Deactivated { reason } => ("UserDeactivated", json!({ "reason": reason })),
        }
    }
}

impl SimulationEvent {
    fn content(&self) -> Content {
        match self {
            Self::Started { scenario } => ("SimulationStarted", json!({ "scenario": scenario })),
            Self::Completed { steps } => ("SimulationCompleted", json!({ "steps": steps })),
            Self::Failed { step } => ("SimulationFailed", json!({ "step": step })),
        }
    }
}

/// An event as an entry of its stream.
pub(crate) struct Message {
    pub(crate) stream: &'static str,
    event_type: &'static str,
    payload: String,
    timestamp: String,
    aggregate_id: String,
}

impl Message {
    pub(crate) fn new(event: &DomainEvent, aggregate: u32, at: SystemTime) -> Self {
        let topic = event.topic();
        let (event_type, payload) = event.content();
        Self {
            stream: topic.stream(),
            event_type,
            payload: payload.to_string(),
            timestamp: humantime::format_rfc3339_millis(at).to_string(),
            aggregate_id: format!("{}-{aggregate}", topic.name()),
        }
    }

    pub(crate) fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("event_type", self.event_type),
            ("payload", &self.payload),
            ("timestamp", &self.timestamp),
            ("aggregate_id", &self.aggregate_id),
        ]
    }
}

/// An entry's fields as Redis returns them. Anyone may have written them, so they may be any bytes.
pub(crate) type Fields = HashMap<Vec<u8>, Vec<u8>>;

/// The parts that a consumer needs: the event's type and its payload.
pub(crate) fn decode(fields: &Fields) -> anyhow::Result<(&str, Value)> {
    let field = |name: &'static str| fields.get(name.as_bytes()).context(name);
    Ok((str::from_utf8(field("event_type")?)?, serde_json::from_slice(field("payload")?)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2026-03-01, 12:00:00.250 UTC.
    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_366_400_250)
    }

    #[test]
    fn an_event_goes_to_the_stream_of_its_kind() {
        use DomainEvent::{Project, Session, Simulation, Training, User};
        for (event, stream, aggregate_id) in [
            (Session(SessionEvent::Created { user_id: 1 }), "events:session", "session-7"),
            (Training(TrainingEvent::Completed { score: 93 }), "events:training", "training-7"),
            (Project(ProjectEvent::Archived { reason: "finished" }), "events:project", "project-7"),
            (User(UserEvent::LoggedIn { device: "web" }), "events:user", "user-7"),
            (Simulation(SimulationEvent::Failed { step: 3 }), "events:simulation", "simulation-7"),
        ] {
            let message = Message::new(&event, 7, noon());
            assert_eq!((message.stream, message.aggregate_id.as_str()), (stream, aggregate_id));
        }
    }

    #[test]
    fn a_message_has_four_fields() {
        let event = DomainEvent::Session(SessionEvent::Ended { seconds: 90 });
        assert_eq!(
            Message::new(&event, 7, noon()).fields(),
            [
                ("event_type", "SessionEnded"),
                ("payload", r#"{"seconds":90}"#),
                ("timestamp", "2026-03-01T12:00:00.250Z"),
                ("aggregate_id", "session-7"),
            ]
        );
    }

    #[test]
    fn a_published_event_can_be_decoded() {
        let event = DomainEvent::User(UserEvent::Registered { plan: "team" });
        let message = Message::new(&event, 7, noon());
        let fields = message.fields().map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(decode(&fields).unwrap(), ("UserRegistered", json!({ "plan": "team" })));
    }

    #[test]
    fn invalid_entries_are_refused() {
        let entry = |event_type: &[u8], payload: &[u8]| {
            Fields::from([
                (b"event_type".to_vec(), event_type.to_vec()),
                (b"payload".to_vec(), payload.to_vec()),
            ])
        };
        assert!(decode(&entry(b"UserRegistered", b"{}")).is_ok());
        for fields in [Fields::new(), entry(b"\xff", b"{}"), entry(b"UserRegistered", b"{")] {
            assert!(decode(&fields).is_err(), "{fields:?}");
        }
    }
}
