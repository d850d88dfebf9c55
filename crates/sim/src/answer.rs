//! Chooses the answer to a request. In: a request read whole; out: a player, or the control
//! endpoint's reply. Must never write to a socket.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::account::Account;
use crate::body::ReceivedBody;
use crate::clock;
use crate::control;
use crate::dialect::{self, Asked, Dialect, Gate, Voice};
use crate::head::RequestHead;
use crate::keys::Standing;
use crate::player::{Facts, Player};
use crate::probe::Probe;
use crate::record::{End, Exchange, Recorded};
use crate::script::{Prepared, Script};
use crate::upstream::State;
use crate::wire::Control;

/// A connection's constant facts.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) sim: Arc<State>,
    pub(crate) control: Arc<Control>,
    pub(crate) id: u64,
    pub(crate) tls: bool,
    pub(crate) alpn: Option<String>,
}

/// A request read whole.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: RequestHead,
    pub(crate) body: ReceivedBody,
}

/// Which part of the sim answers a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Control,
    Messages,
    CountTokens,
    Models,
    Hello,
    Echo,
    Unknown,
}

impl Route {
    /// Returns the part that answers this request line.
    pub(crate) fn of(method: &str, target: &str) -> Self {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let post = method == "POST";
        let cloud = [
            ":rawPredict",
            ":streamRawPredict",
            "/invoke",
            "/invoke-with-response-stream",
        ];
        if path.starts_with("/__sim/") {
            Self::Control
        } else if post && path.ends_with("/v1/messages/count_tokens") {
            Self::CountTokens
        } else if post
            && (path.ends_with("/v1/messages") || cloud.iter().any(|end| path.ends_with(end)))
        {
            Self::Messages
        } else if method == "GET" && (path.ends_with("/v1/models") || path.contains("/v1/models/"))
        {
            Self::Models
        } else if matches!(method, "GET" | "HEAD") && matches!(path, "/" | "/api/hello") {
            Self::Hello
        } else if path.contains("/v1/") {
            Self::Echo
        } else {
            Self::Unknown
        }
    }
}

const DEFAULT_MODEL: &str = "claude-opus-5-5";

impl Connection {
    /// Opens the exchange of a request whose head has been read.
    pub(crate) fn open(&self, method: &str, target: &str) -> Exchange {
        let counted = Route::of(method, target) != Route::Control;
        Exchange::open(Arc::clone(&self.sim.book), counted)
    }

    /// Returns the answer that does not wait for the body, if the next script is such.
    pub(crate) fn early(&self, method: &str, target: &str) -> Option<Arc<Prepared>> {
        let scripted = match &self.sim.dialect {
            Some(dialect) => dialect.is_scripted(method, target),
            None => Route::of(method, target) == Route::Messages,
        };
        scripted.then(|| self.sim.early_script()).flatten()
    }

    /// Records the request and returns its answer, `early` if that was taken already.
    pub(crate) fn answer(
        &self,
        received: Received,
        early: Option<Arc<Prepared>>,
        exchange: &mut Exchange,
    ) -> Player {
        let Received { head, body } = received;
        let route = Route::of(&head.method, &head.target);
        if route == Route::Control {
            let reply = control::reply(&self.sim, &head.method, &head.target, &body.bytes);
            let voice = Dialect::voice(None, false);
            return Player::new(
                Prepared::new(reply),
                self.facts(0, Probe::default(), (None, voice)),
            );
        }
        let id = self.sim.book.next_id();
        let request = Recorded {
            id,
            method: head.method,
            path_and_query: head.target,
            version: head.version,
            headers: head.headers,
            body: body.bytes,
            body_bytes: body.length,
            connection: self.id,
            tls: self.tls,
            alpn: self.alpn.clone(),
            at: self.sim.book.age(),
            digest: body.digest,
            end: End::pending(),
        };
        let account = self.sim.accounts.find(credential(&request));
        let mut asked = self.asked(route, &request, early.is_some());
        let reply = asked.reply.take();
        let probe = Probe {
            stream: asked.stream,
            model: asked.model,
        };
        let prepared = early.unwrap_or_else(|| {
            self.choose(route, (&request, probe.model.as_deref()), account, reply)
        });
        // Recorded after the choice, so that whoever sees the request also sees the queue moved.
        exchange.received(&request);
        let voice = Dialect::voice(self.sim.dialect.as_ref(), probe.stream);
        Player::new(prepared, self.facts(id, probe, (account, voice)))
    }

    /// Returns what the request asks for and, in a dialect, what it gets without a script.
    fn asked(&self, route: Route, request: &Recorded, early: bool) -> Asked {
        match (&self.sim.dialect, route) {
            // Its body was not read, so nothing can be judged.
            (Some(_), _) if early => Asked {
                stream: dialect::streams(request.path()),
                ..Asked::default()
            },
            (Some(dialect), _) => dialect.ask(
                request,
                &Gate {
                    keys: &self.sim.keys,
                    requires_credential: self.sim.require_credential,
                    models: &self.sim.models,
                    unix: clock::unix(),
                },
            ),
            (None, Route::Messages) => {
                let Probe { stream, model } = probe(request);
                Asked {
                    stream,
                    model,
                    reply: None,
                }
            }
            (None, _) => Asked::default(),
        }
    }

    fn facts(
        &self,
        request: u64,
        probe: Probe,
        (account, voice): (Option<&Account>, Voice),
    ) -> Facts {
        let (organization, workspace) = match account {
            Some(account) => (
                Arc::from(account.organisation.as_str()),
                Arc::from(account.workspace.as_str()),
            ),
            None => (
                Arc::clone(&self.sim.organization),
                Arc::clone(&self.sim.workspace),
            ),
        };
        Facts {
            stream: probe.stream,
            model: probe.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            request,
            organization,
            workspace,
            voice,
        }
    }

    fn choose(
        &self,
        route: Route,
        (request, model): (&Recorded, Option<&str>),
        account: Option<&Account>,
        reply: Option<Script>,
    ) -> Arc<Prepared> {
        if let Some(script) = self.sim.routed(request) {
            return Prepared::new(script);
        }
        if self.sim.dialect.is_some() {
            return match reply {
                Some(reply) => Prepared::new(reply),
                None => self.scripted((request, model), account),
            };
        }
        if let Some(refusal) = self.refusal(route, request) {
            return Prepared::new(refusal);
        }
        match route {
            Route::Messages => self.scripted((request, model), account),
            Route::CountTokens => {
                // About four bytes a token is what the sim claims to know.
                let tokens = (request.body_bytes / 4).max(1);
                Prepared::new(Script::json(200, json!({ "input_tokens": tokens })))
            }
            Route::Models => Prepared::new(models(&self.sim.models, request)),
            Route::Hello => Prepared::new(Script::json(200, json!({ "status": "ok" }))),
            Route::Echo => Prepared::new(Script::json(
                200,
                json!({
                    "method": request.method,
                    "path": request.path_and_query,
                    "bytes": request.body_bytes,
                    "sha256": request.body_sha256(),
                }),
            )),
            Route::Control | Route::Unknown => {
                Prepared::new(Script::error(404, "not_found_error", "Not found"))
            }
        }
    }

    fn scripted(
        &self,
        request: (&Recorded, Option<&str>),
        account: Option<&Account>,
    ) -> Arc<Prepared> {
        if let Some(queued) = self.sim.queued_script() {
            return queued;
        }
        let default = self.sim.default_script();
        match account {
            Some(account) => {
                let dialect = self.sim.dialect.as_deref();
                self.sim.accounts.answer(account, request, default, dialect)
            }
            None => default,
        }
    }

    fn refusal(&self, route: Route, request: &Recorded) -> Option<Script> {
        if !self.sim.require_credential || matches!(route, Route::Hello | Route::Unknown) {
            return None;
        }
        let message = match self.sim.keys.standing(credential(request)) {
            Standing::Missing => "x-api-key header is required",
            Standing::Good => return None,
            Standing::Bad => "invalid x-api-key",
        };
        Some(Script::error(401, "authentication_error", message))
    }
}

/// Returns the request's key, whichever way it is shown.
fn credential(request: &Recorded) -> Option<&str> {
    let bearer = request.header("authorization").map(|value| {
        let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
        if scheme.eq_ignore_ascii_case("bearer") {
            rest.trim()
        } else if let Some((_, scope)) = rest.split_once("Credential=") {
            // Of a signature, the access key's id.
            scope.split('/').next().unwrap_or_default()
        } else {
            value
        }
    });
    let key = request.header("x-api-key");
    key.or_else(|| request.header("api-key")).or(bearer)
}

fn probe(request: &Recorded) -> Probe {
    let mut probe = Probe::of(&request.body);
    // The cloud dialects name the stream in the path.
    probe.stream |= dialect::streams(request.path());
    probe
}

/// Answers `GET /v1/models` with a page and `GET /v1/models/{id}` with one model.
pub(crate) fn models(ids: &[String], request: &Recorded) -> Script {
    let path = request.path();
    if let Some((_, id)) = path.split_once("/v1/models/") {
        return match ids.iter().find(|known| *known == id) {
            Some(known) => Script::json(200, model(known)),
            None => Script::error(404, "not_found_error", format!("model: {id}")),
        };
    }
    let query = request
        .path_and_query
        .split_once('?')
        .map_or("", |(_, query)| query);
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let limit = value("limit").map_or(Ok(20), str::parse::<usize>);
    let Ok(limit @ 1..=1000) = limit else {
        return Script::error(
            400,
            "invalid_request_error",
            "limit: must be between 1 and 1000",
        );
    };
    let after = value("after_id").and_then(|id| ids.iter().position(|known| known == id));
    let start = after.map_or(0, |at| at.saturating_add(1));
    let rest = ids.get(start..).unwrap_or_default();
    let page = rest.get(..limit.min(rest.len())).unwrap_or_default();
    let data: Vec<Value> = page.iter().map(|id| model(id)).collect();
    Script::json(
        200,
        json!({
            "data": data,
            "has_more": page.len() < rest.len(),
            "first_id": page.first(),
            "last_id": page.last(),
        }),
    )
}

fn model(id: &str) -> Value {
    let words: Vec<String> = id.split('-').map(capitalised).collect();
    json!({
        "type": "model",
        "id": id,
        "display_name": words.join(" "),
        "created_at": "2026-09-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
