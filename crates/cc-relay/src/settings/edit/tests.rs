//! Tables and properties of the settings edits.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const URL: &str = "http://127.0.0.1:8787";

fn set_both(text: &str) -> (String, Vec<Splice>) {
    let mut splices = Vec::new();
    let mut now = text.to_owned();
    for (name, value) in [
        ("ANTHROPIC_BASE_URL", json!(URL)),
        ("ENABLE_TOOL_SEARCH", json!("true")),
    ] {
        let next = set(&now, name, &value).unwrap();
        splices.push(Splice::between(&now, &next));
        now = next;
    }
    (now, splices)
}

#[test]
fn a_new_file_is_written_like_a_person_would() {
    assert_eq!(
        set_both("").0,
        "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\",\n    \"ENABLE_TOOL_SEARCH\": \"true\"\n  }\n}\n"
    );
}

#[test]
fn order_comments_and_indentation_stay() {
    let text = "{\n\t// mine\n\t\"z\": 1,\n\t\"env\": {\n\t\t\"EDITOR\": \"hx\" // editor\n\t},\n\t\"a\": [1, 2]\n}";
    let (after, _) = set_both(text);
    assert_eq!(
        after,
        "{\n\t// mine\n\t\"z\": 1,\n\t\"env\": {\n\t\t\"EDITOR\": \"hx\", // editor\n\t\t\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\",\n\t\t\"ENABLE_TOOL_SEARCH\": \"true\"\n\t},\n\t\"a\": [1, 2]\n}"
    );
}

#[test]
fn carriage_returns_and_a_byte_order_mark_stay() {
    let (after, _) = set_both("\u{feff}{\r\n  \"env\": {\r\n    \"A\": \"b\"\r\n  }\r\n}\r\n");
    assert!(after.starts_with("\u{feff}{\r\n"));
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
}

#[test]
fn of_two_equal_names_the_last_is_changed() {
    let text = r#"{"env":{"ANTHROPIC_BASE_URL":"a","ANTHROPIC_BASE_URL":"b"}}"#;
    let after = set(text, "ANTHROPIC_BASE_URL", &json!("c")).unwrap();
    assert_eq!(
        after,
        r#"{"env":{"ANTHROPIC_BASE_URL":"a","ANTHROPIC_BASE_URL":"c"}}"#
    );
    assert_eq!(
        variables(&after).unwrap().get("ANTHROPIC_BASE_URL"),
        Some(&json!("c"))
    );
}

#[test]
fn a_broken_text_is_refused_with_its_place() {
    let fault = variables("{\n  \"env\": {\n    \"A\" \"b\"\n  }\n}").unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::Syntax {
                line: 3,
                column: 9,
                ..
            }
        ),
        "{fault:?}"
    );
    for text in ["[]", "1", r#"{"env": []}"#, r#"{"env": "x"}"#] {
        assert!(
            matches!(variables(text), Err(Fault::NotAnObject(_))),
            "{text}"
        );
        assert!(set(text, "A", &json!("b")).is_err(), "{text}");
    }
    assert!(matches!(variables("{} {}"), Err(Fault::Syntax { .. })));
    assert!(matches!(
        variables("{'env': {}}"),
        Err(Fault::Syntax { .. })
    ));
}

#[test]
fn a_value_that_cannot_be_put_back_is_refused() {
    let text = "{\"env\": {\"A\": {\n// why\n}}}";
    assert!(matches!(
        set(text, "A", &json!("b")),
        Err(Fault::OddValue(_))
    ));
}

#[test]
fn unset_takes_one_line_and_an_empty_env_only_if_told() {
    let text = "{\n  \"env\": {\n    \"A\": \"b\"\n  },\n  \"x\": 1\n}\n";
    assert_eq!(unset(text, "A", true).unwrap(), "{\n  \"x\": 1\n}\n");
    let kept = unset(text, "A", false).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&kept).unwrap(),
        json!({"env": {}, "x": 1})
    );
    let commented = "{\n  \"env\": {\n    // keep\n    \"A\": \"b\"\n  }\n}\n";
    assert!(
        unset(commented, "A", true).unwrap().contains("// keep")
            || unset(commented, "A", true).unwrap().contains("env")
    );
    assert_eq!(unset("{}", "A", true).unwrap(), "{}");
}

#[test]
fn a_splice_of_an_unrelated_text_is_refused() {
    let splice = Splice::between("aä", "aöäb");
    assert_eq!(splice.undo("aöäb").as_deref(), Some("aä"));
    assert_eq!(splice.undo(""), None);
}

/// A JSON value as text, with whitespace and comments where they are allowed.
fn json_text(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        "[a-zä\\n\"\\\\/ {}:,]{0,12}".prop_map(|text| Value::String(text).to_string()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = json_text(depth - 1);
    let array = (
        prop::collection::vec(inner.clone(), 0..4),
        gap(),
        any::<bool>(),
    )
        .prop_map(|(items, gap, comma)| wrap('[', &items, ']', &gap, comma));
    prop_oneof![leaf, array, object_text(inner, "[a-z]{1,5}")].boxed()
}

fn object_text(value: BoxedStrategy<String>, names: &'static str) -> BoxedStrategy<String> {
    let pair =
        (names, gap(), value).prop_map(|(name, gap, value)| format!("\"{name}\":{gap}{value}"));
    (prop::collection::vec(pair, 0..4), gap(), any::<bool>())
        .prop_map(|(items, gap, comma)| wrap('{', &items, '}', &gap, comma))
        .boxed()
}

fn wrap(open: char, items: &[String], close: char, gap: &str, comma: bool) -> String {
    let end = if comma && !items.is_empty() { "," } else { "" };
    format!(
        "{open}{gap}{}{end}{gap}{close}",
        items.join(&format!(",{gap}"))
    )
}

fn gap() -> BoxedStrategy<String> {
    let gaps = [
        "",
        " ",
        "\n  ",
        "\r\n\t",
        "\n\n    ",
        " // note \"x\": {\n",
        " /* , } */ ",
        "\n// alone\n  ",
    ];
    prop::sample::select(gaps.to_vec())
        .prop_map(str::to_owned)
        .boxed()
}

/// A settings text: an object, often with an `env` that often sets one of our names.
pub(crate) fn settings_text() -> impl Strategy<Value = String> {
    let env = object_text(
        "[a-z]{0,6}".prop_map(|text| format!("\"{text}\"")).boxed(),
        "(ANTHROPIC_BASE_URL|ENABLE_TOOL_SEARCH|EDITOR|A|B)",
    );
    let env = (gap(), env).prop_map(|(gap, env)| format!("\"env\":{gap}{env}"));
    let pair =
        ("[a-d]{1,3}", json_text(2)).prop_map(|(name, value)| format!("\"{name}\": {value}"));
    let pairs = prop::collection::vec(pair, 0..4);
    (
        pairs,
        prop::option::weighted(0.8, env),
        0_usize..4,
        gap(),
        any::<bool>(),
        gap(),
    )
        .prop_map(|(mut pairs, env, place, inner, comma, outer)| {
            if let Some(env) = env {
                pairs.insert(place.min(pairs.len()), env);
            }
            format!("{outer}{}{outer}", wrap('{', &pairs, '}', &inner, comma))
        })
}

fn others(text: &str) -> Value {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let root = parse(body).unwrap();
    let mut lines = Vec::new();
    for property in root
        .object_value()
        .map(|object| object.properties())
        .unwrap_or_default()
    {
        if property.decoded_name().as_deref() == Some("env") {
            let mut names = property.object_value().unwrap().properties();
            names.retain(|p| {
                !["ANTHROPIC_BASE_URL", "ENABLE_TOOL_SEARCH"]
                    .contains(&p.decoded_name().unwrap().as_str())
            });
            lines.extend(names.iter().map(ToString::to_string));
        } else {
            lines.push(property.to_string());
        }
    }
    json!(lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn setting_and_undoing_gives_the_same_bytes(text in settings_text()) {
        prop_assume!(parse(&text).is_ok());
        let (after, splices) = set_both(&text);
        let found = variables(&after).unwrap();
        prop_assert_eq!(found.get("ANTHROPIC_BASE_URL"), Some(&json!(URL)));
        prop_assert_eq!(found.get("ENABLE_TOOL_SEARCH"), Some(&json!("true")));
        // Nothing else changed its text.
        prop_assert_eq!(others(&after), others(&text));
        let mut back = after;
        for splice in splices.iter().rev() {
            back = splice.undo(&back).unwrap();
        }
        prop_assert_eq!(back, text);
    }

    #[test]
    fn strict_json_stays_strict_json(value in json_text(3)) {
        let text = format!("{{\"a\": {value}}}");
        prop_assume!(serde_json::from_str::<Value>(&text).is_ok());
        let (after, _) = set_both(&text);
        prop_assert!(serde_json::from_str::<Value>(&after).is_ok(), "{}", after);
        let mut back = after;
        for name in ["ANTHROPIC_BASE_URL", "ENABLE_TOOL_SEARCH"] {
            back = unset(&back, name, true).unwrap();
        }
        prop_assert_eq!(
            serde_json::from_str::<Value>(&back).unwrap(),
            serde_json::from_str::<Value>(&text).unwrap()
        );
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[{}\\[\\]\":,a-z0-9 \\n/*\\\\\u{feff}ä]{0,60}") {
        let _unused = variables(&text);
        if let Ok(after) = set(&text, "A", &json!("b")) {
            prop_assert!(variables(&after).unwrap().contains_key("A"));
        }
    }
}
