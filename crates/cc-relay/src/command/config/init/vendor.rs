//! The vendors that `config init` asks about, and what of them is on this machine.
//!
//! In: names of variables, and whether Ollama answers on this machine. Out: which vendors can be used
//! as things are. No value of a variable is read but the region and the project, which are no secret.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, Uri};
use serde_json::Value;

use crate::command::Context;
use crate::http::get_from;

/// How long an Ollama of this machine is waited for.
const OLLAMA_PATIENCE: Duration = Duration::from_millis(300);

/// Where Ollama listens unless it is told otherwise.
const OLLAMA_PORT: u16 = 11_434;

/// A vendor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vendor {
    /// Its name and type in the file.
    pub(super) name: &'static str,
    /// What stands above it in the file.
    pub(super) title: &'static str,
    /// Parts of the names of variables that hold its keys.
    words: &'static [&'static str],
    /// What it sends where Claude's models are asked for; `None` where it has them.
    pub(super) model: Option<&'static str>,
    /// Settings that it needs, each with the variables that may say it.
    pub(super) settings: &'static [(&'static str, &'static [&'static str])],
}

/// All of them, in the order of the question. The models are those of `docs/providers.md`.
pub(super) const VENDORS: [Vendor; 10] = [
    Vendor {
        name: "anthropic",
        title: "Anthropic, with the credential that each client brings, or keys of the relay's own",
        words: &["ANTHROPIC"],
        model: None,
        settings: &[],
    },
    vendor("zai", "Z.AI", &["ZAI", "Z_AI"], "glm-5"),
    vendor("minimax", "MiniMax", &["MINIMAX"], "MiniMax-M2.5"),
    vendor(
        "kimi",
        "Moonshot's Kimi",
        &["KIMI", "MOONSHOT"],
        "kimi-k2.5",
    ),
    vendor("deepseek", "DeepSeek", &["DEEPSEEK"], "deepseek-v4-pro"),
    vendor(
        "openrouter",
        "OpenRouter",
        &["OPENROUTER"],
        "anthropic/claude-sonnet-4.6",
    ),
    vendor("ollama", "Ollama on this machine", &[], "qwen3-coder"),
    cloud(
        "bedrock",
        "AWS Bedrock, with the credential of this machine",
        &[("aws_region", &["AWS_REGION", "AWS_DEFAULT_REGION"])],
    ),
    cloud(
        "vertex",
        "Google's Vertex AI, with the credential of this machine",
        &[
            (
                "gcp_project_id",
                &["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
            ),
            ("gcp_region", &["GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"]),
        ],
    ),
    cloud(
        "azure",
        "Azure AI Foundry, with the credential of this machine",
        &[("azure_resource_name", &["ANTHROPIC_FOUNDRY_RESOURCE"])],
    ),
];

const fn vendor(
    name: &'static str,
    title: &'static str,
    words: &'static [&'static str],
    model: &'static str,
) -> Vendor {
    Vendor {
        name,
        title,
        words,
        model: Some(model),
        settings: &[],
    }
}

const fn cloud(
    name: &'static str,
    title: &'static str,
    settings: &'static [(&'static str, &'static [&'static str])],
) -> Vendor {
    Vendor {
        name,
        title,
        words: &[],
        model: None,
        settings,
    }
}

/// A vendor and what of it is on this machine.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) vendor: &'static Vendor,
    /// Variables that look like its keys, the usual one first.
    pub(super) keys: Vec<String>,
    /// Models that its server on this machine has.
    pub(super) models: Vec<String>,
    /// Where that server is, if not at the usual place.
    pub(super) base_url: Option<String>,
}

impl Found {
    /// Tells whether it can be used as things are.
    pub(super) fn is_ready(&self) -> bool {
        self.vendor.name == "anthropic" || !self.keys.is_empty() || !self.models.is_empty()
    }

    /// Says what there is, in a few words.
    pub(super) fn says(&self) -> String {
        let keys = self.keys.join(", ");
        match (self.vendor.name, keys.is_empty(), self.models.len()) {
            ("anthropic", true, _) => "your Claude login".to_owned(),
            ("anthropic", false, _) => format!("your Claude login, or {keys}"),
            ("ollama", _, 0) => "does not answer on this machine".to_owned(),
            ("ollama", _, count) => format!("runs on this machine, models: {count}"),
            ("bedrock" | "vertex" | "azure", _, _) => "the credential of this machine".to_owned(),
            (_, true, _) => "no key in this shell".to_owned(),
            (_, false, _) => keys,
        }
    }
}

/// Looks what is there.
pub(super) async fn look(context: &Context) -> Vec<Found> {
    let (base_url, models) = ollama(context).await;
    let found = |vendor: &'static Vendor| {
        let is_ollama = vendor.name == "ollama";
        Found {
            vendor,
            keys: keys(context, vendor),
            models: models.iter().filter(|_| is_ollama).cloned().collect(),
            base_url: base_url.clone().filter(|_| is_ollama),
        }
    };
    VENDORS.iter().map(found).collect()
}

/// What makes a key one of somebody else, or one that answers nothing: it is not sent to the vendor.
const FOREIGN: [&str; 8] = [
    "ADMIN", "AWS", "AZURE", "BEDROCK", "FOUNDRY", "GCP", "GOOGLE", "VERTEX",
];

/// Returns the names of variables that look like a key, the shortest first: that is the usual one.
fn keys(context: &Context, vendor: &Vendor) -> Vec<String> {
    let names = context.env.names().filter(|name| {
        is_key_of(name, vendor.words) && context.env.get(name).is_some_and(|it| !it.is_empty())
    });
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

/// Tells whether a name is `VENDOR_API_KEY` or `VENDOR_KEY`, with a number behind it or words of one's
/// own before it.
fn is_key_of(name: &str, words: &[&str]) -> bool {
    let ends = |word: &&str| {
        let (before, rest) = name.rsplit_once(word)?;
        let own = before.is_empty() || before.ends_with('_');
        let foreign = before.split('_').any(|part| FOREIGN.contains(&part));
        let number = rest
            .strip_prefix("_API_KEY")
            .or_else(|| rest.strip_prefix("_KEY"))?;
        let number = number.trim_start_matches('_');
        let is_key = number.chars().all(|letter| letter.is_ascii_digit());
        (own && !foreign && is_key).then_some(())
    };
    words.iter().any(|word| ends(word).is_some())
}

/// Returns the address of an Ollama on this machine, where it is not the usual one, and its models.
/// One elsewhere is not asked.
async fn ollama(context: &Context) -> (Option<String>, Vec<String>) {
    let nothing = (None, Vec::new());
    let Some(place) = here(context.env.get("OLLAMA_HOST").unwrap_or_default()) else {
        return nothing;
    };
    let url = format!("http://{place}");
    let Ok(base) = url.parse::<Uri>() else {
        return nothing;
    };
    let asked = get_from(&base, "/api/tags", HeaderMap::new(), None, OLLAMA_PATIENCE);
    let Ok(answer) = asked.await else {
        return nothing;
    };
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let models = told.get("models").and_then(Value::as_array);
    let names = models.into_iter().flatten().filter_map(|it| it.get("name"));
    let models = names
        .filter_map(Value::as_str)
        .filter(|name| name.len() <= 200 && !name.chars().any(char::is_control))
        .map(str::to_owned)
        .collect();
    let usual = SocketAddr::from(([127, 0, 0, 1], OLLAMA_PORT));
    ((place != usual).then_some(url), models)
}

/// Reads what Ollama's own `OLLAMA_HOST` may say, if it means this machine: a host, a port, or both. A
/// server that listens everywhere is here too.
fn here(text: &str) -> Option<SocketAddr> {
    let text = text
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let this = IpAddr::from([127, 0, 0, 1]);
    let usual = SocketAddr::new(this, OLLAMA_PORT);
    if text.is_empty() {
        return Some(usual);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok()?)
        }
        _ => (text, OLLAMA_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = match host {
        "" | "localhost" => this,
        other => other.parse::<IpAddr>().ok()?,
    };
    if address.is_unspecified() {
        return Some(SocketAddr::new(this, port));
    }
    address
        .is_loopback()
        .then(|| SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_somebody_else_is_not_taken() {
        let of = |word, name| is_key_of(name, &[word]);
        for (word, name) in [
            ("ANTHROPIC", "ANTHROPIC_API_KEY"),
            ("ANTHROPIC", "WORK_ANTHROPIC_API_KEY"),
            ("ZAI", "ZAI_KEY_1"),
            ("ZAI", "ZAI_API_KEY2"),
            ("Z_AI", "Z_AI_API_KEY"),
        ] {
            assert!(of(word, name), "{name}");
        }
        for (word, name) in [
            ("ANTHROPIC", "ANTHROPIC_FOUNDRY_API_KEY"),
            ("ANTHROPIC", "ANTHROPIC_ADMIN_KEY"),
            ("ANTHROPIC", "AZURE_ANTHROPIC_API_KEY"),
            ("ANTHROPIC", "ANTHROPIC_AUTH_TOKEN"),
            ("ZAI", "ZAI_KEY_FILE"),
            ("ZAI", "BANZAI_API_KEY"),
            ("ZAI", "ZAI_KEYBOARD"),
        ] {
            assert!(!of(word, name), "{name}");
        }
    }

    #[test]
    fn an_ollama_elsewhere_is_not_asked() {
        for (text, want) in [
            ("", "127.0.0.1:11434"),
            ("localhost", "127.0.0.1:11434"),
            ("0.0.0.0", "127.0.0.1:11434"),
            ("http://127.0.0.1:1234/", "127.0.0.1:1234"),
            (":4000", "127.0.0.1:4000"),
            ("127.0.0.2:5", "127.0.0.2:5"),
            ("[::1]:6", "[::1]:6"),
            ("::1", "[::1]:11434"),
        ] {
            assert_eq!(
                here(text).map(|it| it.to_string()).as_deref(),
                Some(want),
                "{text}"
            );
        }
        for text in [
            "localhost.example.org",
            "127.example.org",
            "192.0.2.1:11434",
            "127.0.0.1:none",
            "https://127.0.0.1",
        ] {
            assert_eq!(here(text), None, "{text}");
        }
    }
}
