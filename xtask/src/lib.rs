//! The project's chores as a library, so that tests can compare their output with the files in the repository.
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
pub mod manual;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod reference;
pub mod shipped;
pub mod words;

/// The root of the repository.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the project").to_owned()
}
