//! A configuration's text that may be shown, and put back together.
//!
//! In: a text. Out: the same with a mark for each credential in it, `<secret:1f2e3d4c>`: the start of
//! its SHA-256. Whoever edits what is shown, gives it back with its marks, and the credentials are
//! put in again. References such as `${NAME}` hold no credential and stay.

use std::collections::BTreeMap;
use std::ops::Range;

use relay_core::secret::SecretDigest;

use crate::load::Format;
use crate::mask::{self, SECRET_KEYS};
use crate::schema::Schema;
use crate::tree::{self, Kind, Node};

/// How a mark begins and ends.
const MARK: (&str, &str) = ("<secret:", ">");
/// Hexadecimal digits of a mark.
const DIGITS: usize = 8;

/// A mark stands for a credential that the file does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} stands for no credential of the file")]
pub struct UnknownMark(String);

/// Returns a text with marks in place of its credentials.
pub fn seal(text: &str, format: Format) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in credentials(text, format) {
        out.push_str(text.get(from..range.start).unwrap_or_default());
        out.push_str(&mark(text.get(range.clone()).unwrap_or_default()));
        from = range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Puts the credentials of `original` back where their marks stand.
///
/// # Errors
/// [`UnknownMark`] for a mark that stands for none of them.
pub fn unseal(sealed: &str, original: &str, format: Format) -> Result<String, UnknownMark> {
    let ranges = credentials(original, format).into_iter();
    let texts = ranges.filter_map(|range| original.get(range));
    let known: BTreeMap<String, &str> = texts.map(|text| (mark(text), text)).collect();
    let mut out = String::with_capacity(sealed.len());
    let mut rest = sealed;
    while let Some((before, after)) = rest.split_once(MARK.0) {
        out.push_str(before);
        let end = after.find(MARK.1).filter(|end| *end == DIGITS);
        let Some((digits, behind)) = end.and_then(|end| after.split_at_checked(end)) else {
            out.push_str(MARK.0);
            rest = after;
            continue;
        };
        let found = format!("{}{digits}{}", MARK.0, MARK.1);
        out.push_str(known.get(&found).ok_or(UnknownMark(found))?);
        rest = behind.strip_prefix(MARK.1).unwrap_or(behind);
    }
    out.push_str(rest);
    Ok(out)
}

fn mark(credential: &str) -> String {
    let id = SecretDigest::of(credential.as_bytes()).id();
    let digits: String = id.as_str().chars().take(DIGITS).collect();
    format!("{}{digits}{}", MARK.0, MARK.1)
}

/// Returns where credentials stand, in order and apart from each other.
fn credentials(text: &str, format: Format) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let tree = tree::read(text, format);
    if let Ok(tree) = &tree {
        walk(tree, false, &mut ranges);
    }
    // What no tree explains is hidden rather too much than too little.
    let schema = tree.is_err().then(Schema::new);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let found = match &schema {
            Some(schema) => mask::blind(content, &schema.known),
            None => mask::suspicious(content),
        };
        let of_text = |range: Range<usize>| {
            range.start.saturating_add(start)..range.end.saturating_add(start)
        };
        ranges.extend(found.into_iter().map(of_text));
        start = start.saturating_add(line.len());
    }
    let holds = |range: &Range<usize>| {
        text.get(range.clone())
            .is_some_and(|part| !part.trim().is_empty() && !is_mark(part))
    };
    mask::merged(ranges).into_iter().filter(holds).collect()
}

/// Tells whether a part is a mark already: it holds nothing.
fn is_mark(part: &str) -> bool {
    part.contains(MARK.0)
}

fn walk(node: &Node, secret: bool, ranges: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                let scalar = !matches!(value.kind, Kind::Map(_) | Kind::List(_));
                walk(
                    value,
                    scalar && SECRET_KEYS.contains(&key.name.as_str()),
                    ranges,
                );
            }
        }
        Kind::List(items) => {
            for item in items {
                walk(item, false, ranges);
            }
        }
        Kind::Text(text) if secret && !names_one(text) => ranges.push(node.origin.clone()),
        Kind::Integer(_) | Kind::Float | Kind::Date if secret => ranges.push(node.origin.clone()),
        Kind::Text(_)
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Integer(_)
        | Kind::Float
        | Kind::Date => {}
    }
}

/// Tells whether a text names a credential and holds none: `${NAME}`, `${file:/path}`. A default
/// within it would be one.
fn names_one(text: &str) -> bool {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains(['$', '}']) && !name.contains(":-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const YAML: &str = "# my key was sk-ant-api03-old-old-old-old\nserver: {auth: {api_key: 'relay-password'}}\nproviders:\n  - name: a\n    type: anthropic\n    keys:\n      - key: sk-ant-one-0000000000001234 # the first\n        name: k1\n      - {key: \"${KEY_TWO}\", name: k2}\n";

    #[test]
    fn credentials_are_marked_and_nothing_else() {
        let sealed = seal(YAML, Format::Yaml);
        for secret in ["relay-password", "sk-ant-one", "sk-ant-api03"] {
            assert!(!sealed.contains(secret), "{sealed}");
        }
        for kept in ["type: anthropic", "# the first", "${KEY_TWO}", "name: k1"] {
            assert!(sealed.contains(kept), "{kept}: {sealed}");
        }
        assert_eq!(unseal(&sealed, YAML, Format::Yaml).unwrap(), YAML);
    }

    #[test]
    fn an_edited_text_gets_its_credentials_back() {
        let edited = seal(YAML, Format::Yaml).replace("name: k1", "name: first");
        let back = unseal(&edited, YAML, Format::Yaml).unwrap();
        assert_eq!(back, YAML.replace("name: k1", "name: first"));
        let foreign = "key: <secret:00000000>";
        let error = unseal(foreign, YAML, Format::Yaml).unwrap_err();
        assert_eq!(error, UnknownMark("<secret:00000000>".to_owned()));
    }

    #[test]
    fn a_broken_text_is_sealed_all_the_same() {
        let broken = format!("{YAML}  [oops: 'sk-ant-two-000000000000\n");
        let sealed = seal(&broken, Format::Yaml);
        assert!(!sealed.contains("sk-ant-"), "{sealed}");
        assert!(!sealed.contains("relay-password"), "{sealed}");
        assert_eq!(unseal(&sealed, &broken, Format::Yaml).unwrap(), broken);
    }

    proptest! {
        #[test]
        fn what_is_sealed_can_be_put_back(text in "([ -~\n]|sk-ant-[a-z0-9]{4,30}|key: ){0,60}", toml in any::<bool>()) {
            let format = if toml { Format::Toml } else { Format::Yaml };
            let sealed = seal(&text, format);
            prop_assert_eq!(unseal(&sealed, &text, format).unwrap(), text);
        }
    }
}
