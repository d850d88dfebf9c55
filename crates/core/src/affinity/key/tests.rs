//! What changes a key, and what must not.

use super::*;
use crate::request::SessionId;
use crate::scan::scan;

const LONG: usize = 6000;

fn session(body: &str) -> SessionKey {
    session_key(&scan(body.as_bytes()).unwrap(), body.as_bytes())
}

fn prefix(body: &str) -> Option<PrefixKey> {
    prefix_key(&scan(body.as_bytes()).unwrap(), body.as_bytes())
}

fn with_system(system: &str) -> String {
    format!(r#"{{"model":"claude-opus-5-5","tools":[],"system":{system},"messages":[]}}"#)
}

#[test]
fn a_named_session_is_its_name() {
    let one = br#"{"model":"a","messages":[{"role":"user","content":"x"}]}"#;
    let other = br#"{"model":"b","messages":[]}"#;
    let mut facts = scan(one).unwrap();
    facts.session = SessionId::new("5f0c");
    let mut others = scan(other).unwrap();
    others.session = SessionId::new("5f0c");
    assert_eq!(session_key(&facts, one), session_key(&others, other));
    others.session = SessionId::new("5f0d");
    assert_ne!(session_key(&facts, one), session_key(&others, other));
}

#[test]
fn a_nameless_session_is_how_it_began() {
    let turn = |first: &str, rest: &str| {
        session(&format!(
            r#"{{"model":"m","tools":[1],"system":"s","messages":[{{"role":"user","content":{first}}}{rest}]}}"#
        ))
    };
    let reply = r#",{"role":"assistant","content":"b"},{"role":"user","content":"c"}"#;
    let base = turn(r#""hello""#, "");
    for (first, rest) in [
        (r#""hello""#, reply),
        (r#"[{"type":"text","text":"hello"}]"#, reply),
        (
            r#"[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]"#,
            "",
        ),
    ] {
        assert_eq!(turn(first, rest), base, "{first}");
    }
    assert_ne!(turn(r#""hello!""#, ""), base);
    let image = |more: &str| {
        turn(
            &format!(r#"[{{"type":"image","source":{{"data":"AA"}}{more}}}]"#),
            "",
        )
    };
    assert_eq!(image(r#","cache_control":{}"#), image(""));
    assert_ne!(image(r#","other":{}"#), image(""));
}

#[test]
fn model_tools_and_system_tell_sessions_apart() {
    let base = session(r#"{"model":"m","tools":[1],"system":"s","messages":[]}"#);
    for other in [
        r#"{"model":"n","tools":[1],"system":"s","messages":[]}"#,
        r#"{"model":"m","tools":[2],"system":"s","messages":[]}"#,
        r#"{"model":"m","tools":[1],"system":"t","messages":[]}"#,
        r#"{"model":"m","system":"s","messages":[]}"#,
    ] {
        assert_ne!(session(other), base, "{other}");
    }
}

#[test]
fn the_attribution_block_counts_for_nothing() {
    let rest = format!(
        r#"{{"type":"text","text":"{}","cache_control":{{"type":"ephemeral"}}}}"#,
        "x".repeat(LONG)
    );
    let attributed = |cch: &str| {
        with_system(&format!(
            r#"[{{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch={cch};"}}, {rest}]"#
        ))
    };
    let bare = with_system(&format!("[{rest}]"));
    assert!(prefix(&bare).is_some());
    assert_eq!(prefix(&attributed("1")), prefix(&attributed("2")));
    assert_eq!(prefix(&attributed("1")), prefix(&bare));
    assert_eq!(session(&attributed("1")), session(&bare));
    let other = with_system(&format!(r#"[{{"type":"text","text":"y"}},{rest}]"#));
    assert_ne!(prefix(&other), prefix(&bare));
}

#[test]
fn a_prefix_is_waited_for_if_it_is_cached_and_long_enough() {
    let block = |bytes: usize, more: &str| {
        with_system(&format!(
            r#"[{{"type":"text","text":"{}"{more}}}]"#,
            "x".repeat(bytes)
        ))
    };
    let breakpoint = r#","cache_control":{"type":"ephemeral"}"#;
    assert!(prefix(&block(LONG, breakpoint)).is_some());
    assert_eq!(prefix(&block(LONG, "")), None);
    assert_eq!(prefix(&block(1000, breakpoint)), None);
    let quoted = with_system(&format!(
        r#""{} \"cache_control\" is only spoken of""#,
        "x".repeat(LONG)
    ));
    assert_eq!(prefix(&quoted), None);
    assert_eq!(prefix("{}"), None);
}

#[test]
fn whatever_stands_there_has_a_key() {
    for body in [
        "{}",
        r#"{"system":7,"messages":{}}"#,
        r#"{"messages":[7,{"role":"user"}]}"#,
        r#"{"messages":[{"role":"user","content":[7,"x"]}],"system":[[[]],7]}"#,
    ] {
        assert_eq!(session(body), session(body));
    }
}
