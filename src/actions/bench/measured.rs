//! The tests of a bench, and what comes of each. Pure.

use std::time::Duration;

use super::latencies::Latencies;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `XADD`, one after another.
    Add,
    /// `XADD`, in pipelines.
    AddPipelined,
    /// `XRANGE` of ten entries.
    Range,
    /// `XREADGROUP` of ten entries, and their `XACK`.
    ReadGroup,
}

impl Test {
    /// All tests, in their order. The first ones write what the others read.
    pub const ALL: [Self; Self::COUNT as usize] =
        [Self::Add, Self::AddPipelined, Self::Range, Self::ReadGroup];
    /// Number of tests.
    pub(super) const COUNT: u32 = 4;
    /// Commands in a pipeline.
    pub const PIPELINE: usize = 16;

    /// Requests that are sent in one go. Reading and acknowledging is one request.
    pub(super) fn requests_at_once(self) -> u64 {
        let pipeline = u64::try_from(Self::PIPELINE).unwrap_or(u64::MAX);
        if self == Self::AddPipelined { pipeline } else { 1 }
    }
}

/// What came of a test.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The test.
    pub test: Test,
    /// Requests that were answered.
    pub requests: u64,
    /// Entries that were written or read.
    pub entries: u64,
    /// How long the test took.
    pub took: Duration,
    /// From sending a request until it was answered; of a pipeline, until all of it was.
    pub latencies: Latencies,
}
