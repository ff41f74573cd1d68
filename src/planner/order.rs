//! An order of any kind, and its plan as programs need it.

use super::{ClaimOrder, DeadLetterOrder, ReapOrder, Refusal, ReplayOrder};
use crate::{
    config::Config,
    model::{Name, StreamId},
    source::Details,
    stuck::{Outcomes, Planned},
};

/// What to do with stuck work.
#[derive(Debug, Clone)]
pub enum Order {
    /// Set pending entries aside.
    DeadLetter(DeadLetterOrder),
    /// Hand pending entries over.
    Claim(ClaimOrder),
    /// Delete consumers.
    Reap(ReapOrder),
    /// Play dead letters back.
    Replay(ReplayOrder),
}

/// What an order comes to.
#[derive(Debug)]
pub struct Plan {
    /// The acts, each with its items.
    pub planned: Vec<Planned>,
    /// What would stay as it is, and why.
    pub left: Outcomes,
    /// From where to go on, if more may be meant.
    pub next: Option<StreamId>,
}

impl Order {
    /// The stream or the dead letters that it is about.
    #[must_use]
    pub const fn key(&self) -> &Name {
        match self {
            Self::DeadLetter(order) => &order.stream,
            Self::Claim(order) => &order.stream,
            Self::Reap(order) => &order.stream,
            Self::Replay(order) => &order.key,
        }
    }

    /// # Errors
    /// Why there is no plan.
    pub async fn plan(&self, config: &Config, details: &mut Details, by: &str) -> Result<Plan, Refusal> {
        match self {
            Self::DeadLetter(order) => {
                let plan = order.plan(config, details, by).await?;
                let (left, next) = (plan.left(order), plan.looked.found.next);
                Ok(Plan { planned: plan.planned, left, next })
            }
            Self::Claim(order) => {
                let plan = order.plan(config, details).await?;
                let next = plan.looked.found.next;
                Ok(Plan { planned: vec![plan.planned], left: Outcomes::default(), next })
            }
            Self::Reap(order) => {
                let plan = order.plan(config, details).await?;
                let left = plan.left();
                Ok(Plan { planned: vec![plan.planned], left, next: None })
            }
            Self::Replay(order) => {
                let plan = order.plan(config, details).await?;
                let (left, next) = (plan.left(), plan.rest.map(|rest| rest.next));
                let planned = plan.streams.into_iter().map(|stream| stream.planned).collect();
                Ok(Plan { planned, left, next })
            }
        }
    }
}
