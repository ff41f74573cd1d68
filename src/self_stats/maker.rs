//! Creates and registers the sidecar's own metrics, named as in the table of families.

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// The reason why creating and registering never fails.
pub(super) const VALID: &str = "the table's names are valid and unique";

/// The page takes the help text from the table of families, so the name stands in for it here.
pub(super) fn options(name: &str) -> Opts {
    Opts::new(name, name)
}

/// Creates metrics and registers them.
pub(super) struct Maker(pub(super) Registry);

impl Maker {
    pub(super) fn register<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.0.register(Box::new(collector.clone())).expect(VALID);
        collector
    }

    pub(super) fn counter(&self, name: &str) -> IntCounter {
        self.register(IntCounter::with_opts(options(name)).expect(VALID))
    }

    pub(super) fn counters(&self, name: &str, label: &str, values: &[&str]) -> IntCounterVec {
        let counters = self.register(IntCounterVec::new(options(name), &[label]).expect(VALID));
        for value in values {
            counters.with_label_values(&[value]);
        }
        counters
    }

    pub(super) fn integer(&self, name: &str) -> IntGauge {
        self.register(IntGauge::with_opts(options(name)).expect(VALID))
    }

    /// Without a series until a value of the label is used.
    pub(super) fn integers(&self, name: &str, label: &str) -> IntGaugeVec {
        self.register(IntGaugeVec::new(options(name), &[label]).expect(VALID))
    }

    pub(super) fn gauge(&self, name: &str) -> Gauge {
        self.register(Gauge::with_opts(options(name)).expect(VALID))
    }

    pub(super) fn histogram(&self, name: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::from(options(name)).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options).expect(VALID))
    }

    /// Without a series until a value of the label is used.
    pub(super) fn histograms(&self, name: &str, label: &str, buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::from(options(name)).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, &[label]).expect(VALID))
    }
}
