//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, ValueEnum, builder::PossibleValue};

use crate::{consumer::Fault, topic::Topic};

pub(crate) const DEFAULT_URI: &str = "redis://127.0.0.1:6379";

/// Publishes and consumes domain events over Redis Streams
#[derive(Parser)]
#[command(name = "nexus", after_help = format!("Environment:\n  REDIS_URI  Address of Redis [default: {DEFAULT_URI}]"))]
pub(crate) struct Flags {
    /// REDIS_URI has the addresses of one or more nodes of a cluster, with spaces between
    #[arg(long)]
    pub(crate) cluster: bool,

    /// Events published per second, over all streams; 0 publishes nothing
    #[arg(long, value_name = "EVENTS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) rate: u32,

    /// Consumers in each group; 0 consumes nothing
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub(crate) consumers: u16,

    /// Begins the names of the consumers, so that several processes can share the groups
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Share of entries whose processing fails, from 0 to 1: they are not acknowledged and stay pending
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) failures: f64,

    /// How often consumers retry unacknowledged entries; without this only when they start
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) retry: Option<Duration>,

    /// The group's consumers stop reading but stay connected (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) stop: Vec<Topic>,

    /// The group's consumers disappear with entries that they have read but not acknowledged (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) crash: Vec<Topic>,

    /// The group's consumers take 200 ms for each entry (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) slow: Vec<Topic>,

    /// Time from the start until --stop, --crash and --slow take effect
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) after: Duration,

    /// Stop after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,

    /// Serve how long entries took, as the consumers measure it, as metrics at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Trim each stream to about this many entries while publishing
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) max_length: Option<u64>,
}

impl Flags {
    pub(crate) fn fault(&self, topic: Topic) -> Option<Fault> {
        self.faults(topic).next()
    }

    /// A group with more than one fault.
    pub(crate) fn contradiction(&self) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.faults(*topic).count() > 1)
    }

    fn faults(&self, topic: Topic) -> impl Iterator<Item = Fault> {
        let all = [(&self.stop, Fault::Stop), (&self.crash, Fault::Crash), (&self.slow, Fault::Slow)];
        all.into_iter().filter(move |(topics, _)| topics.contains(&topic)).map(|(_, fault)| fault)
    }
}

/// On the command line, a topic is given by the name of its group.
impl ValueEnum for Topic {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.group()))
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}
