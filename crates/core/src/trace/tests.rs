//! What is read of a `traceparent`, and what is said in the next.

use proptest::prelude::*;

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn numbers() -> impl FnMut() -> u64 {
    let mut last = 0;
    move || {
        last += 1;
        crate::chance::mix(last)
    }
}

#[test]
fn the_specifications_example_is_read() {
    let parent = TraceParent::parse(PARENT).unwrap();
    assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parent.span.to_string(), "00f067aa0ba902b7");
    assert!(parent.is_sampled());
    assert_eq!(parent.to_string(), PARENT);
    assert_eq!(
        parent.span.bytes(),
        [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
}

#[test]
fn what_is_not_exactly_in_form_is_absent() {
    for text in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47366-0f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
    ] {
        assert_eq!(TraceParent::parse(text), None, "{text}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let known = TraceParent::parse(PARENT);
    for text in [
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-f9",
    ] {
        assert_eq!(TraceParent::parse(text), known, "{text}");
    }
}

#[test]
fn said_twice_it_says_nothing() {
    assert!(TraceParent::of(&headers(&[("traceparent", PARENT)])).is_some());
    let twice = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
    assert_eq!(TraceParent::of(&twice), None);
}

#[test]
fn without_tracing_only_the_clients_word_counts() {
    let trace = Trace::begin(&headers(&[("traceparent", PARENT)]), None, numbers()).unwrap();
    assert_eq!(trace.id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((trace.span, trace.is_recorded()), (None, false));
    assert_eq!(Trace::begin(&HeaderMap::new(), None, numbers()), None);
}

#[test]
fn the_clients_choice_comes_before_the_relays() {
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    for (said, percent, recorded) in [(PARENT, 0, true), (UNSAMPLED, 100, false)] {
        let headers = headers(&[("traceparent", said)]);
        let trace = Trace::begin(&headers, Some(Sampling { percent }), numbers()).unwrap();
        assert_eq!(trace.is_recorded(), recorded, "{said} {percent}");
    }
    for (percent, recorded) in [(0, false), (100, true)] {
        let trace = Trace::begin(&HeaderMap::new(), Some(Sampling { percent }), numbers());
        assert_eq!(trace.unwrap().is_recorded(), recorded, "{percent}");
    }
}

#[test]
fn a_state_goes_on_with_its_trace_alone() {
    let sampling = Some(Sampling { percent: 100 });
    let mut with = headers(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]);
    let trace = Trace::begin(&with, sampling, numbers()).unwrap();
    let attempt = SpanId::drawn(0xabc);
    trace.put(attempt, &mut with);
    let said = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01";
    assert_eq!(with["traceparent"], said);
    assert_eq!(with["tracestate"], "a=1,b=2");
    let mut without = headers(&[("traceparent", "00-nonsense"), ("tracestate", "a=1")]);
    let trace = Trace::begin(&without, sampling, numbers()).unwrap();
    trace.put(attempt, &mut without);
    assert_eq!(trace.parent, None);
    assert!(!without.contains_key("tracestate"));
    assert_eq!(without.get_all("traceparent").iter().count(), 1);
    assert!(TraceParent::of(&without).is_some_and(TraceParent::is_sampled));
}

#[test]
fn so_many_in_a_hundred_are_recorded() {
    let mut draw = numbers();
    let ids: Vec<TraceId> = (0..20_000)
        .map(|_| TraceId::drawn(draw(), draw()))
        .collect();
    for percent in [0, 1, 25, 50, 99, 100] {
        let found = ids.iter().filter(|id| id.is_among(percent)).count();
        let wanted = usize::from(percent) * 200;
        assert!(found.abs_diff(wanted) <= 250, "{percent}: {found}");
    }
    // Who is among few is among more.
    assert!(ids.iter().all(|id| !id.is_among(25) || id.is_among(50)));
}

proptest! {
    #[test]
    fn what_is_said_is_read_again(high: u64, low: u64, span: u64, flags in 0_u8..4) {
        let said = TraceParent { trace: TraceId::drawn(high, low), span: SpanId::drawn(span), flags };
        let text = said.to_string();
        prop_assert_eq!(text.len(), 55);
        prop_assert_eq!(TraceParent::parse(&text), Some(said));
    }

    #[test]
    fn no_text_is_read_otherwise_than_it_is_written(text in "(00-[0-9a-fA-F]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.*)?|\\PC*)") {
        if let Some(parent) = TraceParent::parse(&text) {
            let said = parent.to_string();
            prop_assert_eq!(said.get(3..53), text.get(3..53));
        }
    }
}
