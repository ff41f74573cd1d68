//! What the text of a key, or the file that it names, must be.

use std::path::Path;

use rustls::pki_types::ServerName;
use url::Url;

use crate::{
    files::{self, Kind},
    model::Text,
};

/// Of a name that stands in alerts and at the head of pages.
const MOST_NAME_BYTES: usize = 100;
/// Shorter ones can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Any text will do.
pub(super) fn any(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// The name of a Redis.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_readable = text.trim() == text && Text::from(text).as_str() == text;
    if is_readable && text.len() <= MOST_NAME_BYTES && !text.contains("://") {
        Ok(text.to_owned())
    } else {
        Err(format!("must be a readable line of at most {MOST_NAME_BYTES} bytes, and no address"))
    }
}

/// What a certificate can be for.
pub(super) fn host(text: &str) -> Result<String, String> {
    match ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be a host's name or an IP address, as in redis.example".to_owned()),
    }
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// A link that goes into alerts, so it must hold no secret.
pub(super) fn web_page(text: &str) -> Result<String, String> {
    let is_page = |url: &Url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web && !has_login(url) && url.query().is_none() && url.fragment().is_none()
    };
    match Url::parse(text) {
        Ok(url) if is_page(&url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        _ => Err("must be an address of the page as people reach it, without a login, a query or a #, as in https://streamwarden.example".to_owned()),
    }
}

/// The address of a webhook, as its file has it. It may hold a secret, so errors have nothing of it.
pub(crate) fn webhook_address(path: &Path) -> Result<Url, String> {
    let text = files::read_text(path, Kind::Secret).map_err(|error| error.to_string())?;
    let is_webhook = |url: &Url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web && !has_login(url) && url.fragment().is_none()
    };
    // The parser ignores line breaks, and so would join two addresses.
    let line = Some(text.trim()).filter(|line| !line.contains(char::is_whitespace));
    line.and_then(|line| Url::parse(line).ok()).filter(is_webhook).ok_or_else(|| {
        "holds no address of a webhook: one line with http:// or https://, without a user, a password or a #, as in https://hooks.example/path"
            .to_owned()
    })
}

/// A file that holds the address of a webhook.
pub(super) fn webhook(path: &Path) -> Result<(), String> {
    webhook_address(path).map(drop)
}

/// A level, or a filter as `tracing_subscriber::EnvFilter` takes it.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    // A word that is no level is a filter too, for a part of the program of that name: then nothing else is logged.
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    let is_clear = |part: &str| part.contains('=') || is_level(part);
    if text.split(',').all(is_clear) && text.parse::<tracing_subscriber::EnvFilter>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("must be error, warn, info, debug or trace, or a filter like info,hyper=debug".to_owned())
    }
}

/// A file of certificates or keys can be read. A connection looks at what is in it.
pub(super) fn pem(path: &Path) -> Result<(), String> {
    files::read(path, Kind::Pem).map(drop).map_err(|error| error.to_string())
}

/// A file that holds a token.
pub(super) fn token(path: &Path) -> Result<(), String> {
    let token = files::read(path, Kind::Secret).map_err(|error| error.to_string())?;
    if token.trim_ascii().len() < MIN_TOKEN_BYTES {
        let must = format!(
            "holds no token of at least {MIN_TOKEN_BYTES} characters, as `openssl rand -hex 32` makes one"
        );
        return Err(must);
    }
    Ok(())
}
