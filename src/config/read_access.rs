//! The keys and variables that say how to reach Redis and as whom; [`Access`] puts them together.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    Access, Address, Environment,
    access::{Given, Ignored, Login, REDACTED, Secret},
    environment::{PASSWORD, PASSWORD_FILE, URI, URI_FILE, USERNAME},
    section::Section,
};

/// Reads them; with the address that they make, which is `None` where none is needed. `None`, or noted problems, where
/// they can't be used.
pub(super) fn access(
    section: &mut Section<'_>,
    is_enabled: bool,
    environment: &Environment,
) -> Option<(Access, Option<Address>)> {
    let is_address_in_file = section.origin("uri").or(section.origin("uri_file")).is_none();
    let address = secret(section, "uri", "uri_file");
    let keys = Login {
        user: section.text("username").map(|user| Given::new(section.place("username"), user)),
        password: secret(section, "password", "password_file"),
    };
    let mut ignored = unusable(environment);
    let mut access =
        Access { address, is_address_in_file, keys, variables: variables(environment), ignored: Vec::new() };
    if access.address.is_none() {
        if is_enabled {
            section.problem("uri", "is missing; set it, redis.uri_file, REDIS_URI or REDIS_URI_FILE");
        }
        return (!is_enabled).then_some((access, None));
    }
    match access.resolve() {
        Ok((address, without_effect)) => {
            ignored.extend(without_effect);
            access.ignored = ignored;
            Some((access, Some(address)))
        }
        Err(problems) => {
            section.problems(problems);
            None
        }
    }
}

/// A secret by its own key, or by the key that names a file.
fn secret(section: &mut Section<'_>, key: &'static str, file_key: &'static str) -> Option<Given<Secret>> {
    let inline = section.text(key);
    if inline.as_deref() == Some(REDACTED) {
        section.problem(
            key,
            "is what check-config prints in place of a secret; write the secret, or the file that holds it",
        );
    }
    let inline = inline.map(|text| Secret::Inline(SecretString::from(text)));
    let file = section.text(file_key).map(|path| Secret::File(PathBuf::from(path)));
    if inline.is_some() && file.is_some() {
        section.problem(key, format!("conflicts with {}; set only one of them", section.place(file_key)));
    }
    let key = if file.is_some() { file_key } else { key };
    file.or(inline).map(|secret| Given::new(section.place(key), secret))
}

/// A file is more likely meant for this program than a password, so it counts first.
fn variables(environment: &Environment) -> Vec<Login> {
    let text = |name| environment.get(name)?.to_str().map(str::to_owned);
    let file = text(PASSWORD_FILE).map(|path| Given::new(PASSWORD_FILE, Secret::File(PathBuf::from(path))));
    let password = text(PASSWORD).map(|text| Given::new(PASSWORD, Secret::Inline(SecretString::from(text))));
    let user = || text(USERNAME).map(|user| Given::new(USERNAME, user));
    [file, password].map(|password| Login { user: user(), password }).into()
}

/// Variables that nothing can be made of, or that another one replaces.
fn unusable(environment: &Environment) -> Vec<Ignored> {
    let ignored = |at: &str, reason: &str| Ignored { at: at.to_owned(), reason: reason.to_owned() };
    let replaced = environment.get(URI).and(environment.get(URI_FILE));
    let mut unusable: Vec<Ignored> =
        replaced.iter().map(|_| ignored(URI, "REDIS_URI_FILE gives another address")).collect();
    for name in [USERNAME, PASSWORD, PASSWORD_FILE] {
        if environment.get(name).is_some_and(|value| value.to_str().is_none()) {
            unusable.push(ignored(name, "it is not UTF-8"));
        }
    }
    unusable
}
