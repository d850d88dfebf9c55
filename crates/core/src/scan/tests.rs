//! The scan against `serde_json`, which must agree on whatever it accepts.

use proptest::prelude::*;

use super::*;

fn model_of(body: &[u8]) -> Option<String> {
    scan(body)
        .unwrap()
        .model
        .map(|field| field.name.to_string())
}

#[test]
fn reads_what_claude_code_sends() {
    let body = br#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":"a \"model\":\"no\" {["}],
        "system":[],"metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"5f0c\"}"},
        "max_tokens":128000,"thinking":{"type":"adaptive","display":"updates"},"stream":true}"#;
    let facts = scan(body).unwrap();
    let model = facts.model.unwrap();
    assert_eq!(model.name.as_str(), "claude-opus-5-5");
    assert_eq!(&body[model.span], br#""claude-opus-5-5""#);
    assert_eq!(facts.max_tokens, Some(128_000));
    assert_eq!(facts.session.unwrap().as_str(), "5f0c");
    assert!(facts.stream && facts.thinking);
}

#[test]
fn the_last_duplicate_counts() {
    assert_eq!(
        model_of(br#"{"model":"a","model":"b"}"#).as_deref(),
        Some("b")
    );
    assert!(!scan(br#"{"stream":true,"stream":false}"#).unwrap().stream);
}

#[test]
fn escaped_keys_are_keys() {
    assert_eq!(model_of(br#"{"mod\u0065l":"b"}"#).as_deref(), Some("b"));
    assert_eq!(
        model_of(br#"{"model":"a\/b\u0041"}"#).as_deref(),
        Some("a/bA")
    );
}

#[test]
fn facts_of_the_wrong_type_are_absent() {
    for body in [
        br#"{"model":7}"#.as_slice(),
        br#"{"model":null}"#,
        br#"{"model":["a"]}"#,
        b"{}",
    ] {
        assert!(scan(body).unwrap().model.is_none());
    }
    assert_eq!(scan(br#"{"max_tokens":1e400}"#).unwrap().max_tokens, None);
    assert!(
        !scan(br#"{"thinking":{"type":"disabled"}}"#)
            .unwrap()
            .thinking
    );
}

#[test]
fn what_is_no_object_is_malformed() {
    for body in [
        b"".as_slice(),
        b"[]",
        b"\"x\"",
        b"{",
        b"{\"a\"",
        b"{\"a\":",
        b"{\"a\":1",
        b"{\"a\":1,}",
        b"{} {}",
        b"{\"a\":}",
        b"{\"a\":[}",
        b"{a:1}",
        b"{\"a\":\"x\\",
        b"null",
        b"{,}",
    ] {
        assert_eq!(
            scan(body).map(|_| ()),
            Err(Malformed),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn forty_kilobytes_of_brackets_cost_no_stack() {
    let open = "[".repeat(40_000);
    assert_eq!(
        scan(format!("{{\"a\":{open}").as_bytes()).map(|_| ()),
        Err(Malformed)
    );
    let body = format!("{{\"a\":{open}{},\"model\":\"m\"}}", "]".repeat(40_000));
    assert_eq!(model_of(body.as_bytes()).as_deref(), Some("m"));
}

#[test]
fn invalid_utf8_outside_the_facts_passes() {
    assert_eq!(
        model_of(b"{\"messages\":[\"\xff\xfe\"],\"model\":\"m\"}").as_deref(),
        Some("m")
    );
    assert!(scan(b"{\"model\":\"\xff\"}").unwrap().model.is_none());
}

#[test]
fn backslashes_at_each_place_of_a_block_are_seen() {
    for pad in 0..130 {
        for run in 1..6 {
            let text = format!("{}{}", "x".repeat(pad), "\\\\".repeat(run));
            let body = format!(r#"{{"a":["{text}\"}}]","{text}"],"model":"m"}}"#);
            assert_eq!(
                model_of(body.as_bytes()).as_deref(),
                Some("m"),
                "pad {pad} run {run}"
            );
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let text = prop_oneof!["[a-z\"\\\\{}\\[\\]:,\n é]{0,90}", Just("stream".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let key = prop_oneof![
            "[a-z\"\\\\]{0,8}",
            Just("model".to_owned()),
            Just("stream".to_owned()),
            Just("metadata".to_owned()),
            Just("max_tokens".to_owned()),
            Just("thinking".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// `serde_json` is the oracle: the same object-or-not, the same facts.
    #[test]
    fn agrees_with_serde_json(value in json(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let body = body.unwrap();
        let Some(object) = value.as_object() else {
            prop_assert_eq!(scan(&body).map(|_| ()), Err(Malformed));
            return Ok(());
        };
        let facts = scan(&body).unwrap();
        let model = object.get("model").and_then(|model| model.as_str());
        prop_assert_eq!(facts.model.as_ref().map(|field| field.name.as_str()), model);
        if let Some(field) = &facts.model {
            let written: String = serde_json::from_slice(&body[field.span.clone()]).unwrap();
            prop_assert_eq!(written.as_str(), field.name.as_str());
        }
        prop_assert_eq!(facts.stream, object.get("stream") == Some(&serde_json::Value::Bool(true)));
        prop_assert_eq!(facts.max_tokens, object.get("max_tokens").and_then(serde_json::Value::as_u64));
        for (member, (key, inner)) in Members::of(&body).unwrap().zip(object) {
            let member = member.unwrap();
            let found = member.key(&body);
            prop_assert_eq!(found.as_ref(), key.as_bytes());
            if !pretty {
                prop_assert_eq!(member.value(&body), serde_json::to_vec(inner).unwrap());
            }
        }
    }

    /// Whatever `serde_json` accepts as an object is scanned; nothing at all panics.
    #[test]
    fn accepts_what_serde_json_accepts(bytes in prop::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b':'),
            Just(b','), Just(b'1'), Just(b' '), any::<u8>()], 0..200)) {
        let ours = scan(&bytes).is_ok();
        if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).is_ok() {
            prop_assert!(ours);
        }
    }
}

#[test]
fn spans_of_the_prefix_are_their_values() {
    let body = br#"{"tools": [{"name":"a"}] ,"system":"s","messages":[],"messages":[1, 2]}"#;
    let facts = scan(body).unwrap();
    assert_eq!(&body[facts.tools.unwrap()], br#"[{"name":"a"}]"#);
    assert_eq!(&body[facts.system.unwrap()], br#""s""#);
    assert_eq!(&body[facts.messages.unwrap()], b"[1, 2]");
    assert_eq!(scan(b"{}").unwrap().tools, None);
}

#[test]
fn the_last_member_of_a_name_is_found() {
    assert_eq!(member(br#"{"a":1,"b":2,"a":3}"#, b"a"), Some(&b"3"[..]));
    assert_eq!(member(br#"{"a":1"#, b"a"), None);
    assert_eq!(member(b"[]", b"a"), None);
}

proptest! {
    /// `serde_json` is the oracle for arrays too.
    #[test]
    fn elements_agree_with_serde_json(values in prop::collection::vec(json(), 0..6), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) }.unwrap();
        let found: Vec<serde_json::Value> = Elements::of(&text).unwrap()
            .map(|range| serde_json::from_slice(&text[range.unwrap()]).unwrap()).collect();
        let parsed: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(found, parsed);
    }

    #[test]
    fn elements_never_panic(bytes in prop::collection::vec(
        prop_oneof![Just(b'{'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b'1'), any::<u8>()], 0..100)) {
        let whole = Elements::of(&bytes).is_ok_and(|elements| elements.clone().all(|it| it.is_ok()));
        if serde_json::from_slice::<Vec<serde_json::Value>>(&bytes).is_ok() {
            prop_assert!(whole);
        }
    }
}
