//! The providers of a file.
//!
//! In: their raw form. Out: their plans. It must never let two providers share a name.

use std::collections::BTreeSet;

use super::{Check, address, millis, signed, size, small};
use crate::mask;
use crate::plan::{HttpVersion, KeyPlace, ProviderKind, ProviderPlan, ProxyPlan, VersionPlan};
use crate::raw;
use crate::walk::nearest;

impl Check<'_, '_> {
    pub(super) fn providers(&mut self, raw: Vec<raw::Provider>) -> Vec<ProviderPlan> {
        let mut names = BTreeSet::new();
        let mut plans = Vec::new();
        let mut enabled = false;
        for (index, provider) in raw.into_iter().enumerate() {
            let path = format!("providers[{index}]");
            // An entry that is no section at all has its fault already.
            let at_fault = self
                .walk
                .faults
                .iter()
                .any(|fault| fault.path == path && fault.code == "config::wrong_type");
            enabled |= provider.enabled.unwrap_or(true) || self.faulty(&format!("{path}.enabled"));
            if !at_fault {
                plans.push(self.provider(provider, &path, &mut names));
            }
        }
        if !enabled && !self.faulty("providers") {
            let message = "no provider is enabled".to_owned();
            let help = "enable one, or remove `providers` to pass everything on to Anthropic";
            self.fault(
                "providers",
                "config::no_provider",
                message,
                "none enabled",
                help,
            );
        }
        plans
    }

    fn provider(
        &mut self,
        mut raw: raw::Provider,
        path: &str,
        names: &mut BTreeSet<String>,
    ) -> ProviderPlan {
        let base = ProviderPlan::anthropic();
        let name = self.name(raw.name.take(), &format!("{path}.name"), names);
        let kind = raw.kind.map(kind);
        if kind.is_none() {
            self.needed(None, &format!("{path}.type"), "such as `type: anthropic`");
        }
        let kind = kind.unwrap_or(base.kind);
        let cloud = self.cloud(&mut raw, kind, path);
        let version = self.version(raw.anthropic_version.take(), path);
        self.key_header(&raw, kind, path);
        let base_url = self.place(raw.base_url.take(), cloud.base_url, kind, path);
        let (prewarm, idle) = self.connections(&raw, &base, path);
        let takes_own = self.takes_own(&raw, kind, path);
        ProviderPlan {
            name: name.unwrap_or_default(),
            kind,
            enabled: raw.enabled.unwrap_or(base.enabled),
            base_url,
            pooling: self.pooling(&raw.pooling, &raw.keys, path),
            keys: self.keys(raw.keys, path),
            priority: raw.priority.map_or(base.priority, signed),
            weight: raw.weight.map_or(base.weight, small),
            vendor: self
                .vendor(raw.vendor, path)
                .unwrap_or_else(|| kind.vendor().to_owned()),
            price_percent: raw.price_percent.map(small),
            models: self.patterns(raw.models, &format!("{path}.models")),
            max_body_bytes: raw.max_body_bytes.map(size).or(kind.max_body_bytes()),
            model_mapping: self.mapping(raw.model_mapping, &format!("{path}.model_mapping")),
            model_prefix: raw.model_prefix,
            key_place: raw.key_header.map(|place| match place {
                raw::KeyHeader::ApiKey => KeyPlace::ApiKey,
                raw::KeyHeader::Bearer => KeyPlace::Bearer,
            }),
            version,
            counts_tokens: raw.count_tokens.map(|it| it == raw::CountTokens::Native),
            cloud: cloud.plan,
            accepts_client_credential: takes_own,
            ca_file: self.file(raw.ca_file, &format!("{path}.ca_file")),
            proxy: raw.proxy.map_or(base.proxy, |text| self.proxy(&text, path)),
            connect_timeout: millis(raw.connect_timeout_ms, base.connect_timeout),
            http_version: raw.http_version.map_or(base.http_version, http),
            prewarm,
            max_idle_connections: idle,
            idle_timeout: millis(raw.idle_timeout_ms, base.idle_timeout),
        }
    }

    fn name(
        &mut self,
        name: Option<String>,
        path: &str,
        names: &mut BTreeSet<String>,
    ) -> Option<String> {
        let name = self.needed(name, path, "the name stands in logs and commands")?;
        let name = self.plain(name, path, "choose a short plain name")?;
        self.unique(names, &name, path, "provider");
        if !self.referenced(path) && mask::word(&name).contains(&name) {
            self.said.push(name.clone());
        }
        Some(name)
    }

    fn vendor(&mut self, vendor: Option<String>, path: &str) -> Option<String> {
        let vendor = vendor?;
        let path = format!("{path}.vendor");
        let vendor = self.needed(Some(vendor), &path, "such as `vendor: anthropic`")?;
        let help = "the same word for every provider that serves this vendor's models";
        self.plain(vendor, &path, help)
    }

    /// Faults a name that is not short and plain.
    pub(super) fn plain(&mut self, name: String, path: &str, help: &str) -> Option<String> {
        if plain(&name) {
            return Some(name);
        }
        let (_, key) = path.rsplit_once('.').unwrap_or(("", path));
        let message = format!("`{key}` must be 1 to 64 letters, digits, `-`, `_` or `.`");
        self.fault(path, "config::bad_name", message, "not a plain name", help);
        None
    }

    /// Returns how many connections are opened beforehand, and how many are kept.
    fn connections(
        &mut self,
        raw: &raw::Provider,
        base: &ProviderPlan,
        path: &str,
    ) -> (usize, usize) {
        let idle = raw
            .max_idle_connections
            .map_or(base.max_idle_connections, size);
        let prewarm = raw.prewarm.map_or(base.prewarm.min(idle), size);
        if prewarm > idle {
            let message = "`prewarm` is more than `max_idle_connections`".to_owned();
            let path = format!("{path}.prewarm");
            let help = "open at most as many as are kept";
            let label = "they would be closed at once";
            self.fault(&path, "config::conflict", message, label, help);
        }
        (prewarm, idle)
    }

    /// Tells whether the client's own credential may go there. Somebody's has to.
    fn takes_own(&mut self, raw: &raw::Provider, kind: ProviderKind, path: &str) -> bool {
        let default = kind == ProviderKind::Anthropic;
        let takes_own = raw.accepts_client_credential.unwrap_or(default);
        if raw.keys.is_empty() && kind.needs_keys() && !takes_own {
            let help = "add `keys`, each written as ${NAME}";
            self.needed(None, &format!("{path}.keys"), help);
        }
        takes_own
    }

    /// Returns where an upstream is: as written, or as its kind and its cloud say.
    fn place(
        &mut self,
        written: Option<String>,
        usual: Option<String>,
        kind: ProviderKind,
        path: &str,
    ) -> String {
        let url = if let Some(url) = written {
            self.base_url(&url, path)
        } else {
            if usual.is_none() && kind == ProviderKind::Custom {
                let help = "where it is, such as http://127.0.0.1:8000";
                self.needed(None, &format!("{path}.base_url"), help);
            }
            usual
        };
        url.unwrap_or_else(|| ProviderPlan::anthropic().base_url)
    }

    /// Faults a place for keys where there is but one.
    fn key_header(&mut self, raw: &raw::Provider, kind: ProviderKind, path: &str) {
        let invokes = kind == ProviderKind::Bedrock && raw.runtime != Some(raw::Runtime::Mantle);
        if raw.key_header.is_some() && (invokes || kind == ProviderKind::Vertex) {
            let at = format!("{path}.key_header");
            let message = format!("`key_header` means nothing to type {}", kind.as_str());
            let help = "remove it";
            self.fault(
                &at,
                "config::conflict",
                message,
                "a key is a bearer there",
                help,
            );
        }
    }

    fn version(&mut self, text: Option<String>, path: &str) -> Option<VersionPlan> {
        let text = text?;
        let is_date = text.len() == 10
            && text.split('-').map(str::len).eq([4, 2, 2])
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-');
        if text == "pass" || is_date {
            return Some(if is_date {
                VersionPlan::Is(text)
            } else {
                VersionPlan::Pass
            });
        }
        let path = format!("{path}.anthropic_version");
        let message = "`anthropic_version` must be a date or `pass`".to_owned();
        let help = "such as 2023-06-01";
        self.fault(&path, "config::bad_value", message, "neither", help);
        None
    }

    fn base_url(&mut self, text: &str, path: &str) -> Option<String> {
        self.base_url_at(text, &format!("{path}.base_url"))
    }

    /// Reads the address of an upstream that stands at this place.
    pub(super) fn base_url_at(&mut self, text: &str, at: &str) -> Option<String> {
        match address::base_url(text) {
            Ok(url) => {
                if url.in_the_clear {
                    let message = format!("`{at}` sends credentials in the clear");
                    self.warn(message, "use https://");
                }
                Some(url.text)
            }
            Err(why) => {
                let help = "such as https://api.anthropic.com";
                let name = at.rsplit('.').next().unwrap_or(at);
                let message = format!("`{name}` must be a plain http or https URL");
                self.fault(at, "config::bad_url", message, why, help);
                None
            }
        }
    }

    fn proxy(&mut self, text: &str, path: &str) -> ProxyPlan {
        let at = format!("{path}.proxy");
        if text == "env" || text == "none" {
            return if text == "env" {
                ProxyPlan::FromEnvironment
            } else {
                ProxyPlan::None
            };
        }
        match address::proxy_url(text) {
            Ok(url) => return ProxyPlan::Url(url),
            Err(why) => {
                // The text may hold a password, or come from the environment: it is not repeated.
                let near = nearest(text, ["env", "none"].into_iter());
                let label = near.map_or(why.to_owned(), |near| format!("did you mean `{near}`?"));
                let message = "`proxy` must be env, none or an http:// URL".to_owned();
                let help = "such as http://proxy.example.com:3128";
                self.fault(&at, "config::bad_url", message, &label, help);
            }
        }
        ProxyPlan::FromEnvironment
    }
}

fn kind(raw: raw::Kind) -> ProviderKind {
    match raw {
        raw::Kind::Anthropic => ProviderKind::Anthropic,
        raw::Kind::Zai => ProviderKind::Zai,
        raw::Kind::Minimax => ProviderKind::Minimax,
        raw::Kind::Kimi => ProviderKind::Kimi,
        raw::Kind::Deepseek => ProviderKind::Deepseek,
        raw::Kind::Openrouter => ProviderKind::Openrouter,
        raw::Kind::Ollama => ProviderKind::Ollama,
        raw::Kind::Vllm => ProviderKind::Vllm,
        raw::Kind::Llamacpp => ProviderKind::Llamacpp,
        raw::Kind::Lmstudio => ProviderKind::Lmstudio,
        raw::Kind::Custom => ProviderKind::Custom,
        raw::Kind::Bedrock => ProviderKind::Bedrock,
        raw::Kind::Vertex => ProviderKind::Vertex,
        raw::Kind::Azure => ProviderKind::Azure,
        raw::Kind::ClaudeAws => ProviderKind::ClaudeAws,
        raw::Kind::ClaudeGoogle => ProviderKind::ClaudeGoogle,
    }
}

/// Tells whether a name is short and plain.
fn plain(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 64 && name.chars().all(good)
}

fn http(raw: raw::HttpVersion) -> HttpVersion {
    match raw {
        raw::HttpVersion::Auto => HttpVersion::Auto,
        raw::HttpVersion::Http1 => HttpVersion::Http1,
        raw::HttpVersion::Http2 => HttpVersion::Http2,
    }
}
