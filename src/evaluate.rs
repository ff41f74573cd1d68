//! From what Redis said to what it means: pure, with time as an argument.

mod age;
mod lag;
mod report;

pub use age::Age;
pub use lag::Lag;
pub use report::{GroupReport, Report, StreamReport, evaluate};
