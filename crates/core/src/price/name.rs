//! One name for a model that many write in many ways.
//!
//! In: a model as a client, a cloud or a reseller writes it. Out: the vendor's own name without date
//! and version suffix. It must never guess a family: what it does not know stays as it is.

/// Returns the plain name of a model: lower case, without path or vendor prefix
/// (`anthropic/…`, `us.anthropic.…`, the ARN of an inference profile), date (`-20251001`,
/// `@20251001`), version (`-v1:0`), variant (`[1m]`, `:beta`) or `-latest`, and with dashes between
/// numbers (`4.5` is `4-5`).
pub fn plain_name(model: &str) -> String {
    let mut name = model.trim();
    name = name.rsplit_once('/').map_or(name, |(_, last)| last);
    name = name.split(['[', '@', ':']).next().unwrap_or(name);
    let mut plain = name.to_ascii_lowercase();
    if let Some(at) = plain.find("anthropic.") {
        plain.drain(..at.saturating_add("anthropic.".len()));
    }
    if plain.starts_with("claude") {
        plain = plain.replace('.', "-");
    }
    while let Some((rest, last)) = plain.rsplit_once('-') {
        if rest.is_empty() || !is_suffix(last) {
            break;
        }
        plain.truncate(rest.len());
    }
    plain
}

/// Tells whether a name asks for an answer out of one geography, as those of Bedrock's inference
/// profiles do: `eu.anthropic.…`, but neither `global.anthropic.…` nor `anthropic.…`.
pub(super) fn is_geographic(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((before, _)) = name.split_once(".anthropic.") else {
        return false;
    };
    let last = before.rsplit('/').next();
    last.is_some_and(|last| !["global", "us-gov"].contains(&last))
}

/// Tells whether the last part of a name says only which release of a model it is.
fn is_suffix(last: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let date = last.len() == 8 && digits(last);
    date || last == "latest" || last.strip_prefix('v').is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_a_geography_is_one() {
        for (name, geographic) in [
            ("us.anthropic.claude-opus-5-5", true),
            ("EU.anthropic.claude-opus-5-5-v1:0", true),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/jp.anthropic.claude-sonnet-5",
                true,
            ),
            // Dear by its regions.
            ("us-gov.anthropic.claude-opus-5-5", false),
            ("global.anthropic.claude-opus-5-5", false),
            ("anthropic.claude-opus-5-5", false),
            ("claude-opus-5-5", false),
            ("glm-5", false),
        ] {
            assert_eq!(is_geographic(name), geographic, "{name}");
        }
    }

    #[test]
    fn every_spelling_has_one_name() {
        for (written, plain) in [
            ("claude-opus-5-5", "claude-opus-5-5"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("claude-opus-4-8[1m]", "claude-opus-4-8"),
            ("claude-sonnet-4-6-20260101[1m]", "claude-sonnet-4-6"),
            ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
            (
                "openrouter/anthropic/claude-opus-5.5:beta",
                "claude-opus-5-5",
            ),
            ("anthropic.claude-opus-4-8", "claude-opus-4-8"),
            (
                "us.anthropic.claude-haiku-4-5-20251001-v1:0",
                "claude-haiku-4-5",
            ),
            ("global.anthropic.claude-opus-4-8-v1", "claude-opus-4-8"),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-5-v1:0",
                "claude-sonnet-5",
            ),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("vertex_ai/claude-opus-5@latest", "claude-opus-5"),
            ("claude-opus-5-latest", "claude-opus-5"),
            (" Claude-Opus-5 ", "claude-opus-5"),
            ("glm-4.6", "glm-4.6"),
            ("z-ai/glm-4.6:free", "glm-4.6"),
            ("kimi-k2-0905-preview", "kimi-k2-0905-preview"),
            ("-20251001", "-20251001"),
            ("", ""),
        ] {
            assert_eq!(plain_name(written), plain, "{written}");
        }
    }
}
