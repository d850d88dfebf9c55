//! Which models Bedrock's Messages API (`bedrock-mantle`) has.
//!
//! In: the name of a model. Out: whether it is there. A model that is not known yet is taken to be
//! there: its newest ones come to it first.
//!
//! Source: the model cards of Amazon Bedrock, read 2026-08: every Claude model from version 4.7 on,
//! and Haiku 4.5.

/// Tells whether the Messages API has a model. Names of inference profiles and versions (with `:`),
/// and names of other regions' profiles (`us.anthropic.…`), belong to `InvokeModel`.
pub fn has(model: &str) -> bool {
    let name = model.strip_prefix("anthropic.").unwrap_or(model);
    let Some(rest) = name.strip_prefix("claude-").filter(|_| !name.contains(':')) else {
        return false;
    };
    let mut parts = rest.split('-');
    let Some(family) = parts.next() else {
        return false;
    };
    // Before version 4 the number came first: `claude-3-5-haiku`, `claude-instant-1`, `claude-v2`.
    if family == "instant" || !family.starts_with(|it: char| it.is_ascii_alphabetic()) {
        return false;
    }
    // What is longer is a date.
    let mut number = || parts.next()?.parse::<u8>().ok();
    let Some(major) = number() else {
        return false;
    };
    let minor = number().unwrap_or(0);
    (major, minor) >= (4, 7) || (family == "haiku" && (major, minor) == (4, 5))
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn models_from_4_7_on_and_haiku_4_5() {
        for there in [
            "claude-opus-4-7",
            "claude-opus-4-8-20260501",
            "claude-opus-5-5",
            "claude-sonnet-5",
            "claude-fable-5-2",
            "claude-haiku-4-5-20251001",
            "anthropic.claude-opus-5",
            "claude-sonnet-10",
        ] {
            assert!(has(there), "{there}");
        }
        for other in [
            "claude-opus-4-6",
            "claude-opus-4-20250514",
            "claude-sonnet-4-5-20250929",
            "claude-3-5-haiku-20241022",
            "claude-instant-1",
            "claude-v2",
            "claude-haiku",
            "us.anthropic.claude-opus-5-v1:0",
            "anthropic.claude-opus-5-v1:0",
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            "llama-4",
            "",
        ] {
            assert!(!has(other), "{other}");
        }
    }
}
