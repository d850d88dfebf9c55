//! Judges AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>,
//! read 2026-11). In: a request as it came, and the time; out: whose it is, or AWS's refusal. Must
//! never repair a request before it is judged: the path is signed as it stood on the wire.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::grammar::hex;
use crate::record::Recorded;

/// A key pair that may sign requests.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// The token that temporary credentials must send along.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsKey")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl AwsKey {
    /// Returns a lasting key pair.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            session_token: None,
        }
    }

    /// Makes it a temporary one with this session token.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// What a signature must be made for.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) keys: &'a [AwsKey],
}

/// A refusal: AWS's exception and its message. The status is 403.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) exception: &'static str,
    pub(crate) message: String,
}

/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_mins(5);

/// Returns whether the request shows a signature at all.
pub(crate) fn is_signed(request: &Recorded) -> bool {
    let shown = request.header("authorization");
    shown.is_some_and(|value| value.starts_with("AWS4-"))
}

/// Judges a signed request.
///
/// # Errors
/// The refusal that AWS gives.
pub(crate) fn verify(request: &Recorded, scope: &Scope<'_>, unix: Duration) -> Result<(), Refused> {
    let shown = Shown::of(request)?;
    let date = only(request, "x-amz-date")?;
    shown.judge_scope(scope, date)?;
    shown.judge_headers(request)?;
    judge_date(date, unix)?;
    let Some(key) = scope.keys.iter().find(|key| key.access_key_id == shown.id) else {
        return Err(unknown_token());
    };
    if request.header("x-amz-security-token") != key.session_token.as_deref() {
        return Err(unknown_token());
    }
    let body = hex(&Sha256::digest(&request.body));
    let claimed = request.header("x-amz-content-sha256");
    if claimed.is_some_and(|claimed| claimed != body) {
        return Err(invalid(
            "The provided x-amz-content-sha256 header does not match what was computed.",
        ));
    }
    let canonical = canonical_request(request, &shown.signed_headers, &body);
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{digest}", shown.scope());
    if signature(key, &shown, &to_sign) == shown.signature {
        return Ok(());
    }
    // AWS shows its own view in the same way, which is what one debugs by.
    Err(invalid(&format!(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n\
         The String-to-Sign should have been\n'{to_sign}'\n"
    )))
}

/// The parts of an `Authorization` header.
#[derive(Debug)]
struct Shown<'a> {
    id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Shown<'a> {
    fn of(request: &'a Recorded) -> Result<Self, Refused> {
        let incomplete = || Refused {
            exception: "IncompleteSignatureException",
            message: "Authorization header requires 'Credential', 'SignedHeaders' and \
                      'Signature' parameters, and the algorithm AWS4-HMAC-SHA256."
                .to_owned(),
        };
        let value = only(request, "authorization")?;
        let rest = value
            .strip_prefix("AWS4-HMAC-SHA256")
            .ok_or_else(incomplete)?;
        let part = |name: &str| {
            let mut parts = rest
                .split(',')
                .filter_map(|part| part.trim().split_once('='));
            parts.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let parts = (part("Credential"), part("SignedHeaders"), part("Signature"));
        let (Some(credential), Some(headers), Some(signature)) = parts else {
            return Err(incomplete());
        };
        match credential.split('/').collect::<Vec<_>>().as_slice() {
            [id, date, region, service, "aws4_request"] => Ok(Self {
                id,
                date,
                region,
                service,
                signed_headers: headers.split(';').collect(),
                signature,
            }),
            _ => Err(incomplete()),
        }
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        )
    }

    fn judge_scope(&self, scope: &Scope<'_>, date: &str) -> Result<(), Refused> {
        if self.region != scope.region {
            let message = "Credential should be scoped to a valid region, not ";
            return Err(invalid(&format!("{message}'{}'.", self.region)));
        }
        if self.service != scope.service {
            let message = "Credential should be scoped to correct service: ";
            return Err(invalid(&format!("{message}'{}'.", scope.service)));
        }
        if !date.starts_with(self.date) {
            let message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version \
                           of date from HTTP";
            return Err(invalid(message));
        }
        Ok(())
    }

    /// `host`, the date and all else of AWS's own must be signed, and nothing that is not there.
    fn judge_headers(&self, request: &Recorded) -> Result<(), Refused> {
        let signs = |name: &str| self.signed_headers.contains(&name);
        let signs_all = signs("host")
            && signs("x-amz-date")
            && request.headers.iter().all(|(name, _)| {
                let name = name.to_ascii_lowercase();
                !name.starts_with("x-amz-") || signs(&name)
            });
        let in_order = self.signed_headers.is_sorted()
            && self
                .signed_headers
                .iter()
                .all(|name| *name == name.to_ascii_lowercase() && request.header(name).is_some());
        if signs_all && in_order {
            return Ok(());
        }
        Err(invalid(
            "'Host' and every 'X-Amz-...' header must be a 'SignedHeader' in the AWS \
             Authorization, which must be sorted, in lower case, and sent.",
        ))
    }
}

fn only<'a>(request: &'a Recorded, name: &str) -> Result<&'a str, Refused> {
    match request.header_all(name).as_slice() {
        [value] => Ok(value),
        _ => Err(Refused {
            exception: "IncompleteSignatureException",
            message: format!("The request must have exactly one '{name}' header."),
        }),
    }
}

fn unknown_token() -> Refused {
    Refused {
        exception: "UnrecognizedClientException",
        message: "The security token included in the request is invalid.".to_owned(),
    }
}

fn invalid(message: &str) -> Refused {
    Refused {
        exception: "InvalidSignatureException",
        message: message.to_owned(),
    }
}

fn judge_date(date: &str, unix: Duration) -> Result<(), Refused> {
    let Some(signed) = clock::parse_basic(date) else {
        return Err(invalid("Date must be in ISO-8601 'basic format'."));
    };
    if signed.abs_diff(unix) <= SKEW {
        return Ok(());
    }
    let word = if signed < unix {
        "expired"
    } else {
        "not yet current"
    };
    let seconds = unix.as_secs();
    Err(invalid(&format!(
        "Signature {word}: {date} is more than 5 min away from {seconds} s since 1970"
    )))
}

/// Returns the canonical request.
fn canonical_request(request: &Recorded, signed: &[&str], body: &str) -> String {
    let headers = signed.iter().map(|name| {
        let values = request.header_all(name);
        let values = values.iter().map(|value| {
            let words: Vec<&str> = value.split_ascii_whitespace().collect();
            words.join(" ")
        });
        format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
    });
    let (path, query) = match request.path_and_query.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.path_and_query.as_str(), ""),
    };
    [
        request.method.as_str(),
        &escape(normal(path).as_bytes(), b"/"),
        &canonical_query(query),
        &headers.collect::<String>(),
        &signed.join(";"),
        body,
    ]
    .join("\n")
}

/// Takes dot segments and doubled slashes out of a path.
fn normal(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let tail = if path.ends_with('/') && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{tail}", kept.join("/"))
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (escape(&unescape(key), b""), escape(&unescape(value), b""))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join("&")
}

/// Percent-encodes all but RFC 3986's unreserved characters and `safe`.
pub(crate) fn escape(bytes: &[u8], safe: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || safe.contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push_str(&hex(&[*byte]).to_ascii_uppercase());
        }
    }
    out
}

/// Undoes percent-encoding; what is none stays as it is.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let digits = rest.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(byte) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            out.push(byte);
            bytes = rest.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    out
}

fn signature(key: &AwsKey, shown: &Shown<'_>, to_sign: &str) -> String {
    let secret = format!("AWS4{}", key.secret_access_key);
    let steps = [
        shown.date,
        shown.region,
        shown.service,
        "aws4_request",
        to_sign,
    ];
    let made = steps.iter().fold(secret.into_bytes(), |key, step| {
        hmac(&key, step.as_bytes()).to_vec()
    });
    hex(&made)
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let mut block = if key.len() > BLOCK_BYTES {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    block.resize(BLOCK_BYTES, 0);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests;
