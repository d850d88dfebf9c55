//! Tokens that a service account signs itself (RFC 7519, RS256; <https://google.aip.dev/auth/4111>).
//! In: a token; out: whether it is well-formed, signed with the key of this run, and holds. Must
//! never be taken for a library of tokens.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;

/// The service account of the sim.
pub(super) const ACCOUNT: &str = "relay@sim.iam.gserviceaccount.com";

/// The id of its key.
pub(super) const KEY_ID: &str = "sim-key-1";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: Option<String>,
    aud: Option<String>,
    iat: u64,
    exp: u64,
}

/// A key made for this run.
pub(super) struct Signer(KeyPair);

impl Signer {
    pub(super) fn generate() -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)
            .context("make the service account's key")?;
        Ok(Self(key))
    }

    pub(super) fn private_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Checks a token that the account signed itself, for use as a bearer or as an assertion.
    pub(super) fn signed(&self, token: &str, now: Duration) -> anyhow::Result<()> {
        let (message, signature) = token.rsplit_once('.').context("no signature")?;
        let (header, claims) = message.split_once('.').context("no claims")?;
        let header: Header =
            serde_json::from_slice(&decoded(header)?).context("read the header")?;
        ensure!(header.alg == "RS256", "signed by {}", header.alg);
        ensure!(header.kid == KEY_ID, "signed with the key {}", header.kid);
        self.verify(message.as_bytes(), &decoded(signature)?)?;
        let claims: Claims =
            serde_json::from_slice(&decoded(claims)?).context("read the claims")?;
        ensure!(claims.iss == ACCOUNT, "issued by {}", claims.iss);
        ensure!(
            claims.iat <= now.as_secs().saturating_add(60),
            "issued in the future"
        );
        ensure!(claims.exp > now.as_secs(), "has ended");
        ensure!(
            claims.exp.saturating_sub(claims.iat) <= 3_700,
            "lives longer than an hour"
        );
        match (claims.scope, claims.aud) {
            (Some(scope), _) => ensure!(scope == SCOPE, "has the scope {scope}"),
            (None, Some(_)) => {}
            (None, None) => bail!("has neither scope nor audience"),
        }
        Ok(())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> anyhow::Result<()> {
        let known = aws_lc_rs::default_provider().signature_verification_algorithms;
        let (_, algorithms) = known
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256)
            .context("the provider has RSA")?;
        let algorithm = algorithms.first().context("the provider has RSA")?;
        if algorithm
            .verify_signature(self.0.der_bytes(), message, signature)
            .is_err()
        {
            bail!("the signature is not of this key");
        }
        Ok(())
    }
}

/// Decodes base64 with the URL alphabet and without padding (RFC 4648, section 5).
fn decoded(text: &str) -> anyhow::Result<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let place = ALPHABET.iter().position(|known| *known == letter);
        let six = place.context("not base64 for URLs")?;
        held = (held << 6 | u32::try_from(six)?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff)?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decoded("").unwrap(), b"");
        assert_eq!(decoded("Zg").unwrap(), b"f");
        assert_eq!(decoded("Zm9vYmE").unwrap(), b"fooba");
        assert_eq!(decoded("-_8").unwrap(), [0xfb, 0xff]);
        decoded("a=").unwrap_err();
    }

    #[test]
    fn a_token_of_another_hand_is_refused() {
        let signer = Signer::generate().unwrap();
        for token in ["", "a", "a.b.c", "e30.e30.e30"] {
            signer.signed(token, Duration::ZERO).unwrap_err();
        }
    }
}
