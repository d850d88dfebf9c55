//! What an upstream may be unable to take: a feature of the Messages API, by name.

use std::fmt;

/// A feature, named by its beta (`context-management-2025-06-27`) or by its field of the body
/// (`service_tier`). Which header and fields belong together is known to the dialect.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability(Box<str>);

impl Capability {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 96;

    /// Takes a name as upstreams write it; `None` if it cannot be one.
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte);
        (fits && name.bytes().all(is_name)).then(|| Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
