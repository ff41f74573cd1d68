//! The process's own resource use, from Linux's `/proc`.
//!
//! The collector of the prometheus crate rounds the CPU time to whole seconds, and a sidecar uses a second in hours.
//! It also reads constant values again for each page.

use procfs::process::{LimitValue, Process};
use prometheus::{
    Counter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::maker::{VALID, options};

/// Metrics of the process. What `/proc` does not report has no sample.
pub(super) struct ProcessStats {
    process: Process,
    processor: Counter,
    open_files: IntGauge,
    resident: IntGauge,
    size: IntGauge,
    threads: IntGauge,
    /// Values that never change.
    fixed: Vec<IntGauge>,
}

impl ProcessStats {
    /// Metrics of this process; `None` where there is no `/proc`.
    pub(super) fn own() -> Option<Self> {
        let process = Process::myself().ok()?;
        let gauge = |name| IntGauge::with_opts(options(name)).expect(VALID);
        let fixed =
            [("process_max_fds", most_files(&process)), ("process_start_time_seconds", started(&process))];
        let fixed = fixed.into_iter().filter_map(|(name, value)| {
            let gauge = gauge(name);
            gauge.set(value?);
            Some(gauge)
        });
        Some(Self {
            processor: Counter::with_opts(options("process_cpu_seconds_total")).expect(VALID),
            open_files: gauge("process_open_fds"),
            resident: gauge("process_resident_memory_bytes"),
            size: gauge("process_virtual_memory_bytes"),
            threads: gauge("process_threads"),
            fixed: fixed.collect(),
            process,
        })
    }

    fn collectors(&self) -> impl Iterator<Item = &dyn Collector> {
        let changing: [&dyn Collector; 5] =
            [&self.processor, &self.open_files, &self.resident, &self.size, &self.threads];
        changing.into_iter().chain(self.fixed.iter().map(|gauge| gauge as &dyn Collector))
    }
}

impl Collector for ProcessStats {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (Ok(stat), Ok(files)) = (self.process.stat(), self.process.fd_count()) else {
            return Vec::new();
        };
        let hundredths = u32::try_from((stat.utime + stat.stime) * 100 / procfs::ticks_per_second());
        let seconds = f64::from(hundredths.unwrap_or(u32::MAX)) / 100.0;
        self.processor.inc_by((seconds - self.processor.get()).max(0.0));
        self.open_files.set(whole(files));
        self.resident.set(whole(stat.rss * procfs::page_size()));
        self.size.set(whole(stat.vsize));
        self.threads.set(stat.num_threads);
        self.collectors().flat_map(Collector::collect).collect()
    }
}

fn most_files(process: &Process) -> Option<i64> {
    match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(whole(most)),
        LimitValue::Unlimited => None,
    }
}

/// Start time in seconds since the Unix epoch.
fn started(process: &Process) -> Option<i64> {
    let since_boot = process.stat().ok()?.starttime / procfs::ticks_per_second();
    Some(whole(procfs::boot_time_secs().ok()? + since_boot))
}

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{clock, views::FAMILIES};

    #[test]
    fn all_process_metrics_of_the_table_have_values() {
        let until = clock::now() + Duration::from_millis(50);
        while clock::now() < until {}
        let actual = ProcessStats::own().unwrap().collect();
        let value = |family: &MetricFamily| {
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        let actual: BTreeMap<&str, f64> =
            actual.iter().map(|family| (family.name(), value(family))).collect();
        let named = FAMILIES.iter().map(|family| family.name).filter(|name| name.starts_with("process_"));
        assert!(named.eq(actual.keys().copied()), "{actual:?}");
        assert!(actual.values().all(|value| *value > 0.0), "{actual:?}");
        // In seconds of all processors: not more than there were.
        let up = clock::unix_time().as_secs_f64() - actual["process_start_time_seconds"] + 1.0;
        let processors = std::thread::available_parallelism().unwrap().get();
        let most = up * f64::from(u32::try_from(processors).unwrap());
        assert!(actual["process_cpu_seconds_total"] <= most, "{most}: {actual:?}");
    }
}
