//! What is looked for: words of free text, and words about one thing, such as `status>=400`.
//!
//! In: a line as it is typed, and what there is to say of a row. Out: whether the row is meant. A word
//! about something that a row does not have is free text.

/// What there is to say of a row.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// Texts, by the word that asks for them.
    pub(super) texts: Vec<(&'static str, &'a str)>,
    /// Numbers, by their word; `None` for what is not known.
    pub(super) numbers: Vec<(&'static str, Option<f64>)>,
    /// What is so or is not.
    pub(super) marks: Vec<(&'static str, bool)>,
}

/// Words about numbers, with what they look like.
const NUMBERS: &[(&str, &str)] = &[
    ("status", "status>=400"),
    ("slow", "slow:>5s"),
    ("ttfe", "ttfe:>2s"),
    ("cost", "cost:>0.1"),
];
/// Words about texts and marks.
const TEXTS: &[&str] = &[
    "provider", "model", "session", "agent", "key", "outcome", "state", "level", "name", "hop",
];
/// How a word may compare, the longest first.
const SIGNS: &[&str] = &[":>=", ":<=", ":>", ":<", ">=", "<=", ">", "<", ":", "="];

/// Returns every word that can be typed, for completion.
pub(super) fn words() -> impl Iterator<Item = String> {
    let numbers = NUMBERS.iter().map(|(name, _)| format!("{name}:"));
    TEXTS.iter().map(|name| format!("{name}:")).chain(numbers)
}

/// Takes a word apart: what it is about, how it compares, with what.
fn parts(word: &str) -> Option<(&str, &str, &str)> {
    let at = word.find([':', '<', '>', '='])?;
    let (name, rest) = word.split_at_checked(at)?;
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
    Some((name, sign, rest.strip_prefix(sign)?))
}

/// Returns a number as people write it: `5s`, `300ms`, `2m`, `$0.1`; seconds where it is a time.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start_matches('$');
    let (digits, unit) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 0.001)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1.0)
    } else if let Some(digits) = text.strip_suffix('m') {
        (digits, 60.0)
    } else {
        (text, 1.0)
    };
    let number: f64 = digits.parse().ok()?;
    number.is_finite().then_some(number * unit)
}

/// Says what is wrong with a filter, and how it is meant.
pub(super) fn fault(filter: &str) -> Option<String> {
    filter.split_whitespace().find_map(|word| {
        let (name, _, value) = parts(word)?;
        let (_, like) = NUMBERS.iter().find(|(known, _)| *known == name)?;
        let is_number = !value.is_empty() && number(value).is_none();
        is_number.then(|| format!("{word}: write it like {like}"))
    })
}

/// Tells whether all words of a filter are true of a row.
pub(super) fn matches(filter: &str, facts: &Facts<'_>) -> bool {
    filter.split_whitespace().all(|word| is_true(word, facts))
}

fn is_true(word: &str, facts: &Facts<'_>) -> bool {
    let Some((name, sign, value)) = parts(word) else {
        return is_in_any(word, facts);
    };
    if let Some((_, known)) = facts.numbers.iter().find(|it| it.0 == name) {
        return compares(name, sign, value, *known);
    }
    if let Some((_, mark)) = facts.marks.iter().find(|it| it.0 == name) {
        return matches!(value, "yes" | "") == *mark;
    }
    let mut about = facts.texts.iter().filter(|it| it.0 == name).peekable();
    if about.peek().is_some() {
        return about.any(|it| contains(it.1, value));
    }
    is_in_any(word, facts)
}

fn compares(name: &str, sign: &str, value: &str, known: Option<f64>) -> bool {
    // A word that is not finished yet hides nothing.
    if value.is_empty() {
        return true;
    }
    let (Some(known), Some(wanted)) = (known, number(value)) else {
        return false;
    };
    match sign.trim_start_matches(':') {
        ">" => known > wanted,
        ">=" => known >= wanted,
        "<" => known < wanted,
        "<=" => known <= wanted,
        // `status:4` is every status that begins so.
        _ if name == "status" => format!("{known:.0}").starts_with(value),
        _ => known >= wanted,
    }
}

fn is_in_any(word: &str, facts: &Facts<'_>) -> bool {
    facts.texts.iter().any(|it| contains(it.1, word))
}

/// Finds a part of a text, whatever its case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_says_what_it_is_about() {
        let facts = Facts {
            texts: vec![("provider", "zai"), ("model", "Sonnet-5"), ("agent", "a1")],
            numbers: vec![("status", Some(429.0)), ("slow", Some(6.2)), ("cost", None)],
            marks: vec![("hop", true)],
        };
        for word in [
            "",
            "zai",
            "sonnet",
            "provider:za",
            "provider=zai",
            "status:4",
            "status:429",
            "status>=400",
            "status:>428",
            "status<500",
            "slow:>5s",
            "slow:6200ms",
            "slow:<1m",
            "hop:yes",
            "status:",
            "slow:>",
            "zai sonnet hop:yes status>400",
        ] {
            assert!(matches(word, &facts), "{word}");
        }
        for word in [
            "anthropic",
            "provider:sonnet",
            "status>429",
            "status:5",
            "slow:>7s",
            "slow:>much",
            "hop:no",
            // What is not known is neither more nor less.
            "cost:>0",
            "cost:<9",
            "zai anthropic",
        ] {
            assert!(!matches(word, &facts), "{word}");
        }
    }

    #[test]
    fn what_is_no_number_is_said() {
        assert_eq!(fault("zai slow:>5s status>=400 cost:"), None);
        let said = fault("slow:>much").unwrap();
        assert_eq!(said, "slow:>much: write it like slow:>5s");
    }
}
