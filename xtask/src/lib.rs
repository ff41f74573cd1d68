//! What the project's chores do, as a library, so that tests compare their results with the files that are there.
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    missing_docs,
    reason = "a chore that meets the unexpected stops, and says where"
)]

use std::path::{Path, PathBuf};

pub mod features;
pub mod layers;
pub mod shipped;

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the project").to_owned()
}
