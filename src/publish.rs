//! Views of what was read: from values to text, without a socket or a clock.

pub mod api;
mod bound;
mod exposition;
mod families;
mod number;
mod page;
mod pages;
mod redis_exporter;
mod rows;
mod served;
pub mod terminal;

pub use bound::SeriesCount;
pub use exposition::Format;
pub use families::{FAMILIES, Family, Kind};
pub use number::Number;
pub use page::{Asset, CONTENT_SECURITY_POLICY, asset};
pub use pages::{Demand, Encoding, Pages};
pub use redis_exporter::REDIS_EXPORTER_FAMILIES;
pub use served::family_names;
