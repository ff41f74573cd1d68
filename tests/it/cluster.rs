//! Redis Cluster on real servers: what is seen of it, from any node's address, while slots move and nodes fail.

pub(crate) mod chaos;
mod failures;
mod harness;
mod late;
mod moves;
mod nodes;
mod polls;
mod seeds;
mod seen;
mod trims;

use std::thread::scope;

use redis::cmd;

use support::{Cluster, Page, Sidecar, wait_for};

/// So many streams are on each of three primaries.
const STREAMS: usize = 30;
const GROUP: &str = "g";
/// Entries that the group was given of each stream, and has not acknowledged.
const PENDING: usize = 4;

fn names() -> Vec<String> {
    (0..STREAMS).map(|index| format!("s{index}")).collect()
}

/// Entries of a stream at the beginning: no two streams have as many.
fn length(index: usize) -> usize {
    10 + index
}

/// A number as a page has it.
fn float(number: usize) -> f64 {
    u32::try_from(number).unwrap().into()
}

/// Fills the streams, and has a group read the first entries of each.
pub(crate) fn fill(cluster: &Cluster) {
    let mut client = cluster.client();
    for (index, stream) in names().iter().enumerate() {
        let mut query =
            |words: String| client.query::<redis::Value>(stream, &support::command(&words)).unwrap();
        query(format!("XGROUP CREATE {stream} {GROUP} 0 MKSTREAM"));
        (0..length(index)).for_each(|_| drop(query(format!("XADD {stream} * f v"))));
        query(format!("XREADGROUP GROUP {GROUP} c COUNT {PENDING} STREAMS {stream} >"));
    }
    cluster.wait_until_copied();
}

/// A cluster with the streams, and a sidecar that was given the address of its first node.
pub(crate) fn filled(cluster: Cluster) -> (Cluster, Sidecar) {
    fill(&cluster);
    let sidecar = Sidecar::start(cluster.node(0));
    sidecar.wait("all streams", is_all_read);
    (cluster, sidecar)
}

/// Whether all numbers of a stream are on the page, and right.
fn is_read(page: &Page, index: usize) -> bool {
    let stream = format!("s{index}");
    let numbers = (
        page.stream("length", &stream),
        page.group("lag", &stream, GROUP),
        page.group("pending", &stream, GROUP),
    );
    numbers == (Some(float(length(index))), Some(float(length(index) - PENDING)), Some(float(PENDING)))
}

pub(crate) fn is_all_read(page: &Page) -> bool {
    (0..STREAMS).all(|index| is_read(page, index))
}

/// Why a stream could not be read at the last poll.
fn unreadable(page: &Page, stream: &str) -> Option<String> {
    let series = page.samples().keys().find(|(family, labels)| {
        family == "streamwarden_stream_unreadable" && labels.get("stream").is_some_and(|it| it == stream)
    });
    series.and_then(|(_, labels)| labels.get("reason").cloned())
}

/// Fails where a page says what did not happen: that a stream is missing, was recreated, lost entries, or was rewound, or
/// a number that is wrong.
#[track_caller]
pub(crate) fn nothing_is_wrong(page: &Page) {
    for index in 0..STREAMS {
        let stream = format!("s{index}");
        let is = |what: &str, value: Option<f64>, right: f64| {
            assert!(
                value.is_none_or(|value| value == right),
                "{what} of {stream} is {value:?} and not {right}"
            );
        };
        is("present", page.stream("present", &stream), 1.0);
        is("length", page.stream("length", &stream), float(length(index)));
        is("recreations", page.stream("recreations_total", &stream), 0.0);
        is("groups", page.stream("groups", &stream), 1.0);
        is("lag", page.group("lag", &stream, GROUP), float(length(index) - PENDING));
        is("pending", page.group("pending", &stream, GROUP), float(PENDING));
        is("losses", page.group("entries_lost_total", &stream, GROUP), 0.0);
        is("possible losses", page.group("entries_suspected_lost", &stream, GROUP), 0.0);
        is("rewinds", page.group("rewinds_total", &stream, GROUP), 0.0);
    }
}

/// Does something, and looks at all pages meanwhile.
pub(crate) fn watched<T: Send>(sidecar: &Sidecar, look: impl Fn(&Page), act: impl FnOnce() -> T + Send) -> T {
    scope(|scope| {
        let acting = scope.spawn(act);
        while !acting.is_finished() {
            look(&sidecar.scrape());
        }
        acting.join().unwrap()
    })
}

/// Adds an entry where nobody expects one, and waits until the page has it.
#[track_caller]
pub(crate) fn follows(cluster: &Cluster, sidecar: &Sidecar, stream: &str) {
    let length = || cluster.run::<u32>(stream, &format!("XLEN {stream}"));
    let mut add = cmd("XADD");
    cluster.client().query::<()>(stream, add.arg(stream).arg("*").arg("f").arg("v")).unwrap();
    let now = f64::from(length());
    wait_for("an entry that was added", || {
        (sidecar.scrape().stream("length", stream) == Some(now)).then_some(())
    });
}
