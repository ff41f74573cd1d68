//! Retention on a real server: what may never go, what must go, and who is named when it can't.

mod command;
mod faults;
mod oracle;
mod sidecars;
mod steps;
