//! The endpoint `/__sim/` through which a test in any language drives a running sim.
//! In: a control request; out: its reply as a script. Must never be counted or recorded.

use serde_json::{Value, json};

use crate::script::{Prepared, Script};
use crate::upstream::State;

/// Carries out a control request.
pub(crate) fn reply(state: &State, method: &str, target: &str, body: &[u8]) -> Script {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match (method, path) {
        ("GET", "/__sim/requests") => {
            let records = state.book.requests();
            Script::json(
                200,
                records.iter().map(|record| record.to_json(true)).collect(),
            )
        }
        ("DELETE", "/__sim/requests") => {
            Script::json(200, json!({ "deleted": state.book.take_requests().len() }))
        }
        ("GET", "/__sim/stats") => Script::json(200, json!(state.book.stats())),
        ("GET", "/__sim/presets") => Script::json(200, json!(Script::presets())),
        ("POST", "/__sim/script") => match scripts(body) {
            Ok(scripts) => {
                let mut queue = state.queue.lock();
                queue.extend(scripts.into_iter().map(Prepared::new));
                Script::json(200, json!({ "queued": queue.len() }))
            }
            Err(reason) => refused(&reason),
        },
        ("DELETE", "/__sim/script") => {
            state.queue.lock().clear();
            Script::json(200, json!({ "queued": 0 }))
        }
        ("POST", "/__sim/default") => match scripts(body).map(|scripts| scripts.into_iter().next())
        {
            Ok(Some(script)) => {
                *state.default.lock() = Prepared::new(script);
                Script::json(200, json!({ "default": "set" }))
            }
            Ok(None) => refused("the list of scripts is empty"),
            Err(reason) => refused(&reason),
        },
        _ => Script::error(
            404,
            "not_found_error",
            format!("no control request {method} {path}; see the sim's README"),
        ),
    }
}

/// Reads one script or a list of them.
fn scripts(body: &[u8]) -> Result<Vec<Script>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let values = if let Value::Array(values) = value {
        values
    } else {
        vec![value]
    };
    let parsed: Result<Vec<Script>, _> = values.into_iter().map(serde_json::from_value).collect();
    parsed.map_err(|error| error.to_string())
}

fn refused(reason: &str) -> Script {
    Script::error(
        400,
        "invalid_request_error",
        format!("not a script: {reason}"),
    )
}
