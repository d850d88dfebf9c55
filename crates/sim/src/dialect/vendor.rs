//! Vendors that imitate the Messages API, each a row of one table (vendors' pages and issue
//! threads, read 2026-11; where they are silent the likeliest form was chosen). In: requests; out:
//! refusals in the vendor's words. Must never be kinder than the vendor is reported to be.

use serde_json::{Map, Value, json};

use crate::answer;
use crate::dialect::{Asked, Gate, Refusal, bearer, body, count, refuse};
use crate::keys::Standing;
use crate::record::Recorded;
use crate::script::Script;

mod envelope;
mod rule;
mod table;

pub(crate) use envelope::{Envelope, Worded};
use rule::Rule;

/// Who serves the Messages API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Anthropic itself, strictly: `anthropic-version` is required.
    Anthropic,
    /// Z.AI.
    Zai,
    /// `MiniMax`.
    Minimax,
    /// An Ollama on one's own machine.
    Ollama,
    /// Ollama's cloud, which takes a bearer only.
    OllamaCloud,
    /// Kimi by Moonshot.
    Kimi,
    /// `DeepSeek`.
    Deepseek,
    /// `OpenRouter`.
    Openrouter,
    /// vLLM.
    Vllm,
    /// llama.cpp's server.
    Llamacpp,
    /// LM Studio.
    Lmstudio,
}

/// Which headers hold a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Either,
    XApiKey,
    Bearer,
    Ignored,
}

/// What `count_tokens` gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    Works,
    Missing,
}

/// Where the models are listed, and in whose shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Models {
    /// Anthropic's pages, beside `messages`.
    Anthropic,
    /// `OpenAI`'s list, beside `messages`.
    OpenAi,
    /// `OpenAI`'s list at this path only.
    OpenAiAt(&'static str),
    /// `OpenRouter`'s list with prices.
    OpenRouter,
}

/// A vendor.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) vendor: Vendor,
    pub(crate) name: &'static str,
    /// What the vendor has before `/v1`. A path without it is taken too.
    pub(crate) base: &'static str,
    pub(crate) credential: Credential,
    /// Error of a missing and of a wrong credential: status, type, message.
    pub(crate) unauthorized: [(u16, &'static str, &'static str); 2],
    /// The values of `anthropic-version` that are taken; empty if it is not looked at.
    pub(crate) versions: &'static [&'static str],
    pub(crate) counting: Counting,
    pub(crate) models: Models,
    /// Whether `message_start` states the input; the last `message_delta` always does.
    pub(crate) usage_at_start: bool,
    /// Whether a stream can hold an `error` event; if not, it breaks.
    pub(crate) error_events: bool,
    /// Whether what is unknown gets a 200.
    pub(crate) unknown_is_200: bool,
    pub(crate) envelope: Envelope,
    pub(crate) rules: &'static [Rule],
    /// Other paths that answer, with their JSON.
    pub(crate) others: &'static [(&'static str, &'static str)],
}

impl Vendor {
    /// Returns the vendor of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let row = table::ROWS.iter().find(|row| row.name == name);
        row.map(|row| row.vendor)
    }

    pub(crate) fn row(self) -> &'static Row {
        let row = table::ROWS.iter().find(|row| row.vendor == self);
        row.unwrap_or(&table::ANTHROPIC)
    }

    pub(crate) fn ask(self, request: &Recorded, gate: &Gate<'_>) -> Result<Asked, Refusal> {
        let row = self.row();
        let whole = request.path();
        let path = whole.strip_prefix(row.base).unwrap_or(whole);
        let post = request.method == "POST";
        let get = request.method == "GET";
        if let Some((_, text)) = row.others.iter().find(|(other, _)| get && *other == whole) {
            let body = Script::raw(200, "application/json", *text);
            return Ok(Asked::reply(body));
        }
        let messages = post && path == "/v1/messages";
        let counts = post && path == "/v1/messages/count_tokens" && row.counting == Counting::Works;
        if !messages && !counts {
            if get && let Some(list) = row.list(request, whole, path, gate) {
                row.authenticate(request, gate)?;
                return Ok(Asked::reply(list));
            }
            return Err(row.unknown(request));
        }
        row.authenticate(request, gate)?;
        row.judge_version(request)?;
        let body = body::object(&request.body)?;
        let model = body::model(&body)?;
        body::require(&body, &["messages"])?;
        for rule in row.rules {
            rule.judge(&body, model, gate)?;
        }
        if counts {
            let tokens = count(request.body_bytes);
            return Ok(Asked::reply(Script::json(
                200,
                json!({ "input_tokens": tokens }),
            )));
        }
        Ok(Asked::message(body::streams(&body), model))
    }
}

impl Row {
    fn authenticate(&self, request: &Recorded, gate: &Gate<'_>) -> Result<(), Refusal> {
        let key = request.header("x-api-key");
        let standing = match self.credential {
            Credential::Ignored => return Ok(()),
            Credential::Either => gate.standing(key.or_else(|| bearer(request))),
            Credential::XApiKey => gate.standing(key),
            Credential::Bearer => gate.standing(bearer(request)),
        };
        let [missing, bad] = self.unauthorized;
        let (status, kind, message) = match standing {
            Standing::Good => return Ok(()),
            Standing::Missing => missing,
            Standing::Bad => bad,
        };
        Err(refuse(status, kind, message))
    }

    fn judge_version(&self, request: &Recorded) -> Result<(), Refusal> {
        let shown = request.header("anthropic-version");
        if self.versions.is_empty() || shown.is_some_and(|shown| self.versions.contains(&shown)) {
            return Ok(());
        }
        let message = match shown {
            None => "anthropic-version: header is required".to_owned(),
            Some(other) => format!("anthropic-version: \"{other}\" is not a valid version"),
        };
        Err(refuse(400, "invalid_request_error", message))
    }

    fn list(&self, request: &Recorded, whole: &str, path: &str, gate: &Gate<'_>) -> Option<Script> {
        let beside = path == "/v1/models";
        match self.models {
            Models::Anthropic if beside || path.starts_with("/v1/models/") => {
                Some(answer::models(gate.models, request))
            }
            Models::OpenAi if beside => Some(open_ai(gate.models)),
            Models::OpenAiAt(at) if whole == at => Some(open_ai(gate.models)),
            Models::OpenRouter if beside => Some(open_router(gate.models)),
            Models::Anthropic | Models::OpenAi | Models::OpenAiAt(_) | Models::OpenRouter => None,
        }
    }

    fn unknown(&self, request: &Recorded) -> Refusal {
        if self.unknown_is_200 {
            let (method, path) = (&request.method, request.path());
            let message =
                format!("Unexpected endpoint or method. ({method} {path}). Returning 200 anyway");
            return Box::new(Script::json(200, json!({ "error": message })));
        }
        refuse(404, "not_found_error", "Not Found")
    }
}

fn open_ai(models: &[String]) -> Script {
    let data: Vec<Value> = models
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 1_790_000_000, "owned_by": "sim" }))
        .collect();
    Script::json(200, json!({ "object": "list", "data": data }))
}

fn open_router(models: &[String]) -> Script {
    let data: Vec<Value> = models
        .iter()
        .map(|id| {
            json!({
                "id": id,
                "name": id,
                "created": 1_790_000_000,
                "context_length": 200_000,
                "pricing": { "prompt": "0.000003", "completion": "0.000015" },
            })
        })
        .collect();
    Script::json(200, json!({ "data": data }))
}

/// Returns the messages of a body with their roles.
fn messages(body: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let list = body.get("messages").and_then(Value::as_array);
    list.into_iter().flatten().map(|message| {
        let role = message.get("role").and_then(Value::as_str);
        (
            role.unwrap_or_default(),
            message.get("content").unwrap_or(&Value::Null),
        )
    })
}
