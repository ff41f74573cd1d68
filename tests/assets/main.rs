//! Tests of what is shipped beside the program: alerts, dashboards and runbooks, against real programs. `make test-assets`
//! brings them; `STREAMWARDEN_TEST_TOOLS` names their folder.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails, and says where"
)]

mod activity;
mod alerts;
mod alerts_end_to_end;
mod dashboards;
mod incidents;
mod monitoring;
mod objectives;
mod pace;
mod promql;
mod runbooks;
mod tools;
