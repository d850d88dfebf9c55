//! A plan written back as YAML, for `config show`.
//!
//! In: a plan. Out: every setting in force, defaults included, with credentials masked and each
//! duration in milliseconds, under the keys of the file. It must never write more of a credential
//! than its last four characters, and those only of a long one.

mod budget;
mod grpc;
mod provider;
mod routing;
mod traces;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use relay_core::secret::Secret;

use crate::plan::{
    AuthPlan, CredentialHeader, HistoryPlan, HttpVersion, KeyPlan, LoggingPlan, MetricsPlan, Plan,
    ProviderPlan, ServerPlan,
};

/// Lines of YAML at a depth.
struct Page {
    text: String,
}

/// Returns the configuration in force as YAML.
pub fn show(plan: &Plan) -> String {
    let mut page = Page {
        text: String::new(),
    };
    let source = plan
        .source
        .as_deref()
        .map_or("no file".to_owned(), |path| path.display().to_string());
    page.raw(0, &format!("# {} ({})", printable(&source), plan.digest));
    page.server(&plan.server);
    page.raw(0, "providers:");
    for provider in &plan.providers {
        page.provider(provider);
    }
    page.routing(&plan.routing);
    page.health(&plan.health);
    page.logging(&plan.logging);
    page.metrics(&plan.metrics);
    page.history(&plan.history);
    page.traces(&plan.traces);
    page.grpc(&plan.grpc);
    if let Some(file) = &plan.price_file {
        page.raw(0, "prices:");
        page.path(1, "list", file);
    }
    page.budgets(&plan.budgets);
    page.text
}

impl Page {
    fn raw(&mut self, depth: usize, line: &str) {
        let indent = depth.saturating_mul(2);
        // Writing to a String cannot fail.
        let _written = writeln!(self.text, "{:indent$}{line}", "");
    }

    fn set(&mut self, depth: usize, key: &str, value: impl std::fmt::Display) {
        self.raw(depth, &format!("{key}: {value}"));
    }

    fn text(&mut self, depth: usize, key: &str, value: &str) {
        self.raw(depth, &format!("{key}: {}", quoted(value)));
    }

    fn path(&mut self, depth: usize, key: &str, value: &Path) {
        self.text(depth, key, &value.display().to_string());
    }

    fn history(&mut self, plan: &HistoryPlan) {
        self.raw(0, "history:");
        self.set(1, "enabled", plan.enabled);
        if let Some(file) = &plan.file {
            self.path(1, "file", file);
        }
        self.set(1, "max_bytes", plan.max_bytes);
        self.set(1, "max_days", plan.max_age.as_secs() / 86_400);
        self.set(1, "requests", plan.requests);
        self.set(1, "bodies", plan.bodies);
        self.set(1, "max_body_bytes", plan.max_body_bytes);
    }

    fn metrics(&mut self, plan: &MetricsPlan) {
        self.raw(0, "metrics:");
        self.set(1, "enabled", plan.enabled);
        self.text(1, "prometheus_endpoint", &plan.endpoint);
        self.text(1, "prometheus_listen", &plan.listen.to_string());
    }

    fn server(&mut self, server: &ServerPlan) {
        self.raw(0, "server:");
        self.text(1, "listen", &server.listen.to_string());
        if let Some(tls) = &server.tls {
            self.raw(1, "tls:");
            self.path(2, "cert_file", &tls.cert_file);
            self.path(2, "key_file", &tls.key_file);
        }
        self.set(1, "enable_http2", server.enable_http2);
        if let Some(workers) = server.workers {
            self.set(1, "workers", workers);
        }
        self.set(1, "max_body_bytes", server.max_body_bytes);
        self.set(1, "max_passthrough_bytes", server.max_passthrough_bytes);
        self.set(1, "max_concurrent", server.max_concurrent);
        self.set(1, "max_connections", server.max_connections);
        self.set(1, "timeout_ms", ms(server.timeout));
        self.set(
            1,
            "stream_first_byte_timeout_ms",
            ms(server.stream_first_byte_timeout),
        );
        self.set(1, "stream_gap_timeout_ms", ms(server.stream_gap_timeout));
        self.set(1, "body_read_timeout_ms", ms(server.body_read_timeout));
        self.set(1, "drain_timeout_ms", ms(server.drain_timeout));
        self.auth(&server.auth);
    }

    fn auth(&mut self, auth: &AuthPlan) {
        self.raw(1, "auth:");
        self.set(2, "allow_bearer", auth.allow_bearer);
        self.set(2, "allow_subscription", auth.allow_subscription);
        self.set(
            2,
            "allow_unauthenticated_remote",
            auth.allow_unauthenticated_remote,
        );
        let named = |name: &str| name != "default" && name != "bearer";
        for key in auth.client_keys.iter().filter(|key| !named(&key.name)) {
            let place = match key.header {
                CredentialHeader::Any | CredentialHeader::ApiKey => "api_key",
                CredentialHeader::Bearer => "bearer_secret",
            };
            self.text(2, place, &masked(&key.secret));
        }
        let mut others = auth
            .client_keys
            .iter()
            .filter(|key| named(&key.name))
            .peekable();
        if others.peek().is_some() {
            self.raw(2, "keys:");
        }
        for key in others {
            self.text(3, "- name", &key.name);
            self.text(4, "key", &masked(&key.secret));
        }
    }

    fn provider(&mut self, provider: &ProviderPlan) {
        self.text(1, "- name", &provider.name);
        self.set(2, "type", provider.kind.as_str());
        self.set(2, "enabled", provider.enabled);
        self.text(2, "base_url", &provider.base_url);
        self.set(2, "priority", provider.priority);
        self.set(2, "weight", provider.weight);
        self.text(2, "vendor", &provider.vendor);
        if let Some(percent) = provider.price_percent {
            self.set(2, "price_percent", percent);
        }
        if let Some(bytes) = provider.max_body_bytes {
            self.set(2, "max_body_bytes", bytes);
        }
        self.list(2, "models", &provider.models);
        self.mapping(2, &provider.model_mapping);
        self.dialect(provider);
        self.pooling(provider.pooling);
        self.keys(&provider.keys);
        self.set(
            2,
            "accepts_client_credential",
            provider.accepts_client_credential,
        );
        if let Some(path) = &provider.ca_file {
            self.path(2, "ca_file", path);
        }
        self.text(2, "proxy", &provider.proxy.shown());
        self.set(2, "connect_timeout_ms", ms(provider.connect_timeout));
        let version = match provider.http_version {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "http1",
            HttpVersion::Http2 => "http2",
        };
        self.set(2, "http_version", version);
        self.set(2, "prewarm", provider.prewarm);
        self.set(2, "max_idle_connections", provider.max_idle_connections);
        self.set(2, "idle_timeout_ms", ms(provider.idle_timeout));
    }

    fn keys(&mut self, keys: &[KeyPlan]) {
        if !keys.is_empty() {
            self.raw(2, "keys:");
        }
        for key in keys {
            self.text(3, "- name", &key.name);
            self.text(4, "key", &masked(&key.secret));
            let limits = [
                ("rpm_limit", key.limits.rpm),
                ("tpm_limit", key.limits.tpm),
                ("itpm_limit", key.limits.itpm),
                ("otpm_limit", key.limits.otpm),
            ];
            for (name, limit) in limits {
                if let Some(limit) = limit {
                    self.set(4, name, limit);
                }
            }
            self.set(4, "weight", key.weight);
            self.set(4, "priority", key.priority);
        }
    }

    fn logging(&mut self, logging: &LoggingPlan) {
        self.raw(0, "logging:");
        self.set(1, "level", logging.level.as_str());
        self.set(1, "format", logging.format.as_str());
        if let Some(file) = &logging.file {
            self.raw(1, "file:");
            self.path(2, "path", &file.path);
            self.set(2, "max_bytes", file.max_bytes);
            self.set(2, "keep", file.keep);
        }
        let debug = &logging.debug_options;
        self.raw(1, "debug_options:");
        self.set(2, "log_headers", debug.log_headers);
        self.set(2, "log_bodies", debug.log_bodies);
        self.set(2, "max_body_log_bytes", debug.max_body_log_bytes);
        self.set(2, "log_connection", debug.log_connection);
    }
}

fn masked(secret: &Secret) -> String {
    secret
        .last_four()
        .map_or("(set)".to_owned(), |four| format!("…{four}"))
}

fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}

/// Writes a text as a YAML string. JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
