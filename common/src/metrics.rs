//! Metrics as text, and gauges that cannot be forgotten. Which series exist is each tier's own business.

use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry, TextEncoder};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every series of the registry in Prometheus' text format. A label without a value, which means the same as none, is left
/// out.
pub fn render(registry: &Registry) -> String {
    let mut families = registry.gather();
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        let mut labels = metric.take_label();
        labels.retain(|label| !label.value().is_empty());
        metric.set_label(labels);
    }
    TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_else(|error| {
            // Only a series of inconsistent labels could do this; the rest of the process is well.
            tracing::error!(%error, "metrics could not be written");
            String::new()
        })
}

/// Raises a gauge for as long as it lives, however its holder ends.
#[derive(Debug)]
pub struct GaugeGuard(IntGauge);

impl GaugeGuard {
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_value_is_left_out() {
        let opts = prometheus::Opts::new("hosts", "Hosts");
        let gauges = prometheus::IntGaugeVec::new(opts, &["group", "zone"]).unwrap();
        let registry = Registry::new();
        registry.register(Box::new(gauges.clone())).unwrap();
        gauges.with_label_values(&["app", ""]).set(1);
        gauges.with_label_values(&["app", "a"]).set(2);
        let text = render(&registry);
        assert!(text.contains("hosts{group=\"app\"} 1\n"), "{text}");
        assert!(
            text.contains("hosts{group=\"app\",zone=\"a\"} 2\n"),
            "{text}"
        );
    }

    #[test]
    fn a_guard_gives_back_what_it_took() {
        let gauge = IntGauge::new("connections", "Open connections").unwrap();
        let registry = Registry::new();
        registry.register(Box::new(gauge.clone())).unwrap();
        let guard = GaugeGuard::new(&gauge);
        assert!(render(&registry).contains("\nconnections 1\n"));
        drop(guard);
        assert_eq!(gauge.get(), 0);
    }
}
