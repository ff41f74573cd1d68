//! A secret of the configuration file: a key that holds it, or a second key that names a file.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    access::{Given, REDACTED, Secret},
    section::Section,
};

/// A secret by its own key, or by the key that names a file.
pub(super) fn secret(
    section: &mut Section<'_>,
    (key, inline): (&'static str, Option<String>),
    (file_key, file): (&'static str, Option<String>),
) -> Option<Given<Secret>> {
    if inline.as_deref() == Some(REDACTED) {
        section.problem(
            key,
            "is what check-config prints in place of a secret; write the secret, or the file that holds it",
        );
    }
    if inline.is_some() && file.is_some() {
        section.problem(key, format!("conflicts with {}; set only one", section.place(file_key)));
    }
    let file = file.map(|path| Given::new(section.place(file_key), Secret::File(PathBuf::from(path))));
    let inline = inline.map(|text| Given::new(section.place(key), Secret::Inline(SecretString::from(text))));
    file.or(inline)
}

/// A secret in the form of its two keys: redacted, or as the file that holds it.
pub(super) fn shown(secret: Option<&Given<Secret>>) -> (Option<String>, Option<String>) {
    match secret.map(|given| &given.value) {
        None => (None, None),
        Some(Secret::Inline(_)) => (Some(REDACTED.to_owned()), None),
        Some(Secret::File(path)) => (None, Some(path.display().to_string())),
    }
}
