//! Cuts members out of a body by their paths.
//!
//! In: a JSON object and paths. Out: edits, in order, that take each named member with one comma.
//! It must never touch anything else, and nothing at all in a body that it cannot read.
//!
//! A path is made of names and dots: `thinking.display`; `[]` stands for every element of an array:
//! `tools[].defer_loading`. An object below the top level that loses all its members goes too. There
//! is no path for "at any depth": a tool's input may hold any name, and is not ours to cut.

use std::ops::Range;

use relay_core::scan::{Elements, Member, Members};

use crate::splice::Edit;

/// Deepest nesting that is looked into.
const MOST_LEVELS: usize = 64;

/// Returns the edits that cut these paths out of a body. Empty if none is there, or the body is no
/// object by structure.
pub fn cut(body: &[u8], paths: &[&str]) -> Vec<Edit> {
    let mut cutter = Cutter {
        body,
        edits: Vec::new(),
    };
    let wanted: Vec<Path<'_>> = paths.iter().map(|path| Path(path)).collect();
    let needles: Vec<&[u8]> = wanted.iter().filter_map(|path| path.last_name()).collect();
    let occurs = |name: &&[u8]| memchr::memmem::find(body, name).is_some();
    if !needles.iter().any(occurs) {
        return Vec::new();
    }
    match cutter.object(0..body.len(), &wanted, (0, true)) {
        Some(_) => cutter.edits,
        None => Vec::new(),
    }
}

/// Tells whether a body has a member at this path.
pub fn has(body: &[u8], path: &str) -> bool {
    !cut(body, &[path]).is_empty()
}

/// Returns the edit that puts a member first in a body that has other members. `value` is JSON.
pub fn put(body: &[u8], name: &str, value: &str) -> Option<Edit> {
    let open = body.iter().position(|byte| *byte == b'{')?.checked_add(1)?;
    Some(Edit {
        range: open..open,
        with: format!("\"{name}\":{value},").into_bytes(),
    })
}

/// Puts edits of different origin in order: what is put in stands before what is cut at the same
/// place, and one inside another goes.
pub fn in_order(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| {
        let cuts = !edit.range.is_empty();
        (edit.range.start, cuts, std::cmp::Reverse(edit.range.end))
    });
    let mut end = 0;
    edits.retain(|edit| {
        let is_inside = edit.range.end <= end && edit.range.start < end;
        end = end.max(edit.range.end);
        !is_inside
    });
    edits
}

/// What is left of a path.
#[derive(Debug, Clone, Copy)]
struct Path<'a>(&'a str);

impl<'a> Path<'a> {
    /// The name that stands last: a body without it has nothing to cut.
    fn last_name(self) -> Option<&'a [u8]> {
        let last = self.0.rsplit(['.', ']']).next()?;
        (!last.is_empty()).then_some(last.as_bytes())
    }

    /// What a member of this name is asked for.
    fn below(self, name: &[u8]) -> Below<'a> {
        let (first, rest) = match self.0.find(['.', '[']) {
            Some(at) => self.0.split_at(at),
            None => (self.0, ""),
        };
        match rest.strip_prefix('.').unwrap_or(rest) {
            _ if first.as_bytes() != name => Below::Nothing,
            "" => Below::Itself,
            rest => Below::Within(Self(rest)),
        }
    }

    /// What each element of an array is asked for.
    fn of_elements(self) -> Option<Self> {
        self.0.strip_prefix("[].").map(Self)
    }
}

/// What a path says of a member.
enum Below<'a> {
    Nothing,
    Itself,
    Within(Path<'a>),
}

struct Cutter<'b> {
    body: &'b [u8],
    edits: Vec<Edit>,
}

impl Cutter<'_> {
    /// Cuts within one object. Returns whether nothing of it would be left, unless it `stays` then.
    fn object(
        &mut self,
        at: Range<usize>,
        paths: &[Path<'_>],
        (level, stays): (usize, bool),
    ) -> Option<bool> {
        let text = self.body.get(at.clone())?;
        let members: Vec<Member> = Members::of(text).ok()?.collect::<Result<_, _>>().ok()?;
        let mut gone = Vec::with_capacity(members.len());
        for member in &members {
            let name = member.key(text);
            let mut inner = Vec::new();
            let mut goes = false;
            for path in paths {
                match path.below(&name) {
                    Below::Within(path) => inner.push(path),
                    Below::Itself => goes = true,
                    Below::Nothing => {}
                }
            }
            let value = shifted(&at, &member.value);
            if !goes && !inner.is_empty() {
                let before = self.edits.len();
                goes = self.value(value, &inner, (level.checked_add(1)?, false))?;
                if goes {
                    self.edits.truncate(before);
                }
            }
            gone.push(goes);
        }
        let spans: Vec<Range<usize>> = members
            .iter()
            .map(|member| member.key.start.saturating_sub(1)..member.value.end)
            .map(|span| shifted(&at, &span))
            .collect();
        let all = !gone.is_empty() && gone.iter().all(|gone| *gone);
        if all && !stays {
            return Some(true);
        }
        self.take(&spans, &gone)?;
        Some(false)
    }

    fn value(
        &mut self,
        at: Range<usize>,
        paths: &[Path<'_>],
        (level, stays): (usize, bool),
    ) -> Option<bool> {
        if level > MOST_LEVELS {
            return Some(false);
        }
        match self.body.get(at.start) {
            Some(b'{') => self.object(at, paths, (level, stays)),
            Some(b'[') => {
                let inner: Vec<Path<'_>> =
                    paths.iter().filter_map(|path| path.of_elements()).collect();
                if inner.is_empty() {
                    return Some(false);
                }
                let text = self.body.get(at.clone())?;
                for element in Elements::of(text).ok()? {
                    let element = shifted(&at, &element.ok()?);
                    // An element keeps its place, even if nothing is left of it.
                    self.value(element, &inner, (level.checked_add(1)?, true))?;
                }
                Some(false)
            }
            _ => Some(false),
        }
    }

    /// Takes members out, each with one comma: that behind it, or for the last ones that before.
    fn take(&mut self, spans: &[Range<usize>], gone: &[bool]) -> Option<()> {
        let last_kept = gone.iter().rposition(|gone| !gone);
        for (place, span) in spans.iter().enumerate() {
            if !*gone.get(place)? {
                continue;
            }
            let range = match last_kept {
                Some(kept) if place < kept => span.start..spans.get(place.checked_add(1)?)?.start,
                None if place == 0 => span.clone(),
                Some(_) | None => spans.get(place.checked_sub(1)?)?.end..span.end,
            };
            let with = Vec::new();
            self.edits.push(Edit { range, with });
        }
        self.edits.sort_by_key(|edit| edit.range.start);
        Some(())
    }
}

fn shifted(outer: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
    let shift = |at: usize| outer.start.saturating_add(at);
    shift(inner.start)..shift(inner.end)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::splice::splice;

    fn without(body: &str, paths: &[&str]) -> String {
        let bytes = Bytes::from(body.to_owned());
        let edits = cut(&bytes, paths);
        String::from_utf8(splice(&bytes, &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_member_goes_with_one_comma() {
        for (body, paths, left) in [
            (r#"{"a":1,"b":2,"c":3}"#, &["a"][..], r#"{"b":2,"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b"], r#"{"a":1,"c":3}"#),
            (r#"{"a":1,"b":2 , "c":3 }"#, &["c"], r#"{"a":1,"b":2 }"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b", "c"], r#"{"a":1}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a", "c"], r#"{"b":2}"#),
            (r#"{ "a": 1, "b" : 2 }"#, &["a", "b"], "{  }"),
            (r#"{"a":1}"#, &["b"], r#"{"a":1}"#),
            (r#"{"a":1,"a":2,"b":0}"#, &["a"], r#"{"b":0}"#),
        ] {
            assert_eq!(without(body, paths), left, "{body} {paths:?}");
        }
    }

    #[test]
    fn paths_lead_into_objects_arrays_and_any_depth() {
        let body = r#"{"thinking":{"type":"adaptive","display":"x"},"tools":[{"name":"a","defer_loading":true},{"name":"b"},{"defer_loading":false}],"system":[{"text":"defer_loading","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"content":[{"cache_control":{"ttl":"5m"}, "text":"t"}]}],"output_config":{"effort":"low"}}"#;
        let paths = [
            "thinking.display",
            "tools[].defer_loading",
            "system[].cache_control.ttl",
            "messages[].content[].cache_control.ttl",
            "output_config.effort",
        ];
        assert_eq!(
            without(body, &paths),
            r#"{"thinking":{"type":"adaptive"},"tools":[{"name":"a"},{"name":"b"},{}],"system":[{"text":"defer_loading","cache_control":{"type":"ephemeral"}}],"messages":[{"content":[{"text":"t"}]}]}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for body in [r#"{"a":1"#, r#"["a"]"#, "", r#"{"a":1,}"#] {
            assert!(cut(body.as_bytes(), &["a"]).is_empty(), "{body}");
        }
    }

    #[test]
    fn an_edit_inside_another_goes() {
        let edit = |range: Range<usize>| Edit {
            range,
            with: Vec::new(),
        };
        let ordered = in_order(vec![edit(5..6), edit(4..9), edit(1..2), edit(9..9)]);
        assert_eq!(ordered, [edit(1..2), edit(4..9), edit(9..9)]);
    }

    #[test]
    fn a_member_comes_first_whatever_goes() {
        let body = Bytes::from_static(br#" { "model":"m", "x":1}"#);
        let mut edits = cut(&body, &["model"]);
        edits.extend(put(&body, "v", "\"2\""));
        let said = splice(&body, &in_order(edits)).unwrap();
        assert_eq!(&said[..], br#" {"v":"2", "x":1}"#);
    }

    fn value(depth: u32) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::from),
            "[a-d]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(depth, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same by way of a tree.
    fn oracle(value: &mut Value, path: &[&str], level: usize) -> bool {
        match (value, path) {
            (Value::Object(map), [name]) => {
                let had = map.remove(*name).is_some();
                had && map.is_empty() && level > 0
            }
            (Value::Object(map), [name, rest @ ..]) => {
                let empty = map
                    .get_mut(*name)
                    .is_some_and(|inner| oracle(inner, rest, level + 1));
                if empty {
                    map.remove(*name);
                }
                empty && map.is_empty() && level > 0
            }
            _ => false,
        }
    }

    proptest! {
        /// What is left is what a tree without the member would be, byte for byte elsewhere.
        #[test]
        fn as_a_tree_would(
            members in prop::collection::btree_map("[a-d]", value(3), 0..4),
            path in prop::collection::vec("[a-d]", 1..4),
        ) {
            let mut tree = Value::Object(members.into_iter().collect());
            let body = serde_json::to_string(&tree).unwrap();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let left = without(&body, &[&path.join(".")]);
            oracle(&mut tree, &path, 0);
            prop_assert_eq!(left, serde_json::to_string(&tree).unwrap());
        }
    }
}
