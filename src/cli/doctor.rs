//! `streamwarden doctor`: checks whether the sidecar works with the configured Redis, and prints its findings and what they
//! mean.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;

use super::{
    command::{Error, Exit, block_on, print},
    status,
};
use crate::{
    acl,
    app::self_stats,
    config::{Address, Cluster, Config, DEFAULT_USER, Discovered, Log, wants_no_colour},
    doctor::{Diagnosis, Evidence, diagnose, unreachable, unused},
    model::{ClusterFacts, Facts, Failure, Feature, Name, NodeAddress, Reason, SeedFacts},
    reader::Reader,
    source::{ClusterSurvey, Details, Discovery, Examiner, Link, survey_sentinels},
    telemetry,
    views::terminal::{Style, diagnosis},
};

/// A search that takes longer is given up.
const SEARCH: Duration = Duration::from_secs(60);
/// Goes up when a field is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// Check the configured Redis and report problems. Read-only.
///
/// Exit code: 0 without problems, 1 with problems or without a connection, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,

    /// List each alert that can't fire. Without it they are summed up in one line.
    #[arg(long)]
    verbose: bool,

    /// Check the permissions of this user. The user that is logged in needs +acl|dryrun.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Also check the permissions that dead-letter, replay, claim and reap-consumers need.
    #[arg(long)]
    acting: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    /// The address without user and password.
    address: Option<String>,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
    /// How to find out what is unknown.
    advice: Option<String>,
}

impl Doctor {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        let address = config.redis.access.address();
        let diagnosis = match &address {
            _ if !config.enabled => unused(),
            Ok(address) => block_on(self.examine(config, address))?,
            Err(problems) => {
                unreachable(config, None, &[], &[], &Failure::new(Reason::Address, format!("{problems:#}")))
            }
        };
        let address = address.ok().filter(|_| config.enabled);
        if self.json {
            self.print_json(&diagnosis, address.as_ref())?;
        } else {
            self.print_table(&diagnosis, address.as_ref())?;
        }
        Ok(Exit::success_if(diagnosis.summary.problem == 0))
    }

    async fn examine(&self, config: &Config, address: &Address) -> Diagnosis {
        let sentinels = match address.service() {
            Some(service) => survey_sentinels(service, &config.redis).await,
            None => Vec::new(),
        };
        let stats = self_stats();
        let link = || Link::new(Arc::clone(&stats));
        let Asked { seed, mut examiner, facts } = match ask(config, link).await {
            Ok(asked) => asked,
            Err((failure, seeds)) => {
                return unreachable(config, Some(address), &sentinels, &seeds, &failure);
            }
        };
        let at_seed = seed.as_ref().map(|(seed, _)| address.clone().at(seed.clone()));
        let away = seed.as_ref().map(|(_, failure)| (address, failure));
        let address = at_seed.as_ref().unwrap_or(address);
        let start = seed.as_ref().map_or_else(link, |(seed, _)| link().to_node(seed.clone()));
        let streams = search(&mut Discovery::new(link()), config).await;
        let known = streams.clone().unwrap_or_else(|_failure| Discovered::named(config));
        let watchlist = known.watchlist(config);
        let asked_of = self.user.as_deref().or(address.user()).unwrap_or(DEFAULT_USER);
        let holder = if self.acting { acl::Holder::Actor } else { acl::Holder::Sidecar };
        let needs = acl::needs(config, holder, address.database(), &facts.server, &watchlist);
        let names: Vec<_> = watchlist.iter().map(|watched| watched.name.clone()).collect();
        let is_own = self.user.is_none();
        let mut rights = examiner.rights(&config.redis, asked_of, is_own, &needs, &names).await;
        let cluster = if config.redis.cluster == Cluster::Auto {
            ClusterSurvey { config, user: asked_of, is_own, needs: &needs, streams: &names }
                .of_cluster(start)
                .await
        } else {
            Ok(None)
        };
        if let (Ok(rights), Ok(Some(cluster))) = (&mut rights, &cluster) {
            rights.expiring = expiring(cluster);
        }
        let reading = Reader::new(link()).read(config, &watchlist).await;
        let needs_lease = needs.iter().any(|need| need.feature == Feature::Lease);
        let stuck_lease = match needs_lease {
            true => Details::new(link()).stuck_lease(config).await.ok().flatten(),
            false => None,
        };
        let user = self.user.as_deref();
        let (sentinels, cluster) = (&sentinels, &cluster);
        let (facts, streams, rights, reading) = (&facts, &streams, &rights, &reading);
        diagnose(Evidence {
            config,
            address,
            away,
            sentinels,
            user,
            facts,
            streams,
            rights,
            cluster,
            stuck_lease,
            reading,
        })
    }

    fn print_table(&self, found: &Diagnosis, address: Option<&Address>) -> Result<(), Error> {
        let is_terminal = io::stdout().is_terminal();
        let width = if is_terminal { status::columns() } else { None };
        let shown = if self.verbose { found.clone() } else { found.with_silent_alerts_in_one() };
        let style = Style { has_colours: is_terminal && !wants_no_colour(), has_history: false, width };
        for line in diagnosis(&shown, style) {
            print(format_args!("{}\n", line.render(style)))?;
        }
        print(format_args!("{}\n", shown.summary))?;
        match self.advice(found, address) {
            Some(advice) => print(format_args!("\n{advice}\n")),
            None => Ok(()),
        }
    }

    fn print_json(&self, diagnosis: &Diagnosis, address: Option<&Address>) -> Result<(), Error> {
        let advice = self.advice(diagnosis, address);
        let address = address.map(ToString::to_string);
        let document = Document { schema_version: SCHEMA_VERSION, address, diagnosis, advice };
        let text =
            serde_json::to_string_pretty(&document).map_err(|error| Error::Other(error.to_string()))?;
        print(format_args!("{text}\n"))
    }

    /// How an administrator finds out what this user may not ask.
    fn advice(&self, diagnosis: &Diagnosis, address: Option<&Address>) -> Option<String> {
        let is_open = diagnosis.findings.iter().any(|finding| finding.permission.is_some());
        let address = address.filter(|_| is_open && self.user.is_none())?;
        let uri = address.written_for("ADMIN", "PASSWORD");
        let user = address.user().unwrap_or(DEFAULT_USER);
        Some(format!(
            "An administrator can find out what is unknown, once. The user of the sidecar needs no more permissions:\n\
             REDIS_URI='{uri}' streamwarden doctor --user {user}"
        ))
    }
}

/// The server that answers first: that of the address, else one of `redis.nodes` that is in cluster mode.
struct Asked {
    /// The node of `redis.nodes`, with the reason why the address does not answer.
    seed: Option<(NodeAddress, Failure)>,
    examiner: Examiner,
    facts: Facts,
}

/// # Errors
/// Why the address does not answer, and what each of `redis.nodes` is.
async fn ask(
    config: &Config,
    link: impl Fn() -> Link,
) -> Result<Asked, (Failure, Vec<(NodeAddress, SeedFacts)>)> {
    let mut examiner = Examiner::new(link());
    let failure = match examiner.facts(&config.redis).await {
        Ok(facts) => return Ok(Asked { seed: None, examiner, facts }),
        Err(failure) => failure,
    };
    let mut seeds = Vec::new();
    for seed in &config.redis.nodes {
        let mut examiner = Examiner::new(link().to_node(seed.clone()));
        let facts = match examiner.facts(&config.redis).await {
            Ok(facts) if facts.server.is_of_cluster() => {
                return Ok(Asked { seed: Some((seed.clone(), failure)), examiner, facts });
            }
            Ok(_) => SeedFacts::NoCluster,
            Err(failure) => SeedFacts::Failed(failure),
        };
        seeds.push((seed.clone(), facts));
    }
    Err((failure, seeds))
}

/// The streams of all primaries that expire.
///
/// # Errors
/// Why it is unknown for some.
fn expiring(cluster: &ClusterFacts) -> Result<BTreeMap<Name, Duration>, Failure> {
    let mut expiring = BTreeMap::new();
    for primary in &cluster.primaries {
        let rights = primary.rights.as_ref().map_err(Failure::clone)?;
        expiring.extend(rights.expiring.clone()?);
    }
    Ok(expiring)
}

async fn search(discovery: &mut Discovery, config: &Config) -> Result<Discovered, Failure> {
    let late =
        |_elapsed| Err(Failure::new(Reason::Timeout, format!("the search takes longer than {SEARCH:?}")));
    timeout(SEARCH, discovery.search(config)).await.unwrap_or_else(late)
}
