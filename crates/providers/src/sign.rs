//! AWS Signature Version 4.
//!
//! In: a request, what was issued, the time. Out: the same request with `authorization`,
//! `x-amz-date` and, for temporary credentials, `x-amz-security-token`. It signs the host and the
//! content type besides: nothing that anybody on the way may change. Signing again replaces what an
//! earlier signature put in. It is ours because AWS's crate needs a runtime, which nothing here may
//! pull in; the tests hold it to that crate's signatures.
//!
//! Source: "Create a signed AWS API request" in AWS's IAM guide (read 2026-11-22). The path is
//! escaped once more than it is sent, as every service but S3 wants it.

use std::borrow::Cow;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use relay_core::credential::UpstreamCredential;
use relay_core::error::RelayError;
use relay_core::identity::{Issued, IssuedForm};
use relay_core::provider::Encoded;
use relay_core::secret::Secret;
use sha2::{Digest as _, Sha256};

const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const UNSIGNED: RelayError = RelayError::Internal("a request cannot be signed");

/// For what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The service's name in signatures: `bedrock`, `bedrock-mantle`, `aws-external-anthropic`.
    pub service: &'static str,
    /// The region.
    pub region: Box<str>,
    /// The host, with its port where that is not the scheme's own: as the `host` header has it.
    pub host: Box<str>,
}

/// Returns the digest that a signature needs, for a body that AWS credentials sign. Made once,
/// however often the request is signed.
pub fn digest(credential: &UpstreamCredential, body: &[u8]) -> Option<[u8; 32]> {
    let is_signed = matches!(
        credential,
        UpstreamCredential::Issued(issued) if matches!(issued.form, IssuedForm::Aws { .. })
    );
    is_signed.then(|| Sha256::digest(body).into())
}

impl Signer {
    /// Signs a request with what was issued; does nothing for a token. `unix` is the time since the
    /// epoch.
    ///
    /// # Errors
    /// [`RelayError::Internal`] if the request cannot be signed.
    pub fn sign(
        &self,
        encoded: &mut Encoded,
        issued: &Issued,
        unix: Duration,
    ) -> Result<(), RelayError> {
        let IssuedForm::Aws {
            access_key_id,
            secret_access_key,
            session_token,
        } = &issued.form
        else {
            return Ok(());
        };
        let date = date(unix).ok_or(UNSIGNED)?;
        let headers = &mut encoded.headers;
        headers.remove(AUTHORIZATION);
        headers.insert(DATE, HeaderValue::from_str(&date).map_err(|_| UNSIGNED)?);
        match session_token {
            Some(token) => headers.insert(SECURITY_TOKEN, sensitive(token.expose())?),
            None => headers.remove(SECURITY_TOKEN),
        };
        let signed = self.signed(&encoded.headers).ok_or(UNSIGNED)?;
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let body = encoded.body_sha256;
        let body = body.unwrap_or_else(|| Sha256::digest(&encoded.body).into());
        let canonical = canonical(encoded, &signed, &names, &body);
        let day = date.get(..8).ok_or(UNSIGNED)?;
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let digest = hex(&Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let key = self.key(secret_access_key, day).ok_or(UNSIGNED)?;
        let signature = hex(&mac(&key, &to_sign).ok_or(UNSIGNED)?);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let authorization = sensitive(&authorization)?;
        encoded.headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }

    /// Returns the headers that are signed, by name.
    fn signed<'a>(&'a self, headers: &'a HeaderMap) -> Option<Vec<(&'static str, &'a str)>> {
        let mut signed = vec![("host", &*self.host)];
        for name in ["content-type", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = headers.get(name) {
                signed.push((name, value.to_str().ok()?.trim()));
            }
        }
        signed.sort_unstable();
        Some(signed)
    }

    fn key(&self, secret: &Secret, day: &str) -> Option<[u8; 32]> {
        let start = format!("AWS4{}", secret.expose());
        let key = mac(start.as_bytes(), day)?;
        let key = mac(&key, &self.region)?;
        let key = mac(&key, self.service)?;
        mac(&key, "aws4_request")
    }
}

fn mac(key: &[u8], text: &str) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

fn canonical(encoded: &Encoded, signed: &[(&str, &str)], names: &str, body: &[u8; 32]) -> String {
    let (path, query) = match encoded.path_and_query.split_once('?') {
        Some((path, query)) => (path, query),
        None => (&*encoded.path_and_query, ""),
    };
    let headers: String = signed
        .iter()
        .flat_map(|(name, value)| [name, ":", value, "\n"])
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        encoded.method,
        escaped(path.as_bytes(), b"-_.~/"),
        canonical_query(query),
        hex(body)
    )
}

/// Writes each name and value escaped in the one way that counts, in order.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| escaped(&unescaped(text), b"-_.~");
            (plain(name), plain(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// Escapes all but letters, digits and these.
fn escaped(text: &[u8], stays: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || stays.contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|half| digit(half).to_ascii_uppercase()));
        }
    }
    out
}

fn unescaped(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *byte == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(value) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            out.push(value);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    Cow::Owned(out)
}

/// Writes a time as `20150830T123600Z`.
fn date(unix: Duration) -> Option<String> {
    let seconds = i64::try_from(unix.as_secs()).ok()?;
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

fn sensitive(text: &str) -> Result<HeaderValue, RelayError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| UNSIGNED)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn digit(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
    use aws_sigv4::sign::v4;
    use bytes::Bytes;
    use http::Method;
    use http::header::CONTENT_TYPE;
    use proptest::prelude::*;
    use relay_core::secret::Secret;

    use super::*;

    fn request(path: &str, body: &'static [u8]) -> Encoded {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("anthropic-beta", HeaderValue::from_static("not signed"));
        Encoded {
            method: Method::POST,
            path_and_query: path.into(),
            headers,
            body: Bytes::from_static(body),
            body_sha256: None,
            thinking_removed: 0,
            removed: Vec::new(),
        }
    }

    fn issued(token: Option<&str>) -> Issued {
        Issued {
            form: IssuedForm::Aws {
                access_key_id: "AKIDEXAMPLE".into(),
                secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                session_token: token.map(Secret::new),
            },
            generation: 1,
            expires: None,
        }
    }

    const TIME: Duration = Duration::from_mins(24_015_636);

    fn signer() -> Signer {
        Signer {
            service: "bedrock",
            region: "us-east-1".into(),
            host: "bedrock-runtime.us-east-1.amazonaws.com".into(),
        }
    }

    /// The signature was made with Python's `hmac` and `hashlib` from the canonical request written
    /// out by hand, in which the path's `%2F` is encoded once more and `:` is `%3A`.
    #[test]
    fn a_signature_made_by_hand() {
        let path = "/model/arn:aws:x%2Fy/invoke";
        let mut signed = request(path, b"{}");
        signer().sign(&mut signed, &issued(None), TIME).unwrap();
        assert_eq!(signed.headers["x-amz-date"], "20150830T123600Z");
        let authorization = signed.headers[AUTHORIZATION].to_str().unwrap();
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=";
        assert!(authorization.starts_with(expected), "{authorization}");
        assert!(authorization.ends_with(BY_HAND), "{authorization}");
    }

    const BY_HAND: &str = "3d93ca3c8ec53e5bdb48ae2176ac276918b08298e6744a2e6dc136d8f685f691";

    #[test]
    fn signing_again_is_the_same_and_a_token_is_signed_too() {
        let mut once = request("/model/m/invoke", b"{}");
        signer()
            .sign(&mut once, &issued(Some("token")), TIME)
            .unwrap();
        assert_eq!(once.headers["x-amz-security-token"], "token");
        assert!(
            once.headers[AUTHORIZATION]
                .to_str()
                .unwrap()
                .contains("x-amz-security-token")
        );
        let mut again = once.clone();
        signer()
            .sign(&mut again, &issued(Some("token")), TIME)
            .unwrap();
        assert_eq!(once.headers, again.headers);
        let digest: [u8; 32] = Sha256::digest(b"{}").into();
        again.body_sha256 = Some(digest);
        signer()
            .sign(&mut again, &issued(Some("token")), TIME)
            .unwrap();
        assert_eq!(once.headers, again.headers);
        signer().sign(&mut again, &issued(None), TIME).unwrap();
        assert!(!again.headers.contains_key("x-amz-security-token"));
    }

    /// The same by AWS's crate.
    fn oracle(path: &str, body: &[u8], token: Option<&str>) -> String {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let token = token.map(str::to_owned);
        let identity = Credentials::new("AKIDEXAMPLE", secret, token, None, "test").into();
        let signer = signer();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&signer.region)
            .name(signer.service)
            .time(UNIX_EPOCH + TIME)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("https://{}{path}", signer.host);
        let headers = [("content-type", "application/json")].into_iter();
        let request =
            SignableRequest::new("POST", uri, headers, SignableBody::Bytes(body)).unwrap();
        let output = aws_sigv4::http_request::sign(request, &params).unwrap();
        let (instructions, _) = output.into_parts();
        let found = instructions
            .headers()
            .find(|(name, _)| *name == "authorization");
        found.unwrap().1.to_owned()
    }

    proptest! {
        /// Whatever is asked for, the signature is AWS's own.
        #[test]
        fn as_awss_crate_signs(
            segments in prop::collection::vec("([a-zA-Z0-9._~:@-]|%2F|%20){1,12}", 1..4),
            query in prop::option::of("[a-z]{1,4}=[a-zA-Z0-9._~-]{0,4}(&[a-z]{1,4}=[a-z0-9]{0,3}){0,2}"),
            body in prop::collection::vec(any::<u8>(), 0..50),
            token in prop::option::of("[a-zA-Z0-9/+=]{1,30}"),
        ) {
            // Dots alone lead elsewhere in a path; no name of a model does.
            prop_assume!(segments.iter().all(|it| it.bytes().any(|byte| byte != b'.')));
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            let path = format!("/model/{}{query}", segments.join("/"));
            let mut signed = request(&path, b"");
            signed.body = Bytes::from(body.clone());
            signer().sign(&mut signed, &issued(token.as_deref()), TIME).unwrap();
            let expected = oracle(&path, &body, token.as_deref());
            prop_assert_eq!(signed.headers[AUTHORIZATION].to_str().unwrap(), expected);
        }
    }
}
