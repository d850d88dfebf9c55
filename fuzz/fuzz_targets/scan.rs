//! Whatever serde_json takes as an object, the scan reads alike.
//!
//! In: any bytes. Out: nothing, or a crash where the scan refuses what serde_json accepts, or reads
//! another model, `stream` or `max_tokens`. It must never demand more than the scan promises: what
//! serde_json refuses, the scan may take or leave, as long as it returns.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use relay_core::scan::scan;
use serde_json::value::RawValue;

/// A longer value of `model` is not believed.
const NAME_LIMIT_BYTES: usize = 1024;

fuzz_target!(|body: &[u8]| {
    let found = scan(body);
    // A map takes the last of several equal keys, as the scan does.
    let Ok(object) = serde_json::from_slice::<HashMap<String, Box<RawValue>>>(body) else {
        return;
    };
    let facts = found.expect("serde_json accepts this object");
    let raw = |key: &str| object.get(key).map(|value| value.get());

    let model = raw("model").filter(|text| text.len() <= NAME_LIMIT_BYTES);
    let model = model.and_then(|text| serde_json::from_str::<String>(text).ok());
    let scanned = facts.model.as_ref().map(|field| field.name.as_str());
    assert_eq!(scanned, model.as_deref(), "model");
    if let Some(field) = &facts.model {
        assert_eq!(
            body.get(field.span.clone()),
            raw("model").map(str::as_bytes),
            "the place of the model"
        );
    }

    assert_eq!(facts.stream, raw("stream") == Some("true"), "stream");
    let max_tokens = raw("max_tokens").and_then(|text| serde_json::from_str::<u64>(text).ok());
    assert_eq!(facts.max_tokens, max_tokens, "max_tokens");
});
