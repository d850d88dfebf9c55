//! Calls of upstreams, the connections that they went over, and free questions to those in trouble.
//!
//! In: what was counted. Out: metrics.

use std::fmt;

use prometheus_client::metrics::MetricType;

use super::{Pen, Row, float};
use crate::record::Metrics;
use crate::scene::Scene;

impl Pen<'_> {
    pub(super) fn attempts(&mut self, metrics: &Metrics) -> fmt::Result {
        let labels = ["provider", "outcome"];
        let help = "Calls of upstreams: answered (ok), refused with an answer that the client got, or why they failed unseen";
        self.counters("attempts", help, labels, &metrics.attempts)?;
        let help = "How long calls of upstreams took";
        self.times("attempt_duration", help, labels, &metrics.attempt_durations)?;
        let help = "Times that a request went on from one upstream to another, or to another key of the same";
        self.counters("hops", help, ["from", "to", "reason"], &metrics.hops)?;
        let help = "Times that an upstream did not accept a key (401, 403)";
        self.counters(
            "key_rejected",
            help,
            ["provider", "key"],
            &metrics.key_rejected,
        )?;
        let help = "Connections that calls of upstreams went over: whether it was opened for another before, its HTTP version and that of TLS";
        let labels = ["provider", "reused", "protocol", "tls"];
        self.counters("upstream_connections", help, labels, &metrics.connections)?;
        let help = "How long TLS handshakes with upstreams took";
        self.times(
            "upstream_tls_handshake",
            help,
            ["provider"],
            &metrics.handshakes,
        )
    }

    /// Free questions to upstreams in trouble.
    pub(super) fn probes(&mut self, scene: &Scene) -> fmt::Result {
        let targets = scene.snapshot.targets.iter();
        let rows: Vec<Row<'_>> = targets
            .flat_map(|target| {
                let provider = ("provider", target.id.as_str());
                let counts = target.station.probes.counts();
                ["ok", "failed"]
                    .into_iter()
                    .zip(counts)
                    .map(move |(outcome, count)| {
                        (vec![provider, ("outcome", outcome)], float(count))
                    })
            })
            .collect();
        let help = "Free questions to providers in trouble, by whether they were answered well";
        self.rows("probe", help, None, MetricType::Counter, &rows)
    }
}
