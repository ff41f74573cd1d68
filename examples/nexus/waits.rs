//! How long entries took, as the consumers themselves measure it: what a sidecar says can be compared with it.
//!
//! A page of metrics with a histogram of the time from an entry's ID to its delivery, and to its acknowledgement.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::topic::Topic;

/// Upper bounds of the buckets, in milliseconds.
const BOUNDS_MS: [u64; 15] =
    [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000];
/// A client that sends or reads nothing is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Histogram {
    /// Not cumulative. The last one has no bound.
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl Histogram {
    fn observe(&self, ms: u64) {
        let place = BOUNDS_MS.partition_point(|bound| *bound < ms);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_ms.fetch_add(ms, Relaxed);
    }

    fn write(&self, page: &mut String, name: &str, labels: &str) {
        let mut count = 0;
        let bounds = BOUNDS_MS.iter().map(|ms| seconds(*ms)).chain(["+Inf".to_owned()]);
        let mut line = |text: String| page.write_str(&text).expect("a String takes any text");
        for (bound, bucket) in bounds.zip(&self.buckets) {
            count += bucket.load(Relaxed);
            line(format!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n"));
        }
        line(format!("{name}_sum{{{labels}}} {}\n", seconds(self.sum_ms.load(Relaxed))));
        line(format!("{name}_count{{{labels}}} {count}\n"));
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// The histograms of all groups.
#[derive(Default)]
pub(crate) struct Waits {
    delivery: [Histogram; Topic::ALL.len()],
    handling: [Histogram; Topic::ALL.len()],
}

impl Waits {
    /// An entry with this ID was delivered now.
    pub(crate) fn delivered(&self, topic: Topic, id: &str) {
        observe(self.delivery.get(topic as usize), id);
    }

    /// An entry with this ID was acknowledged now.
    pub(crate) fn handled(&self, topic: Topic, id: &str) {
        observe(self.handling.get(topic as usize), id);
    }

    fn page(&self) -> String {
        let mut page = String::new();
        for (name, what, histograms) in [
            ("nexus_delivery_seconds", "Time from an entry's ID to its delivery.", &self.delivery),
            ("nexus_handling_seconds", "Time from an entry's ID to its acknowledgement.", &self.handling),
        ] {
            page += &format!("# HELP {name} {what}\n# TYPE {name} histogram\n");
            for (topic, histogram) in Topic::ALL.into_iter().zip(histograms) {
                let labels = format!("stream=\"{}\",group=\"{}\"", topic.stream(), topic.group());
                histogram.write(&mut page, name, &labels);
            }
        }
        page
    }
}

#[expect(clippy::disallowed_methods, reason = "the example has no clock of its own to ask")]
fn observe(histogram: Option<&Histogram>, id: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let added = id.split('-').next().and_then(|ms| ms.parse().ok());
    if let Some((histogram, added)) = histogram.zip(added) {
        let waited = now.saturating_sub(Duration::from_millis(added)).as_millis();
        histogram.observe(u64::try_from(waited).unwrap_or(u64::MAX));
    }
}

/// Serves the page at any path, until the program ends.
///
/// # Errors
/// The address can't be bound.
pub(crate) fn serve(address: SocketAddr, waits: Arc<Waits>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that is gone needs no answer.
            answer(client, &waits.page()).ok();
        }
    })?;
    Ok(())
}

fn answer(mut client: TcpStream, page: &str) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let _request = client.read(&mut [0; 4_096])?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    write!(client, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len())
}
