//! Metrics as text, and gauges that cannot be forgotten. Which series exist is each tier's own business.

use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{IntGauge, Registry, TextEncoder};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every series of the registry in Prometheus' text format, with one more label where it has none of that name. A label
/// without a value, which means the same as none, is left out.
pub fn render(registry: &Registry, label: Option<(&str, &str)>) -> String {
    let mut families = registry.gather();
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        let mut labels = metric.take_label();
        if let Some((name, value)) = label
            && labels.iter().all(|label| label.name() != name)
        {
            let mut more = LabelPair::default();
            more.set_name(name.to_owned());
            more.set_value(value.to_owned());
            let at = labels.partition_point(|label| label.name() < name);
            labels.insert(at, more);
        }
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
        let text = render(&registry, None);
        assert!(text.contains("hosts{group=\"app\"} 1\n"), "{text}");
        assert!(
            text.contains("hosts{group=\"app\",zone=\"a\"} 2\n"),
            "{text}"
        );
    }

    #[test]
    fn every_series_can_have_one_label_more() {
        let registry = Registry::new();
        let opts = prometheus::Opts::new("hosts", "Hosts");
        let hosts = prometheus::IntGaugeVec::new(opts, &["group", "zone"]).unwrap();
        let opts = prometheus::Opts::new("requests", "Requests");
        let requests = prometheus::IntGaugeVec::new(opts, &["area", "group"]).unwrap();
        let all = IntGauge::new("all", "All").unwrap();
        registry.register(Box::new(hosts.clone())).unwrap();
        registry.register(Box::new(requests.clone())).unwrap();
        registry.register(Box::new(all)).unwrap();
        hosts.with_label_values(&["app", "a"]).set(1);
        hosts.with_label_values(&["app", ""]).set(2);
        requests.with_label_values(&["x", "app"]).set(3);
        let text = render(&registry, Some(("zone", "b")));
        for line in [
            "all{zone=\"b\"} 0",
            "hosts{group=\"app\",zone=\"a\"} 1",
            "hosts{group=\"app\"} 2",
            "requests{area=\"x\",group=\"app\",zone=\"b\"} 3",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
    }

    #[test]
    fn a_guard_gives_back_what_it_took() {
        let gauge = IntGauge::new("connections", "Open connections").unwrap();
        let registry = Registry::new();
        registry.register(Box::new(gauge.clone())).unwrap();
        let guard = GaugeGuard::new(&gauge);
        assert!(render(&registry, None).contains("\nconnections 1\n"));
        drop(guard);
        assert_eq!(gauge.get(), 0);
    }
}
