//! Parses an address. Each part has an effect, or is refused by its name.
//!
//! An unencoded `/`, `?`, `#` or `@` makes a piece of a password look like another part. So no error repeats the text: an
//! [`AddressError`] holds only names from fixed lists, and positions.

use std::{net::Ipv6Addr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Address, DEFAULT_PORT, Resp, Route, Service, Target,
    foreign::{self, Advice},
    service,
};
use crate::model::{NodeAddress, NodeAddressError, percent_decoded};

/// What follows the scheme.
#[derive(Debug, Clone, Copy)]
enum Form {
    Server,
    /// Sentinels, and the service that they watch.
    Service,
    Socket,
}

/// The schemes that are addresses of Redis, in lower case.
const SCHEMES: [(&str, Form); 11] = [
    ("redis", Form::Server),
    ("rediss", Form::Server),
    ("valkey", Form::Server),
    ("valkeys", Form::Server),
    ("redis+sentinel", Form::Service),
    ("rediss+sentinel", Form::Service),
    ("valkey+sentinel", Form::Service),
    ("valkeys+sentinel", Form::Service),
    ("unix", Form::Socket),
    ("redis+unix", Form::Socket),
    ("valkey+unix", Form::Socket),
];

/// The schemes of addresses, in lower case.
pub fn schemes() -> impl Iterator<Item = &'static str> {
    SCHEMES.iter().map(|(name, _)| *name)
}

/// A problem with an address. The text follows the key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong")]
pub enum AddressError {
    #[error(
        "is not a Redis address; write redis://[user:password@]host[:port][/db], rediss://... for TLS, \
         redis+sentinel://[user:password@]host[:port][,...]/service[/db] for Sentinels, or unix:///path[?db=N] for a \
         Unix socket"
    )]
    Form,
    #[error("begins with {}://; {}", .0.0, .0.1)]
    Scheme(Advice),
    #[error(
        "holds a space, a line break or another control character; percent-encode it (a space is %20), or remove it"
    )]
    Control,
    #[error(
        "holds a #, and nothing may follow the address; write %23 for a # in the user or the password, or give the \
         password in redis.password or redis.password_file"
    )]
    Fragment,
    #[error(
        "asks for TLS without verification (#insecure); give the authority, or the server's own certificate, in \
         redis.tls.ca_file instead, and another name than the host in redis.tls.server_name"
    )]
    Insecure,
    #[error(
        "has an @ where none can be; write %2F for a /, %3F for a ? and %40 for an @ in the user or the password, or give the \
         password in redis.password or redis.password_file"
    )]
    Unencoded,
    #[error(
        "has a % in the {0} that is not followed by two hexadecimal digits; write %25 for a %, or give the password in \
         redis.password or redis.password_file"
    )]
    Percent(&'static str),
    #[error("has a {0} that is not UTF-8 once decoded; write it in UTF-8, percent-encoded")]
    NotUtf8(&'static str),
    #[error("has no host; write it, as in redis://localhost:6379")]
    NoHost,
    #[error(
        "names several hosts; give one, with further nodes of a cluster in redis.nodes, or Sentinels, as in \
         redis+sentinel://host,host/mymaster"
    )]
    Hosts,
    #[error("has a wrong Sentinel, number {0} in the list: {1}")]
    Sentinel(usize, &'static str),
    #[error(
        "has no service; write its name, as in `sentinel monitor`, behind the Sentinels: redis+sentinel://host:26379/mymaster"
    )]
    NoService,
    #[error(
        "has a path that is not the name of a service, followed by the number of a database at most; write it as in \
         redis+sentinel://host:26379/mymaster/0"
    )]
    ServicePath,
    #[error(
        "has a host with a character that no host name has; use letters, digits, dots and hyphens, or an IP address, an IPv6 \
         one in brackets, as in redis://[::1]:6379"
    )]
    Host,
    #[error("has a host in brackets that is not an IPv6 address; write it as in redis://[::1]:6379")]
    Ipv6,
    #[error(
        "has a port that is not a number from 1 to 65535; write it, as in redis://localhost:6379, or leave it and its colon out"
    )]
    Port,
    #[error("has a path that is not the number of a database; write it as in redis://localhost:6379/0")]
    Path,
    #[error("has a host in front of the socket's path; write three slashes, as in unix:///run/redis.sock")]
    SocketHost,
    #[error("has no path of a socket; write it, as in unix:///run/redis.sock")]
    NoSocket,
    #[error("has the parameter {}; {}", .0.0, .0.1)]
    Parameter(Advice),
    #[error(
        "has an unknown parameter, number {0} behind the ?; known are db, protocol, user (or username) and password (or pass)"
    )]
    UnknownParameter(usize),
    #[error("has the parameter {0} twice, or under both of its names; keep one")]
    Twice(&'static str),
    #[error("has a {0} that is {1}")]
    Value(&'static str, &'static str),
    #[error(
        "has a + in the parameter {0}, which some clients read as a space; write %2B for a +, %20 for a space"
    )]
    Plus(&'static str),
    #[error("gives one {0} in {1} and another in ?{2}=; keep one of them")]
    Differ(&'static str, &'static str, &'static str),
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// All problems, without a piece of the text.
    pub fn parse(uri: &SecretString) -> Result<Self, Vec<AddressError>> {
        address(uri.expose_secret())
    }
}

/// The parts of an address so far.
#[derive(Default)]
struct Parts {
    errors: Vec<AddressError>,
    user: Option<String>,
    password: Option<SecretString>,
    database: Option<i64>,
    protocol: Option<Resp>,
}

/// Splits the text into its parts. The errors are never empty.
fn address(text: &str) -> Result<Address, Vec<AddressError>> {
    let alone = |error| Err(vec![error]);
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return alone(AddressError::Control);
    }
    let Some((scheme, rest)) = text.split_once("://") else { return alone(AddressError::Form) };
    let scheme = scheme.to_ascii_lowercase();
    let mut parts = Parts::default();
    let (rest, fragment) =
        rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    match fragment {
        None => {}
        Some("insecure") => parts.errors.push(AddressError::Insecure),
        Some(_) => return alone(AddressError::Fragment),
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let is_tls = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
    let form = SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, form)| *form);
    let target = match form {
        // An @ in the wrong place hides where the password ends, so nothing else is reported.
        Some(Form::Server | Form::Service) if path.contains('@') || query.contains('@') => {
            return alone(AddressError::Unencoded);
        }
        Some(Form::Socket) if !authority.is_empty() && path.contains('@') => {
            return alone(AddressError::Unencoded);
        }
        Some(Form::Server) => parts.tcp(authority, path).map(|host| Target::Server(Route::to(host, is_tls))),
        Some(Form::Service) => {
            let service = parts.service(authority, path);
            service.map(|(sentinels, name)| Target::Service(Service { name, sentinels, is_tls }))
        }
        Some(Form::Socket) => parts.socket(authority, path).map(|path| Target::Server(Route::Unix(path))),
        None => return alone(foreign::scheme(&scheme).map_or(AddressError::Form, AddressError::Scheme)),
    };
    parts.parameters(query);
    let Parts { errors, user, password, database, protocol } = parts;
    // If both are empty, as in redis://:@host, there is no login.
    let user = user.filter(|user| !user.is_empty());
    let password = password.filter(|password| user.is_some() || !password.expose_secret().is_empty());
    match target {
        Some(target) if errors.is_empty() => {
            Ok(Address { target, protocol, password, user, database: database.unwrap_or_default() })
        }
        _ => Err(errors),
    }
}

impl Parts {
    fn tcp(&mut self, authority: &str, path: &str) -> Option<NodeAddress> {
        let place = self.place(authority);
        if !matches!(path, "" | "/") {
            self.database = path.strip_prefix('/').and_then(database);
            self.note(self.database.is_none().then_some(AddressError::Path));
        }
        host_and_port(place, DEFAULT_PORT).map_err(|error| self.errors.push(error)).ok()
    }

    /// The Sentinels, and the name of the service.
    fn service(&mut self, authority: &str, path: &str) -> Option<(Vec<NodeAddress>, String)> {
        let place = self.place(authority);
        let mut sentinels = Vec::new();
        for (index, text) in place.split(',').enumerate() {
            match host_and_port(text, service::DEFAULT_PORT) {
                Ok(host) => sentinels.push(host),
                Err(error) => self.errors.push(AddressError::Sentinel(index + 1, of_sentinel(error))),
            }
        }
        let (name, number) = path.strip_prefix('/').unwrap_or_default().split_once('/').unzip();
        let name = self.decoded("service", name.unwrap_or(path.get(1..).unwrap_or_default()))?;
        self.database = number.and_then(database);
        let is_wrong = (number.is_some() && self.database.is_none()) || name.contains(char::is_control);
        self.note(name.is_empty().then_some(AddressError::NoService));
        self.note((is_wrong && !name.is_empty()).then_some(AddressError::ServicePath));
        Some((sentinels, name))
    }

    /// Takes the login, and returns what follows it.
    fn place<'a>(&mut self, authority: &'a str) -> &'a str {
        // The last one ends the password, as in browsers and Python.
        let Some((login, place)) = authority.rsplit_once('@') else { return authority };
        self.login(login);
        place
    }

    fn socket(&mut self, authority: &str, path: &str) -> Option<PathBuf> {
        match authority.strip_suffix('@') {
            Some(login) => self.login(login),
            None if authority.is_empty() => {}
            None => self.errors.push(AddressError::SocketHost),
        }
        let path = self.decoded("socket's path", path)?;
        let is_path = path.len() > 1 && !path.contains('\0');
        self.note((!is_path).then_some(AddressError::NoSocket));
        Some(PathBuf::from(path))
    }

    /// `user`, `user:password` or `:password`.
    fn login(&mut self, text: &str) {
        let (user, password) = text.split_once(':').map_or((text, None), |(user, word)| (user, Some(word)));
        self.user = self.decoded("user", user).filter(|user| !user.is_empty());
        let password = password.and_then(|password| self.decoded("password", password));
        self.password = password.map(SecretString::from);
    }

    fn parameters(&mut self, query: &str) {
        let mut seen = Vec::new();
        for (index, pair) in query.split('&').enumerate().filter(|_| !query.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = match name {
                "db" => "db",
                "protocol" => "protocol",
                "user" | "username" => "user",
                "pass" | "password" => "password",
                other => {
                    let unknown = AddressError::UnknownParameter(index + 1);
                    self.errors.push(foreign::parameter(other).map_or(unknown, AddressError::Parameter));
                    continue;
                }
            };
            if seen.contains(&name) {
                self.errors.push(AddressError::Twice(name));
                continue;
            }
            seen.push(name);
            self.parameter(name, value);
        }
    }

    fn parameter(&mut self, name: &'static str, value: &str) {
        let given = match name {
            "db" => {
                let Some(number) = database(value) else {
                    return self.errors.push(AddressError::Value("?db=", "not the number of a database"));
                };
                return match self.database.replace(number) {
                    Some(in_path) if in_path != number => {
                        self.errors.push(AddressError::Differ("database", "its path", "db"));
                    }
                    _ => {}
                };
            }
            "protocol" => {
                self.protocol = match value {
                    "resp2" | "2" => Some(Resp::V2),
                    "resp3" | "3" => Some(Resp::V3),
                    _ => None,
                };
                let wrong = AddressError::Value("?protocol=", "neither resp2 nor resp3");
                return self.note(self.protocol.is_none().then_some(wrong));
            }
            _ if value.contains('+') => return self.errors.push(AddressError::Plus(name)),
            _ => self.decoded(name, value),
        };
        let Some(given) = given else { return };
        let differs = if name == "user" {
            let before = self.user.replace(given.clone());
            before.is_some_and(|before| before != given)
        } else {
            let before = self.password.replace(SecretString::from(given.clone()));
            before.is_some_and(|before| before.expose_secret() != given)
        };
        self.note(differs.then_some(AddressError::Differ(name, "front of the host", name)));
    }

    /// Percent-decoded.
    fn decoded(&mut self, part: &'static str, text: &str) -> Option<String> {
        let Some(decoded) = percent_decoded(text) else {
            self.errors.push(AddressError::Percent(part));
            return None;
        };
        let decoded = String::from_utf8(decoded);
        self.note(decoded.is_err().then_some(AddressError::NotUtf8(part)));
        decoded.ok()
    }

    fn note(&mut self, error: Option<AddressError>) {
        self.errors.extend(error);
    }
}

fn host_and_port(text: &str, default_port: u16) -> Result<NodeAddress, AddressError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or(AddressError::Ipv6)?;
            let ip: Ipv6Addr = host.parse().map_err(|_not_ipv6| AddressError::Ipv6)?;
            (ip.to_string(), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host.to_owned(), port)
        }
    };
    if text.contains(',') {
        return Err(AddressError::Hosts);
    }
    if !text.starts_with('[') && text.matches(':').count() > 1 {
        return Err(AddressError::Host);
    }
    let digits = port.strip_prefix(':').filter(|port| is_digits(port));
    // 0 is refused like what is not a number.
    let port =
        if port.is_empty() { default_port } else { digits.and_then(|it| it.parse().ok()).unwrap_or(0) };
    NodeAddress::new(&name, port).map_err(|error| match error {
        NodeAddressError::NoHost => AddressError::NoHost,
        NodeAddressError::Host => AddressError::Host,
        NodeAddressError::Ipv6 => AddressError::Ipv6,
        NodeAddressError::Port => AddressError::Port,
    })
}

/// What is wrong with one of several hosts.
#[expect(clippy::wildcard_enum_match_arm, reason = "of the many errors a few are those of a host")]
const fn of_sentinel(error: AddressError) -> &'static str {
    match error {
        AddressError::NoHost => {
            "it has no host; write them as in redis+sentinel://host:26379,host:26379/mymaster"
        }
        AddressError::Ipv6 => "what is in brackets is not an IPv6 address; write it as in [::1]:26379",
        AddressError::Port => "its port is not a number from 1 to 65535; write it as in host:26379",
        _ => {
            "a character is in its host that no host name has; use letters, digits, dots and hyphens, or an IP address, an \
             IPv6 one in brackets, as in [::1]:26379"
        }
    }
}

/// The number of a database. No server has more than nine digits of them.
fn database(text: &str) -> Option<i64> {
    text.parse().ok().filter(|_| is_digits(text) && text.len() < 10)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
