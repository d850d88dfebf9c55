//! Cuts a body into chunks, so that what one request has in common with another is kept once.
//!
//! In: the bytes of a request, whole or only their start. Out: ranges that follow each other from the
//! first byte to the last. Each turn of a conversation sends all turns before it again: the cuts lie
//! around messages, their blocks and what is long in these, and around other long members, so that a
//! turn adds only what it says anew. What is no JSON is one chunk.

use std::ops::Range;

use relay_core::scan::{Elements, Members};

/// Bytes from which on a value is worth a chunk of its own: one takes about a hundred more.
const LONG: usize = 256;

/// Returns the chunks of a body, in order. Empty for an empty one.
pub(crate) fn chunks(body: &[u8]) -> Vec<Range<usize>> {
    let mut cuts = vec![0, body.len()];
    // A member that cannot be read ends the body's structure: what follows is one chunk.
    for member in Members::of(body)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
    {
        if member.key(body).as_ref() == b"messages" {
            messages(body, member.value, &mut cuts);
        } else {
            around_long(&member.value, &mut cuts);
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let pairs = cuts.iter().zip(cuts.iter().skip(1));
    pairs.map(|(from, to)| *from..*to).collect()
}

fn messages(body: &[u8], array: Range<usize>, cuts: &mut Vec<usize>) {
    for message in elements(body, &array) {
        around(&message, cuts);
        for member in members(body, &message) {
            for block in elements(body, &member) {
                around(&block, cuts);
                for value in members(body, &block) {
                    around_long(&value, cuts);
                }
            }
        }
    }
}

/// Returns the elements of an array, by their place in the body; none of anything else, nor of what
/// is short as a whole.
fn elements<'a>(
    body: &'a [u8],
    array: &Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let start = array.start;
    let text = body.get(array.clone()).filter(|text| text.len() >= LONG);
    let elements = text.and_then(|text| Elements::of(text).ok());
    let elements = elements.into_iter().flatten().map_while(Result::ok);
    elements.map(move |it| shifted(&it, start))
}

/// Returns the values of an object's members, likewise.
fn members<'a>(
    body: &'a [u8],
    object: &Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let start = object.start;
    let text = body.get(object.clone()).filter(|text| text.len() >= LONG);
    let members = text.and_then(|text| Members::of(text).ok());
    let members = members.into_iter().flatten().map_while(Result::ok);
    members.map(move |it| shifted(&it.value, start))
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}

fn around(value: &Range<usize>, cuts: &mut Vec<usize>) {
    cuts.extend([value.start, value.end]);
}

fn around_long(value: &Range<usize>, cuts: &mut Vec<usize>) {
    if value.len() >= LONG {
        around(value, cuts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(body: &str) -> Vec<&str> {
        chunks(body.as_bytes())
            .into_iter()
            .map(|it| body.get(it).unwrap())
            .collect()
    }

    #[test]
    fn a_turn_adds_only_what_it_says() {
        let long = |letter: &str| letter.repeat(LONG);
        let block = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#);
        let message = |text: &str| format!(r#"{{"role":"user","content":[{}]}}"#, block(text));
        let body = |messages: &[String]| {
            format!(
                r#"{{"model":"m","messages":[{}],"tools":["{}"],"max_tokens":9}}"#,
                messages.join(","),
                long("t")
            )
        };
        let one = body(&[message(&long("a"))]);
        let two = body(&[message(&long("a")), message("short"), message(&long("b"))]);
        let (one, two) = (texts(&one), texts(&two));
        let new: Vec<&&str> = two.iter().filter(|it| !one.contains(it)).collect();
        let quoted = format!(r#""{}""#, long("b"));
        assert_eq!(
            new,
            [&",", &&*message("short"), &",", &&*quoted],
            "{two:#?}"
        );
    }

    #[test]
    fn what_is_no_json_is_one_chunk() {
        assert_eq!(texts("event: ping\n\n"), ["event: ping\n\n"]);
        assert!(texts("").is_empty());
        // Cut off in the middle: the whole part has its chunks.
        let text = "x".repeat(LONG);
        let cut = format!(r#"{{"system":"{text}","messages":[{{"role":"us"#);
        assert_eq!(texts(&cut).len(), 3);
    }

    proptest! {
        #[test]
        fn chunks_are_the_body(body in prop_oneof![
            "[\\[\\]{}\",:a\\\\ ]{0,600}",
            "\\{\"messages\":\\[(\\{\"content\":\\[(\"[a-z]{0,300}\",?){0,4}\\]\\},?){0,4}\\]",
        ]) {
            let mut at = 0;
            for chunk in chunks(body.as_bytes()) {
                prop_assert_eq!(chunk.start, at);
                prop_assert!(chunk.end > chunk.start);
                at = chunk.end;
            }
            prop_assert_eq!(at, body.len());
        }
    }
}
