//! Views of a reading: from values to text, without a socket or a clock.

pub mod api;
mod bound;
mod exposition;
mod families;
mod metrics_pages;
mod number;
mod objectives;
#[cfg(feature = "otlp")]
mod otlp;
mod redis_exporter;
mod rows;
mod samples;
mod served;
pub mod terminal;
#[cfg(test)]
mod test_reading;
mod web_files;

pub use bound::SeriesCount;
pub use exposition::Format;
pub use families::{FAMILIES, Family, Kind};
pub use metrics_pages::{Demand, Encoding, MetricsPages, Shown};
pub use number::Number;
#[cfg(feature = "otlp")]
pub use otlp::Origin;
pub use redis_exporter::REDIS_EXPORTER_FAMILIES;
pub use served::family_names;
pub use web_files::{CONTENT_SECURITY_POLICY, WebFile, asset};
