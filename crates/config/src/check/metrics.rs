//! What is counted for Prometheus, and where it is read.
//!
//! In: its raw form. Out: its plan. An address that other machines reach is allowed, with a warning.

use super::Check;
use crate::plan::MetricsPlan;
use crate::raw;

impl Check<'_, '_> {
    pub(super) fn metrics(&mut self, raw: raw::Metrics) -> MetricsPlan {
        let base = MetricsPlan::default();
        let listen = raw.prometheus_listen;
        let listen = listen.and_then(|it| self.listen(&it, "metrics.prometheus_listen"));
        let endpoint = raw.prometheus_endpoint.unwrap_or(base.endpoint);
        let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        if !endpoint.starts_with('/') || !endpoint.bytes().all(is_path) {
            let message = "`prometheus_endpoint` must be a path".to_owned();
            let path = "metrics.prometheus_endpoint";
            self.fault(
                path,
                "config::bad_value",
                message,
                "no path",
                "such as /metrics",
            );
        }
        let plan = MetricsPlan {
            enabled: raw.enabled.unwrap_or(base.enabled),
            endpoint,
            listen: listen.unwrap_or(base.listen),
        };
        if plan.enabled && !plan.listen.ip().is_loopback() {
            let message = "`metrics.prometheus_listen` tells other machines the names of providers and keys, and what they cost".to_owned();
            self.warn(
                message,
                "listen on 127.0.0.1, or let a firewall decide who asks",
            );
        }
        plan
    }
}
