//! Tests of what is shipped beside the program: alerts, dashboards and runbooks, against real programs. `make test-assets`
//! brings them; `STREAMWARDEN_TEST_TOOLS` names their folder.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails, and says where"
)]

#[path = "../it"]
#[allow(dead_code, unused_imports, reason = "the integration tests use the rest")]
mod it {
    pub(crate) mod support;
}

/// The generator's own code, so that what it would write is compared with what is there.
#[path = "../../examples/assets"]
mod generator {
    pub(crate) mod shipped;
}

mod alerts;
mod alerts_end_to_end;
mod dashboards;
mod monitoring;
mod promql;
mod runbooks;
mod tools;
