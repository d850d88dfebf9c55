//! Reads `model` and `stream` from a Messages body. In: the body; out: the two facts. Must never
//! refuse: a body that is no JSON gets the scripted answer too, and tests look at the record.
//!
//! One pass that skips strings by `memchr`, since parsing would be most of the sim's work on large
//! bodies. The last of equal keys counts, as for the API.

use memchr::memchr2;

/// What an answer depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) stream: bool,
    pub(crate) model: Option<String>,
}

impl Probe {
    /// Scans the top level of `body`.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut probe = Self::default();
        let (mut at, mut depth, mut key, mut key_comes) = (0_usize, 0_usize, None, false);
        while let Some(byte) = body.get(at) {
            let mut next = at.saturating_add(1);
            match byte {
                b'"' => {
                    next = string_end(body, next);
                    let quoted = body.get(at..next).unwrap_or_default();
                    if depth == 1 && key_comes {
                        (key, key_comes) = (Some(quoted), false);
                    } else if depth == 1 && key == Some(br#""model""#) {
                        probe.model = serde_json::from_slice(quoted).ok();
                    }
                }
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    key_comes = depth == 1 && *byte == b'{';
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 1 => (key, key_comes) = (None, true),
                b't' | b'f' if depth == 1 && key == Some(br#""stream""#) => {
                    probe.stream = *byte == b't';
                    key = None;
                }
                _ => {}
            }
            at = next;
        }
        probe
    }
}

/// Returns the offset after the closing quote of the string that began before `at`.
fn string_end(body: &[u8], mut at: usize) -> usize {
    loop {
        let rest = body.get(at..).unwrap_or_default();
        let Some(found) = memchr2(b'"', b'\\', rest) else {
            return body.len();
        };
        if rest.get(found) == Some(&b'"') {
            return at.saturating_add(found).saturating_add(1);
        }
        at = at.saturating_add(found).saturating_add(2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::Probe;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("model".to_owned()),
            Just("stream".to_owned()),
            any::<String>()
        ]
    }

    proptest! {
        #[test]
        fn scan_agrees_with_serde(pairs in proptest::collection::vec((key(), any_json()), 0..6)) {
            let object: Map<String, Value> = pairs.into_iter().collect();
            let value = Value::Object(object);
            let wanted = Probe {
                stream: value["stream"] == true,
                model: value["model"].as_str().map(str::to_owned),
            };
            prop_assert_eq!(&Probe::of(value.to_string().as_bytes()), &wanted);
            let spaced = serde_json::to_vec_pretty(&value).unwrap();
            prop_assert_eq!(&Probe::of(&spaced), &wanted);
        }

        #[test]
        fn anything_at_all_is_taken(bytes in any::<Vec<u8>>()) {
            Probe::of(&bytes);
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let probe = Probe::of(br#"{"stream":true,"model":"a","model":"b","stream":false}"#);
        assert_eq!(
            probe,
            Probe {
                stream: false,
                model: Some("b".to_owned())
            }
        );
        let nested = json!({ "messages": [{ "stream": true, "model": "no" }] }).to_string();
        assert_eq!(Probe::of(nested.as_bytes()), Probe::default());
    }
}
