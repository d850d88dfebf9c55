//! Model classes: an organisation's limits hold for a class of models together.

use std::fmt;

/// Longest name that is told apart.
const MOST_BYTES: usize = 40;

/// A class of models that share limits: family and major version, as far as the name says them
/// (Anthropic's rate-limits page, read 2026-11-22).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelClass([u8; MOST_BYTES]);

impl ModelClass {
    /// Returns the class of a model: `claude-opus-4-8` and `claude-opus-4-5-20250929` are both
    /// `opus-4`. Anything that is no Claude is a class by itself.
    pub fn of(model: &str) -> Self {
        let name = model.trim_end_matches("[1m]");
        let claude = name.rsplit_once("claude-").map(|(_, rest)| rest);
        let mut parts = claude.unwrap_or_default().split('-');
        let (one, other) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let is_number = |part: &str| part.len() == 1 && part.bytes().all(|it| it.is_ascii_digit());
        // `claude-3-5-haiku` says its version first.
        let last = claude.unwrap_or_default().split('-').find(|it| {
            it.len() > 1 && it.bytes().all(|byte| byte.is_ascii_alphabetic()) && *it != "latest"
        });
        match (is_number(one), is_number(other), last) {
            (false, true, _) => Self::named(&[one, "-", other]),
            (true, _, Some(family)) => Self::named(&[family, "-", one]),
            _ => Self::named(&[name]),
        }
    }

    fn named(parts: &[&str]) -> Self {
        let mut name = [0; MOST_BYTES];
        let bytes = parts.iter().flat_map(|part| part.bytes());
        for (slot, byte) in name.iter_mut().zip(bytes) {
            *slot = byte;
        }
        Self(name)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(MOST_BYTES);
        let name = self.0.get(..end).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Debug for ModelClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_a_family_share_a_class() {
        let table = [
            ("claude-opus-4-8", "opus-4"),
            ("claude-opus-4-5-20250929", "opus-4"),
            ("claude-opus-5-5", "opus-5"),
            ("claude-sonnet-4-6[1m]", "sonnet-4"),
            ("us.anthropic.claude-haiku-5-5", "haiku-5"),
            ("claude-3-5-haiku-latest", "haiku-3"),
            ("claude-fable-5-2", "fable-5"),
            ("glm-5", "glm-5"),
            ("", ""),
        ];
        for (model, class) in table {
            assert_eq!(ModelClass::of(model).as_str(), class, "{model}");
        }
        let long = "x".repeat(500);
        assert_eq!(ModelClass::of(&long).as_str().len(), MOST_BYTES);
        assert_eq!(ModelClass::of("é").as_str(), "é");
    }
}
