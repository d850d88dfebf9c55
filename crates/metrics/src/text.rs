//! The page that Prometheus reads.
//!
//! In: what was counted, and the state of everything. Out: text in the `OpenMetrics` format
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), each metric with its help and unit.

mod attempts;
mod budgets;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use relay_core::breaker::{BreakerState, Health};
use relay_core::keys::KeyState;

use crate::family::{Counter, Family, Histogram, OVERHEAD, SECONDS};
use crate::record::Metrics;
use crate::scene::Scene;

/// The content type of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What stands before the name of each metric.
const PREFIX: &str = "ccrelay";

/// Labels of an exemplar, of which there are none.
type NoLabels = [(&'static str, &'static str); 0];

/// Writes the page.
///
/// # Errors
/// Never, as long as a `String` takes what is written.
pub fn render(metrics: &Arc<Metrics>, scene: Scene) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Page {
        metrics: Arc::clone(metrics),
        scene,
    }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Page {
    metrics: Arc<Metrics>,
    scene: Scene,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut pen = Pen(encoder);
        pen.requests(&self.metrics)?;
        pen.attempts(&self.metrics)?;
        pen.probes(&self.scene)?;
        pen.money(&self.metrics)?;
        pen.state(&self.scene)?;
        pen.providers(&self.scene)?;
        pen.keys(&self.scene)?;
        pen.budgets(&self.scene)
    }
}

struct Pen<'a>(DescriptorEncoder<'a>);

/// One value with its labels.
type Row<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Pen<'_> {
    fn requests(&mut self, metrics: &Metrics) -> fmt::Result {
        let labels = ["provider", "model", "status_class"];
        let help = "Requests that have ended, by the class of the status that the client got";
        self.counters("requests", help, labels, &metrics.requests)?;
        let labels = ["provider", "model"];
        let help = "From a request's first byte to the last byte of its answer";
        self.times("request_duration", help, labels, &metrics.durations)?;
        let help = "From a request's last byte to the first event or byte of the answer";
        self.times("time_to_first_event", help, labels, &metrics.first_events)?;
        let help = "The longest silence within an answer";
        self.times("stream_gap", help, ["provider"], &metrics.gaps)?;
        let help = "The relay's own time before a request is sent on";
        let mut encoder = self.0.encode_descriptor(
            "overhead",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        histogram(&mut encoder, &OVERHEAD, &metrics.overhead)?;
        let help = "Clients that left before the end";
        let labels = ["provider", "phase"];
        self.counters("client_cancelled", help, labels, &metrics.cancelled)?;
        let help = "Answers that broke off after their first event";
        self.counters(
            "stream_broken",
            help,
            ["provider", "reason"],
            &metrics.broken,
        )?;
        let help = "Requests that no upstream answered";
        self.counters("exhausted", help, ["reason"], &metrics.exhausted)?;
        let help = "Bytes of request bodies, and of response bodies that were passed on";
        let labels = ["provider", "direction"];
        let unit = Some(&Unit::Bytes);
        self.counters_in("transferred", help, unit, labels, (&metrics.bytes, 1.0))?;
        let help = "What became of the homes of sessions: bound, renewed, borrowed, moved";
        self.counters("affinity", help, ["provider", "change"], &metrics.affinity)?;
        let help = "Betas and fields that were left out because an upstream cannot take them";
        self.counters(
            "capabilities_left_out",
            help,
            ["provider"],
            &metrics.left_out,
        )
    }

    fn money(&mut self, metrics: &Metrics) -> fmt::Result {
        let help = "Tokens: fresh input, read from and written to the prompt cache, output";
        let labels = ["provider", "model", "type"];
        self.counters("tokens", help, labels, &metrics.tokens)?;
        let labels = ["provider", "model"];
        let help = "What requests cost in US dollars, by the price list";
        self.counters_in("cost_usd", help, None, labels, (&metrics.cost, 1e9))?;
        let help = "What reading from prompt caches saved in US dollars, against fresh input";
        self.counters_in("cache_saved_usd", help, None, labels, (&metrics.saved, 1e9))?;
        let help = "Requests whose model has no known price";
        self.counters("unpriced_requests", help, labels, &metrics.unpriced)
    }

    fn state(&mut self, scene: &Scene) -> fmt::Result {
        let only = |value: f64| vec![(Vec::new(), value)];
        let size = |count: usize| u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
        self.gauges(
            "requests_live",
            "Requests under way",
            None,
            &only(size(scene.live)),
        )?;
        let help = "Client connections open";
        self.gauges(
            "client_connections",
            help,
            None,
            &only(size(scene.connections)),
        )?;
        let help = "Sessions whose home is known";
        self.gauges("sessions_active", help, None, &only(size(scene.sessions)))?;
        let help = "Requests that wait for capacity";
        self.gauges("requests_waiting", help, None, &only(size(scene.waiting)))?;
        let (accepted, refused) = scene.reloads;
        let help = "Changes of the configuration while the relay runs";
        let outcomes = [("accepted", accepted), ("refused", refused)];
        let rows = outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], float(count)));
        self.rows("config_reload", help, None, MetricType::Counter, &rows)?;
        let help = "Whether the last change was put in force (1), or refused (0)";
        let good = f64::from(u8::from(!scene.reload_refused));
        self.gauges("config_last_reload_successful", help, None, &only(good))?;
        let help = "When a configuration was last put in force while the relay runs; 0 for never";
        let at = only(scene.reloaded_at.as_secs_f64());
        let name = "config_last_reload_success_timestamp";
        self.gauges(name, help, Some(&Unit::Seconds), &at)?;
        let help = "Lines that the log had no room for";
        let rows = [(vec![("sink", "log")], float(scene.log_dropped))];
        self.rows("log_dropped", help, None, MetricType::Counter, &rows)?;
        if let Some((sent, dropped)) = scene.traces {
            let help = "Traced requests whose spans the collector took, or that were dropped";
            let rows = [
                (vec![("outcome", "sent")], float(sent)),
                (vec![("outcome", "dropped")], float(dropped)),
            ];
            self.rows("traces", help, None, MetricType::Counter, &rows)?;
        }
        let rows = [(vec![("version", scene.version)], 1.0)];
        self.gauges("build_info", "The program", None, &rows)
    }

    fn providers(&mut self, scene: &Scene) -> fmt::Result {
        let (mut up, mut states, mut breakers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut in_flight, mut tokens) = (Vec::new(), Vec::new());
        for target in &scene.snapshot.targets {
            let provider = ("provider", target.id.as_str());
            let station = &target.station;
            let health = station.health(scene.now);
            up.push((vec![provider], flag(health != Health::Down)));
            for known in [Health::Healthy, Health::Degraded, Health::Down] {
                let labels = vec![provider, ("state", known.name())];
                states.push((labels, flag(health == known)));
            }
            let breaker = match station.breaker.state(scene.now) {
                BreakerState::Closed => "closed",
                BreakerState::Open { .. } => "open",
                BreakerState::HalfOpen => "half_open",
            };
            for known in ["closed", "open", "half_open"] {
                breakers.push((vec![provider, ("state", known)], flag(breaker == known)));
            }
            let keys = station.keys.states(scene.now);
            let requests = keys.iter().map(|key| key.in_flight).sum();
            in_flight.push((vec![provider], float(requests)));
            tokens.push((vec![provider], float(station.in_flight_tokens())));
        }
        let help = "Whether a provider may be chosen (1) or is down (0)";
        self.gauges("provider_up", help, None, &up)?;
        self.gauges("provider_state", "How well a provider does", None, &states)?;
        self.gauges(
            "circuit_state",
            "Where a provider's breaker stands",
            None,
            &breakers,
        )?;
        let help = "Requests under way with the relay's keys";
        self.gauges("requests_in_flight", help, None, &in_flight)?;
        let help = "Estimated tokens of the requests under way";
        self.gauges("tokens_in_flight", help, None, &tokens)
    }

    fn keys(&mut self, scene: &Scene) -> fmt::Result {
        let states: Vec<(&str, Vec<KeyState>)> = scene
            .snapshot
            .targets
            .iter()
            .map(|it| (it.id.as_str(), it.station.keys.states(scene.now)))
            .collect();
        let each = |of: &dyn Fn(&KeyState) -> Option<f64>| {
            let mut rows = Vec::new();
            for (provider, keys) in &states {
                for key in keys {
                    let labels = vec![("provider", *provider), ("key", &*key.name)];
                    rows.extend(of(key).map(|value| (labels, value)));
                }
            }
            rows
        };
        let cools = |key: &KeyState| key.parked_until.map(|until| until.since(scene.now));
        let rows = each(&|key| Some(cools(key).map_or(0.0, |left| left.as_secs_f64())));
        let help = "How long a key is left alone";
        self.gauges("key_cooldown", help, Some(&Unit::Seconds), &rows)?;
        let rows = each(&|key| key.expires.map(|at| at.as_secs_f64()));
        let help = "When a credential that was issued for a time ends, since the Unix epoch";
        let unit = Unit::Seconds;
        self.gauges("credential_expiry_timestamp", help, Some(&unit), &rows)?;
        let rows = each(&|key| Some(f64::from(key.capacity_percent) / 100.0));
        let help = "What is left of a key's tightest limit";
        self.gauges("key_capacity", help, Some(&Unit::Ratios), &rows)?;
        let help = "Requests of the last minute, where the file limits them";
        let rows = each(&|key| key.used.rpm.map(float));
        self.gauges("key_rpm_used", help, None, &rows)?;
        let rows = each(&|key| key.limits.rpm.map(float));
        self.gauges(
            "key_rpm_limit",
            "Requests a minute by the file",
            None,
            &rows,
        )?;
        let help = "Tokens of the last minute, where the file limits them";
        let rows = each(&|key| key.used.tpm.map(float));
        self.gauges("key_tpm_used", help, None, &rows)?;
        let rows = each(&|key| key.limits.tpm.map(float));
        self.gauges("key_tpm_limit", "Tokens a minute by the file", None, &rows)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        family: &Family<N, Counter>,
    ) -> fmt::Result {
        self.counters_in(name, help, None, labels, (family, 1.0))
    }

    /// Writes counters in another unit than they were counted in.
    fn counters_in<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        labels: [&'static str; N],
        (family, divisor): (&Family<N, Counter>, f64),
    ) -> fmt::Result {
        let all = family.all();
        let rows: Vec<Row<'_>> = all
            .iter()
            .map(|(values, counter)| (named(labels, values), float(counter.get()) / divisor))
            .collect();
        self.rows(name, help, unit, MetricType::Counter, &rows)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: &[Row<'_>],
    ) -> fmt::Result {
        self.rows(name, help, unit, MetricType::Gauge, rows)
    }

    fn rows(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        rows: &[Row<'_>],
    ) -> fmt::Result {
        let is_counter = matches!(kind, MetricType::Counter);
        let mut encoder = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in rows {
            let put = |row: &mut MetricEncoder<'_>| {
                if is_counter {
                    row.encode_counter(value, None::<&Exemplar<NoLabels, f64>>)
                } else {
                    row.encode_gauge(value)
                }
            };
            if labels.is_empty() {
                put(&mut encoder)?;
            } else {
                put(&mut encoder.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    fn times<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        family: &Family<N, Histogram<{ SECONDS.len() }>>,
    ) -> fmt::Result {
        let unit = Some(&Unit::Seconds);
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Histogram)?;
        for (values, times) in family.all() {
            let labels = named(labels, &values);
            let mut row = encoder.encode_family(&labels)?;
            histogram(&mut row, &SECONDS, &times)?;
        }
        Ok(())
    }
}

fn histogram<const B: usize>(
    encoder: &mut MetricEncoder<'_>,
    ends: &[f64; B],
    histogram: &Histogram<B>,
) -> fmt::Result {
    let (sum, buckets) = histogram.get(ends);
    let count = buckets.iter().map(|(_, count)| count).sum();
    let exemplars: Option<&HashMap<usize, Exemplar<NoLabels, f64>>> = None;
    encoder.encode_histogram(sum, count, &buckets, exemplars)
}

fn named<'a, const N: usize>(
    names: [&'static str; N],
    values: &'a [Arc<str>; N],
) -> Vec<(&'static str, &'a str)> {
    let values = values.iter().map(|value| &**value);
    names.into_iter().zip(values).collect()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[expect(clippy::cast_precision_loss, reason = "shown, not computed with")]
fn float(count: u64) -> f64 {
    count as f64
}
