//! Secrets and the names by which they may be spoken of.
//!
//! In: a credential as text. Out: the credential for the one place that sends it, and a
//! [`KeyId`] for every place that prints. A [`Secret`] has no `Debug`, `Display` or `Serialize`,
//! so no log line, panic or dump can show one.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A credential. It can be sent and compared, never printed.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "a secret must not be printable"
)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself. Only the code that puts it on the wire calls this.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the digest by which this credential is compared.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.as_bytes())
    }

    /// Returns the printable name of this credential.
    pub fn id(&self) -> KeyId {
        self.digest().id()
    }

    /// Returns the last four characters, or `None` for a credential shorter than 16 characters,
    /// of which four would be too much to tell.
    pub fn last_four(&self) -> Option<&str> {
        if self.0.len() < 16 {
            return None;
        }
        self.0.get(self.0.len().saturating_sub(4)..)
    }
}

/// A SHA-256 digest of a credential, compared in constant time.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "a digest of a weak secret tells it"
)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Digests the bytes of a credential.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Tells whether both digests are equal, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Returns the printable name: the first 12 hex digits of the digest.
    pub fn id(&self) -> KeyId {
        let mut name = [0_u8; 12];
        let digits = b"0123456789abcdef";
        for (pair, byte) in name.chunks_exact_mut(2).zip(self.0) {
            for (slot, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *slot = digits.get(usize::from(nibble)).copied().unwrap_or(b'?');
            }
        }
        KeyId(name)
    }
}

/// The printable name of a credential: 12 hex digits of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 12]);

impl KeyId {
    /// Returns the twelve hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_the_start_of_the_sha256() {
        let secret = Secret::new("abc");
        assert_eq!(secret.id().as_str(), "ba7816bf8f01");
    }

    #[test]
    fn digests_compare_by_value() {
        assert!(Secret::new("a").digest().matches(&SecretDigest::of(b"a")));
        assert!(!Secret::new("a").digest().matches(&SecretDigest::of(b"b")));
    }

    #[test]
    fn a_short_secret_shows_nothing() {
        assert_eq!(Secret::new("short").last_four(), None);
        assert_eq!(
            Secret::new("sk-ant-0123456789a91f").last_four(),
            Some("a91f")
        );
    }
}
