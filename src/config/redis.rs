//! How to reach Redis, from the keys and variables for it. [`Access`] combines address, user and password.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    Access, Address, Cluster, Environment, ReadFrom, Route, Sentinel, Tls,
    access::{Given, Ignored, Login, Secret},
    environment::{PASSWORD, PASSWORD_FILE, URI, URI_FILE, USERNAME},
    keys::{Billed, RedisKeys},
    secret::{secret, shown},
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
    /// How to log in at the Sentinels, for `redis+sentinel://`.
    pub sentinel: Sentinel,
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

/// The keys that would have no effect with this address, and why.
pub(crate) fn without_effect(
    address: &Address,
    tls: &Tls,
    sentinel: &Sentinel,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let are_sentinels_encrypted = address.service().is_some_and(|service| sentinel.is_tls(service));
    let is_encrypted = address.is_tls() || are_sentinels_encrypted;
    let no_tls = !is_encrypted && *tls != Tls::default();
    let no_sentinel = address.service().is_none() && *sentinel != Sentinel::default();
    let tls = (
        "tls",
        "is set, and the address is not rediss://, so nothing would be encrypted; write rediss://, or remove redis.tls",
    );
    let sentinel = (
        "sentinel",
        "is set, and the address names no Sentinels, so it would have no effect; write redis+sentinel://host:26379/service, or \
         remove redis.sentinel",
    );
    no_tls.then_some(tls).into_iter().chain(no_sentinel.then_some(sentinel))
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
        for (key, what) in
            address.iter().flat_map(|address| without_effect(address, &keys.tls, &keys.sentinel))
        {
            section.problem(key, what);
        }
        if let Err(problems) = keys.sentinel.login() {
            section.problems().0.extend(problems.0);
        }
        let is_billed = match keys.billed_by_command {
            Billed::Yes => true,
            Billed::No => false,
            Billed::Auto => address.as_ref().is_some_and(Address::is_upstash),
        };
        let without_nodes = address.as_ref().and_then(Address::without_nodes);
        let is_socket = address.as_ref().is_some_and(|it| matches!(it.route(), Some(Route::Unix(_))));
        let redis = Self {
            place: address.map(|address| format!("{address}/{}", address.database())),
            access,
            tls: keys.tls,
            sentinel: keys.sentinel,
            connect_timeout: keys.connect_timeout,
            command_timeout: keys.command_timeout,
            read_from: keys.read_from,
            cluster: keys.cluster,
            nodes: keys.nodes,
            cluster_address_map: keys.cluster_address_map,
            billed_by_command: is_billed,
            lookups_a_month: keys.lookups_a_month.or(is_billed.then_some(LOOKUPS_A_MONTH)),
        };
        redis.check_cluster(section, without_nodes);
        if redis.read_from == ReadFrom::ReplicaPreferred && is_socket {
            let what = "is replica-preferred, and the address is a Unix socket, so no replica can be reached the same way; give \
                 the address as redis:// or rediss://, or write `any`";
            section.problem("read_from", what);
        }
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
            sentinel: self.sentinel.clone(),
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
    fn check_cluster(&self, section: &mut Section<'_>, without_nodes: Option<&str>) {
        let has_nodes = !self.nodes.is_empty();
        for (key, is_set) in
            [("nodes", has_nodes), ("cluster_address_map", !self.cluster_address_map.is_empty())]
        {
            if is_set && self.cluster == Cluster::Off {
                let what = "has no effect with redis.cluster: off, which reads only the node at the address; remove one of them";
                section.problem(key, what);
            }
        }
        if let Some(why) = without_nodes.filter(|_| has_nodes) {
            let what = format!(
                "is set, and the address {why}; give the address as redis:// or rediss://, or remove redis.nodes"
            );
            section.problem("nodes", what);
        }
    }
}

impl Address {
    /// Why `redis.nodes` has no effect beside it; `None` if it has one.
    const fn without_nodes(&self) -> Option<&'static str> {
        match (self.route(), self.service()) {
            (Some(Route::Unix(_)), _) => {
                Some("is a Unix socket, so the other nodes can't be reached the same way")
            }
            (_, Some(_)) => Some("names Sentinels, which name the server"),
            _ => None,
        }
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
