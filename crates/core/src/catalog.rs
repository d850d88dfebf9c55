//! The models of all upstreams as one list, in Anthropic's format.
//!
//! In: what upstreams list, gathered in the background; what the settings and the price list name.
//! Out: pages of the union, each model with the providers that serve it. What an upstream says of a
//! model is kept as it is, and `providers` added to it.
//!
//! Format: Anthropic's Models API (<https://platform.claude.com/docs/en/api/models-list>), and for
//! upstreams that follow it, `OpenAI`'s list of models.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use serde_json::{Map, Value, json};

use crate::price::Prices;
use crate::request::ModelName;
use crate::snapshot::{Snapshot, Target, TargetId};

/// Models that one upstream lists at most; what is beyond is left out.
const MOST_MODELS: usize = 2_000;

/// The moment of a model whose release is not known.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// What upstreams list.
#[derive(Debug, Default)]
pub struct Catalog(RwLock<HashMap<TargetId, Vec<Map<String, Value>>>>);

/// A page of the union that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Models at most; 20 unless said, at most 1,000.
    pub limit: Option<usize>,
    /// Begins behind this model.
    pub after: Option<String>,
    /// Ends before this model.
    pub before: Option<String>,
}

impl Page {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// What is wrong with it, in words for a client.
    pub fn read(query: &str) -> Result<Self, &'static str> {
        let mut page = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "limit" => match value.parse() {
                    Ok(limit @ 1..=1_000) => page.limit = Some(limit),
                    Ok(_) | Err(_) => return Err("limit: must be a number from 1 to 1000"),
                },
                "after_id" => page.after = Some(value.to_owned()),
                "before_id" => page.before = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(page)
    }
}

impl Catalog {
    /// Keeps what an upstream lists, as it says it: Anthropic's list or `OpenAI`'s. Tells whether it
    /// was one.
    pub fn keep(&self, target: &TargetId, body: &[u8]) -> bool {
        let list = serde_json::from_slice(body).ok().and_then(object);
        let Some(Value::Array(models)) = list.and_then(|mut list| list.remove("data")) else {
            return false;
        };
        let models = models.into_iter().filter_map(object);
        let models = models.filter(|model| model.get("id").is_some_and(Value::is_string));
        let models = models.take(MOST_MODELS).map(in_form).collect();
        self.0.write().insert(target.clone(), models);
        true
    }

    /// Forgets upstreams that are not there any more.
    pub fn retain(&self, snapshot: &Snapshot) {
        let known = |id: &TargetId| snapshot.targets.iter().any(|target| target.id == *id);
        self.0.write().retain(|id, _| known(id));
    }

    /// Returns a page of the union, newest models first, as JSON.
    pub fn page(&self, snapshot: &Snapshot, prices: &Prices, page: &Page) -> Value {
        let all = self.union(snapshot, prices);
        let place = |id: &String| all.iter().position(|model| id_of(model) == *id);
        let from = page.after.as_ref().and_then(place);
        let from = from.map_or(0, |at| at.saturating_add(1));
        let to = page.before.as_ref().and_then(place).unwrap_or(all.len());
        let limit = page.limit.unwrap_or(20);
        let within = all.get(from..to.max(from)).unwrap_or_default();
        // Before a model, the nearest to it are meant.
        let skipped = match page.before {
            Some(_) => within.len().saturating_sub(limit),
            None => 0,
        };
        let shown: Vec<_> = within.iter().skip(skipped).take(limit).collect();
        let ids: Vec<&str> = shown.iter().map(|model| id_of(model)).collect();
        json!({
            "data": shown,
            "has_more": within.len() > shown.len(),
            "first_id": ids.first(),
            "last_id": ids.last(),
        })
    }

    /// Returns one model of the union as JSON.
    pub fn find(&self, snapshot: &Snapshot, prices: &Prices, id: &str) -> Option<Value> {
        let all = self.union(snapshot, prices);
        let found = all.into_iter().find(|model| id_of(model) == id);
        found.map(Value::Object)
    }

    fn union(&self, snapshot: &Snapshot, prices: &Prices) -> Vec<Map<String, Value>> {
        let lists = self.0.read();
        let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for target in &snapshot.targets {
            let listed = lists.get(&target.id).map(Vec::as_slice);
            for model in offered(target, listed, prices) {
                let id = id_of(&model).to_owned();
                let known = all.entry(id).or_insert(model);
                let providers = known.entry("providers").or_insert_with(|| json!([]));
                if let Value::Array(providers) = providers {
                    providers.push(target.id.as_str().into());
                }
            }
        }
        let mut all: Vec<_> = all.into_values().collect();
        // Of one time by name; RFC 3339 in UTC sorts as text.
        all.sort_by(|one, other| time_of(other).cmp(time_of(one)));
        all
    }
}

/// Returns the models that a target serves, by the names that clients use.
fn offered(
    target: &Target,
    listed: Option<&[Map<String, Value>]>,
    prices: &Prices,
) -> Vec<Map<String, Value>> {
    let mut offered: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut add = |model: Map<String, Value>| {
        let name = ModelName::new(id_of(&model));
        if target.name_of(&name).is_some() {
            offered.entry(name.as_str().to_owned()).or_insert(model);
        }
    };
    for model in listed.unwrap_or_default() {
        add(model.clone());
    }
    let literal = target.models.iter().filter_map(|it| it.literal());
    for name in literal.chain(target.model_mapping.literals()) {
        add(named(name));
    }
    // Nobody lists the models of a cloud: those that are known are there, as far as it says.
    let lists = !target.provider.has(crate::request::Endpoint::Models);
    if listed.is_none() && lists && &*target.vendor == "anthropic" {
        for name in prices.names().filter(|name| name.starts_with("claude")) {
            add(named(name));
        }
    }
    offered.into_values().collect()
}

/// A model of which only the name is known.
fn named(name: &str) -> Map<String, Value> {
    let model = json!({
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": UNKNOWN_TIME,
    });
    object(model).unwrap_or_default()
}

fn object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(object) = value {
        Some(object)
    } else {
        None
    }
}

/// Adds to a model what the format asks for, where an upstream follows another.
fn in_form(mut model: Map<String, Value>) -> Map<String, Value> {
    let created = model.get("created").and_then(Value::as_i64);
    let created = created.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let created = created.map_or_else(|| UNKNOWN_TIME.to_owned(), |at| at.to_string());
    let name = model.get("name").and_then(Value::as_str);
    let name = name.unwrap_or_else(|| id_of(&model)).to_owned();
    model.entry("type").or_insert_with(|| "model".into());
    model.entry("display_name").or_insert_with(|| name.into());
    model.entry("created_at").or_insert_with(|| created.into());
    model
}

fn id_of(model: &Map<String, Value>) -> &str {
    model.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn time_of(model: &Map<String, Value>) -> &str {
    let time = model.get("created_at").and_then(Value::as_str);
    time.unwrap_or(UNKNOWN_TIME)
}
