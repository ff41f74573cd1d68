//! One number of a group by itself, for autoscalers, which take nothing else. Where it is unknown there is a reason in its
//! place, and never 0: by a 0 they would remove the consumers that are needed.

use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, values::age, view::View};
use crate::{model::Name, reading::GroupReading};

/// The lag of a group.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "GroupLag"))]
pub struct GroupLagDocument {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// Entries not yet delivered to the group, exactly.
    pub lag: u64,
}

/// The age of a group's lag.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "GroupLagSeconds"))]
pub struct GroupLagSecondsDocument {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// Age of the oldest entry not yet delivered; 0 if all are delivered.
    pub lag_seconds: f64,
}

/// Why there is no number.
#[derive(Debug)]
pub enum NoNumber {
    /// The stream or the group is not there, or not watched.
    NotThere(String),
    /// It is there, and the number is unknown.
    Unknown(String),
}

impl View<'_> {
    /// The exact lag of a group.
    ///
    /// # Errors
    /// It is unknown, or the group is not there.
    pub fn group_lag(&self, stream: &Name, group: &Name) -> Result<GroupLagDocument, NoNumber> {
        let found = self.group(stream, group)?;
        let report = found.report.ok_or_else(|| unknown(stream, group, "it could not be read"))?;
        let lag = report.lag.known().ok_or_else(|| {
            unknown(stream, group, &format!("the exact lag is unknown, at most {}", report.lag.upper_bound()))
        })?;
        Ok(GroupLagDocument { schema_version: SCHEMA_VERSION, lag })
    }

    /// The age of the oldest entry that a group has not been given.
    ///
    /// # Errors
    /// It is unknown, or the group is not there.
    pub fn group_lag_seconds(
        &self,
        stream: &Name,
        group: &Name,
    ) -> Result<GroupLagSecondsDocument, NoNumber> {
        let report = self.group(stream, group)?.report;
        let lag_seconds = report.and_then(|report| age(report.lag_age));
        let lag_seconds = lag_seconds
            .ok_or_else(|| unknown(stream, group, "the age of its oldest undelivered entry is unknown"))?;
        Ok(GroupLagSecondsDocument { schema_version: SCHEMA_VERSION, lag_seconds })
    }

    fn group(&self, stream: &Name, group: &Name) -> Result<GroupReading<'_>, NoNumber> {
        if let Some(stale) = self.stale() {
            return Err(unknown(stream, group, stale));
        }
        let reading = self.reading().ok_or_else(|| unknown(stream, group, "no poll has succeeded yet"))?;
        let found = reading.stream(stream).ok_or_else(|| {
            NoNumber::NotThere(format!(
                "stream {stream} is not watched; /api/v1/streams lists the watched streams"
            ))
        })?;
        let is_known = found.present().is_some();
        match found.groups().find(|reading| reading.name == group) {
            Some(reading) if reading.present() != Some(false) => Ok(reading),
            None if !is_known => Err(unknown(stream, group, "the stream could not be read")),
            _ => Err(NoNumber::NotThere(format!("stream {stream} has no group {group} that is watched"))),
        }
    }
}

fn unknown(stream: &Name, group: &Name, why: &str) -> NoNumber {
    NoNumber::Unknown(format!("no number for group {group} of stream {stream}: {why}"))
}
