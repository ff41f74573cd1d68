//! How to reach Redis, from the keys and variables for it. [`Access`] combines address, user and password.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    Access, Address, Cluster, Environment, ReadFrom, Route, Tls,
    access::{Given, Ignored, Login, REDACTED, Secret},
    environment::{PASSWORD, PASSWORD_FILE, URI, URI_FILE, USERNAME},
    keys::{Billed, RedisKeys},
    section::Section,
    setting::{Group, Shown},
};
use crate::model::NodeAddress;

/// Where each command is billed. With polls and retention of five streams this stays below the 500,000 commands a month of a
/// free tier.
const LOOKUPS_A_MONTH: u64 = 100_000;

/// How to reach Redis. Two are equal if a connection by one is a connection by the other, secrets included.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// The address, the user and the password, or the files that hold them.
    pub access: Access,
    /// The server and database of the address when the configuration was loaded, for people.
    pub place: Option<String>,
    /// Certificates, for `rediss://`.
    pub tls: Tls,
    /// How long connecting may take, handshakes included.
    pub connect_timeout: Duration,
    /// How long one pipeline of commands may take.
    pub command_timeout: Duration,
    /// The servers to read from.
    pub read_from: ReadFrom,
    /// Whether to read all primaries of a cluster.
    pub cluster: Cluster,
    /// Other nodes of the cluster, which are asked if the address does not answer.
    pub nodes: Vec<NodeAddress>,
    /// Addresses that the cluster announces, and the ones to use in their place.
    pub cluster_address_map: BTreeMap<NodeAddress, NodeAddress>,
    /// Whether each command is billed: then few are sent.
    pub billed_by_command: bool,
    /// Lookups in 30 days, beyond one command a stream and poll; `None`: no bound.
    pub lookups_a_month: Option<u64>,
}

impl Tls {
    pub(crate) const WITHOUT_EFFECT: &'static str = "is set, and the address is not rediss://, so nothing would be encrypted; write rediss://, or remove redis.tls";

    /// Whether something is set that has no effect with this address.
    pub(crate) fn is_without_effect(&self, address: &Address) -> bool {
        !address.is_tls() && *self != Self::default()
    }
}

impl Group for Redis {
    /// Whether Redis is needed at all.
    type Bounds = bool;

    fn read_keys(section: &mut Section<'_>, is_needed: &bool) -> Self {
        let keys = RedisKeys::read_keys(section, &());
        let context = section.context();
        let mut access = Access {
            is_address_in_file: section.origin("uri").or(section.origin("uri_file")).is_none(),
            address: secret(section, ("uri", keys.uri), ("uri_file", keys.uri_file)),
            keys: Login {
                user: keys.username.map(|user| Given::new(section.place("username"), user)),
                password: secret(section, ("password", keys.password), ("password_file", keys.password_file)),
            },
            variables: variables(context.environment),
            ignored: unusable(context.environment),
        };
        let address = resolve(section, &mut access, *is_needed && !context.is_address_optional);
        if address.as_ref().is_some_and(|address| keys.tls.is_without_effect(address)) {
            section.problem("tls", Tls::WITHOUT_EFFECT);
        }
        let is_billed = match keys.billed_by_command {
            Billed::Yes => true,
            Billed::No => false,
            Billed::Auto => address.as_ref().is_some_and(Address::is_upstash),
        };
        let is_socket = address.as_ref().is_some_and(|address| matches!(address.route(), Route::Unix(_)));
        let redis = Self {
            place: address.map(|address| format!("{address}/{}", address.database())),
            access,
            tls: keys.tls,
            connect_timeout: keys.connect_timeout,
            command_timeout: keys.command_timeout,
            read_from: keys.read_from,
            cluster: keys.cluster,
            nodes: keys.nodes,
            cluster_address_map: keys.cluster_address_map,
            billed_by_command: is_billed,
            lookups_a_month: keys.lookups_a_month.or(is_billed.then_some(LOOKUPS_A_MONTH)),
        };
        redis.check_cluster(section, is_socket);
        redis
    }

    /// The keys that have an effect, without secrets.
    fn show_keys(&self) -> Shown {
        let user = self.access.in_force(|login| login.user.as_ref());
        let (uri, uri_file) = shown(self.access.address.as_ref());
        let (password, password_file) = shown(self.access.in_force(|login| login.password.as_ref()));
        let keys = RedisKeys {
            uri,
            uri_file,
            username: user.map(|user| user.value.clone()),
            password,
            password_file,
            tls: self.tls.clone(),
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
            read_from: self.read_from,
            cluster: self.cluster,
            nodes: self.nodes.clone(),
            cluster_address_map: self.cluster_address_map.clone(),
            billed_by_command: if self.billed_by_command { Billed::Yes } else { Billed::No },
            lookups_a_month: self.lookups_a_month,
        };
        keys.show_keys()
    }
}

impl Redis {
    /// Notes keys for clusters that have no effect.
    fn check_cluster(&self, section: &mut Section<'_>, is_socket: bool) {
        let has_nodes = !self.nodes.is_empty();
        for (key, is_set) in
            [("nodes", has_nodes), ("cluster_address_map", !self.cluster_address_map.is_empty())]
        {
            if is_set && self.cluster == Cluster::Off {
                let what = "has no effect with redis.cluster: off, which reads only the node at the address; remove one of them";
                section.problem(key, what);
            }
        }
        if has_nodes && is_socket {
            let what = "is set, and the address is a Unix socket, so the other nodes can't be reached the same way; give the address as redis:// or rediss://, or remove redis.nodes";
            section.problem("nodes", what);
        }
    }
}

/// A secret in the form of its two keys: redacted, or as the file that holds it.
fn shown(secret: Option<&Given<Secret>>) -> (Option<String>, Option<String>) {
    match secret.map(|given| &given.value) {
        None => (None, None),
        Some(Secret::Inline(_)) => (Some(REDACTED.to_owned()), None),
        Some(Secret::File(path)) => (None, Some(path.display().to_string())),
    }
}

/// The address with its login. Notes what is wrong with it, or that it is missing.
fn resolve(section: &mut Section<'_>, access: &mut Access, is_needed: bool) -> Option<Address> {
    if access.address.is_none() {
        if is_needed && !section.has("uri") && !section.has("uri_file") {
            section.problem("uri", "is missing; set it, redis.uri_file, REDIS_URI or REDIS_URI_FILE");
        }
        access.ignored.clear();
        return None;
    }
    match access.resolve() {
        Ok((address, without_effect)) => {
            access.ignored.extend(without_effect);
            Some(address)
        }
        Err(problems) => {
            section.problems().0.extend(problems.0);
            None
        }
    }
}

/// A secret by its own key, or by the key that names a file.
fn secret(
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

/// A file is more likely meant for this program than a password, so it applies first.
fn variables(environment: &Environment) -> Vec<Login> {
    let text = |name| environment.get(name)?.to_str().map(str::to_owned);
    let file = text(PASSWORD_FILE).map(|path| Given::new(PASSWORD_FILE, Secret::File(PathBuf::from(path))));
    let password = text(PASSWORD).map(|text| Given::new(PASSWORD, Secret::Inline(SecretString::from(text))));
    let user = || text(USERNAME).map(|user| Given::new(USERNAME, user));
    [file, password].map(|password| Login { user: user(), password }).into()
}

/// Variables that are not valid, or that another one replaces.
fn unusable(environment: &Environment) -> Vec<Ignored> {
    let ignored = |at: &str, reason: &str| Ignored { at: at.to_owned(), reason: reason.to_owned() };
    let replaced = environment.get(URI).and(environment.get(URI_FILE));
    let mut unusable: Vec<Ignored> =
        replaced.iter().map(|_| ignored(URI, "REDIS_URI_FILE has another address")).collect();
    for name in [USERNAME, PASSWORD, PASSWORD_FILE] {
        if environment.get(name).is_some_and(|value| value.to_str().is_none()) {
            unusable.push(ignored(name, "it is not UTF-8"));
        }
    }
    unusable
}
