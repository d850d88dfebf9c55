//! AWS Signature Version 4, by AWS's own crate.
//!
//! In: a request, what was issued, the time. Out: the same request with `authorization`,
//! `x-amz-date` and, for temporary credentials, `x-amz-security-token`. It signs the host and the
//! content type besides: nothing that anybody on the way may change. Signing again replaces what an
//! earlier signature put in.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use relay_core::credential::UpstreamCredential;
use relay_core::error::RelayError;
use relay_core::identity::{Issued, IssuedForm};
use relay_core::provider::Encoded;
use sha2::{Digest as _, Sha256};

const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");

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
        let token = session_token
            .as_ref()
            .map(|token| token.expose().to_owned());
        let secret = secret_access_key.expose();
        let credentials = Credentials::new(&**access_key_id, secret, token, None, "cc-relay");
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(UNIX_EPOCH.checked_add(unix).unwrap_or(UNIX_EPOCH))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| UNSIGNED)?
            .into();
        for name in [AUTHORIZATION, DATE, SECURITY_TOKEN] {
            encoded.headers.remove(name);
        }
        let digest = encoded
            .body_sha256
            .unwrap_or_else(|| Sha256::digest(&encoded.body).into());
        let uri = format!("https://{}{}", self.host, encoded.path_and_query);
        let content_type = encoded.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let headers = content_type.map(|value| (CONTENT_TYPE.as_str(), value));
        let body = SignableBody::Precomputed(hex(&digest));
        let headers = headers.into_iter();
        let request = SignableRequest::new(encoded.method.as_str(), uri, headers, body);
        let signed = sign_request(request.map_err(|_| UNSIGNED)?, &params);
        let (instructions, _) = signed.map_err(|_| UNSIGNED)?.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| UNSIGNED)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| UNSIGNED)?;
            value.set_sensitive(name == AUTHORIZATION || name == SECURITY_TOKEN);
            encoded.headers.insert(name, value);
        }
        Ok(())
    }
}

const UNSIGNED: RelayError = RelayError::Internal("a request cannot be signed");

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};
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
}
