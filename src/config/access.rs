//! The address of Redis, and the user and the password to log in with.
//!
//! Three places may have a user and a password, in this order: the address; the keys `redis.username`, `redis.password` and
//! `redis.password_file`; the variables `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_PASSWORD_FILE`. A later place applies only to
//! what the earlier ones do not set. A contradiction between an address and keys of the same file is an error. Any other
//! contradiction is a warning, and the later value is ignored: a variable in a Pod may be meant for another program.
//!
//! Files are read again for each connection, so that a rotated secret needs no restart.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Address,
    address::DEFAULT_USER,
    problem::{Problem, Problems},
};
use crate::{
    files::{self, Kind},
    model::{Failure, Text},
};

/// How to reach Redis, and as whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    /// The address, or the file that holds it. `None`: the sidecar is switched off and needs none.
    pub(super) address: Option<Given<Secret>>,
    /// Whether the address is in the configuration file, as the keys are.
    pub(super) is_address_in_file: bool,
    /// The user and the password of the configuration file.
    pub(super) keys: Login,
    /// Those of the environment, the first to apply first.
    pub(super) variables: Vec<Login>,
    /// The settings without effect when the configuration was loaded.
    pub(super) ignored: Vec<Ignored>,
}

/// A user and a password that belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Login {
    pub(super) user: Option<Given<String>>,
    pub(super) password: Option<Given<Secret>>,
}

/// A setting, and the name of its key or variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given<T> {
    pub(super) at: String,
    pub(super) value: T,
}

impl<T> Given<T> {
    pub(super) fn new(at: impl Into<String>, value: T) -> Self {
        Self { at: at.into(), value }
    }
}

/// A secret text, or the file that holds it.
#[derive(Debug, Clone)]
pub(super) enum Secret {
    Inline(SecretString),
    File(PathBuf),
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(one), Self::Inline(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

/// Shown in place of a secret.
pub(super) const REDACTED: &str = "<redacted>";

/// A setting without effect, since another one replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The name of its key or variable.
    pub at: String,
    /// What replaces it.
    pub reason: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ignored: {}", self.at, self.reason)
    }
}

impl Access {
    /// Returns the address, with the user and the password in force. Reads the files that hold them.
    ///
    /// # Errors
    /// All problems, each with its key.
    pub fn address(&self) -> Result<Address, Problems> {
        self.resolve().map(|(address, _ignored)| address)
    }

    /// The sentence for a failure: what cannot be done at which address, and why.
    #[must_use]
    pub fn cannot(&self, what: &str, failure: &Failure) -> String {
        let place = self.address().map(|address| address.to_string());
        match place {
            Ok(place) if !failure.detail.contains(&place) => format!("cannot {what} at {place}: {failure}"),
            // The failure of a connection includes the address. It has no address if that cannot be read.
            _ => format!("cannot {what}: {failure}"),
        }
    }

    /// Whether both have the same address, or the same file that holds it.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.address == other.address
    }

    /// The settings without effect when the configuration was loaded.
    #[must_use]
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// The files that are read again for each connection, each with its content's name.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let password = self.in_force(|login| login.password.as_ref());
        let secrets = [("address", self.address.as_ref()), ("password", password)];
        secrets.into_iter().filter_map(|(what, given)| match &given?.value {
            Secret::File(path) => Some((what, path.as_path())),
            Secret::Inline(_) => None,
        })
    }

    /// The first key or variable with this part that is not ignored.
    pub(super) fn in_force<T>(&self, part: impl Fn(&Login) -> Option<&Given<T>>) -> Option<&Given<T>> {
        let is_ignored = |given: &Given<T>| self.ignored.iter().any(|ignored| ignored.at == given.at);
        [&self.keys].into_iter().chain(&self.variables).filter_map(part).find(|given| !is_ignored(given))
    }

    /// The address, and the settings without effect.
    pub(super) fn resolve(&self) -> Result<(Address, Vec<Ignored>), Problems> {
        let not_set =
            || Problems(vec![Problem { at: "redis.uri".into(), what: "is not set".into(), line: None }]);
        let given = self.address.as_ref().ok_or_else(not_set)?;
        let (address, mut chosen) = Chosen::of_address(given);
        chosen.combine(&self.keys, if self.is_address_in_file { Rank::Same } else { Rank::Lower });
        self.variables.iter().for_each(|login| chosen.combine(login, Rank::Lower));
        match address {
            Some(address) if chosen.problems.0.is_empty() => {
                let user = chosen.user.map(|user| user.value);
                let password = chosen.password.map(|password| password.value);
                Ok((address.with_login(user, password), chosen.ignored))
            }
            _ => Err(chosen.problems),
        }
    }
}

/// The rank of a login beside what was chosen before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Same,
    Lower,
}

/// What is in force of the logins so far.
#[derive(Default)]
struct Chosen {
    user: Option<Given<String>>,
    password: Option<Given<SecretString>>,
    ignored: Vec<Ignored>,
    problems: Problems,
}

impl Chosen {
    fn of_address(given: &Given<Secret>) -> (Option<Address>, Self) {
        let mut chosen = Self::default();
        let address = match given.value.read().map(|text| Address::parse(&text)) {
            Ok(Ok(address)) => address,
            Ok(Err(errors)) => {
                errors.iter().for_each(|error| chosen.problems.add(given.at.as_str(), error.to_string()));
                return (None, chosen);
            }
            Err(what) => {
                chosen.problems.add(given.at.as_str(), what);
                return (None, chosen);
            }
        };
        chosen.user = address.user().map(|user| Given::new(&given.at, user.to_owned()));
        chosen.password = address.password().map(|password| Given::new(&given.at, password.clone()));
        (Some(address), chosen)
    }

    /// Takes from this login what is not set yet.
    fn combine(&mut self, login: &Login, rank: Rank) {
        let other = login.user.as_ref().and_then(|user| Some((user, self.other_user(user, rank)?)));
        if let Some((user, at)) = other {
            self.contradict(&user.at, "user", &at, rank);
            if rank == Rank::Lower {
                // The password belongs to that other user.
                login.password.iter().for_each(|password| self.contradict(&password.at, "user", &at, rank));
                return;
            }
        } else if self.user.is_none() {
            self.user.clone_from(&login.user);
        }
        login.password.iter().for_each(|password| self.take_password(password, rank));
    }

    /// The name of the setting that has another user than this one.
    fn other_user(&self, user: &Given<String>, rank: Rank) -> Option<String> {
        // A password without a user belongs to the default user, unless a key of the same rank names one.
        let default = self.password.as_ref().filter(|_| rank == Rank::Lower);
        let default = default.map(|password| (&password.at, DEFAULT_USER));
        let chosen = self.user.as_ref().map(|chosen| (&chosen.at, chosen.value.as_str())).or(default);
        chosen.filter(|(_, name)| *name != user.value).map(|(at, _)| at.clone())
    }

    fn take_password(&mut self, password: &Given<Secret>, rank: Rank) {
        match (&self.password, password.value.read()) {
            (None, Ok(value)) => self.password = Some(Given::new(&password.at, value)),
            (Some(chosen), Ok(value)) if chosen.value.expose_secret() == value.expose_secret() => {}
            // A file that cannot be read is not needed here.
            (Some(chosen), read) if read.is_ok() || rank == Rank::Lower => {
                let at = chosen.at.clone();
                self.contradict(&password.at, "password", &at, rank);
            }
            (_, read) => {
                read.err().into_iter().for_each(|what| self.problems.add(password.at.as_str(), what))
            }
        }
    }

    fn contradict(&mut self, at: &str, what: &str, chosen_at: &str, rank: Rank) {
        if rank == Rank::Same {
            self.problems.add(at, format!("has another {what} than {chosen_at}; set only one"));
        } else if !self.ignored.iter().any(|ignored| ignored.at == at) {
            let reason = format!("{chosen_at} has another {what}");
            self.ignored.push(Ignored { at: at.to_owned(), reason });
        }
    }
}

impl Secret {
    /// The text, without a line break at its end.
    pub(super) fn read(&self) -> Result<SecretString, Text> {
        let text = match self {
            Self::Inline(text) => text.expose_secret().to_owned(),
            Self::File(path) => files::read_text(path, Kind::Secret).map_err(|error| error.to_string())?,
        };
        let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
        match text {
            "" => Err("is empty".into()),
            text if text.starts_with('\u{feff}') => {
                Err("starts with a byte order mark; save it as UTF-8 without one".into())
            }
            text => Ok(SecretString::from(text)),
        }
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
