//! One HTTP request at a time, for the commands that ask the relay or an upstream.
//!
//! In: an address, a path, header fields. Out: status and body, both bounded in size and time. It
//! follows no redirect and keeps no connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest body that is read, in bytes.
const MAX_BODY_BYTES: usize = 4 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum GetError {
    /// The address or path cannot be put into a request.
    #[error("not a usable address")]
    Address,
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// A connection, but no HTTP answer.
    #[error("no HTTP answer")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No TLS, or no trust in the certificate.
    #[error("no TLS connection")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// Asks `GET {base}{path}` over http or https, trusting the system's certificates and those in
/// `ca_file`. It uses no proxy.
///
/// # Errors
/// When no complete answer came within `limit`.
pub async fn get_from(
    base: &Uri,
    path: &str,
    headers: HeaderMap,
    ca_file: Option<&Path>,
    limit: Duration,
) -> Result<Answer, GetError> {
    let host = base.host().ok_or(GetError::Address)?;
    let secure = base.scheme_str() == Some("https");
    let port = base.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let authority = base
        .authority()
        .map_or(host, |authority| authority.as_str());
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    let exchange = async {
        let stream = TcpStream::connect((name, port))
            .await
            .map_err(GetError::Connect)?;
        if !secure {
            return get_over(stream, authority, &path, headers).await;
        }
        let server = ServerName::try_from(name.to_owned()).map_err(|_| GetError::Address)?;
        let connector = TlsConnector::from(Arc::new(trust(ca_file)?));
        let stream = connector.connect(server, stream).await;
        get_over(
            stream.map_err(|error| GetError::Tls(error.into()))?,
            authority,
            &path,
            headers,
        )
        .await
    };
    tokio::time::timeout(limit, exchange)
        .await
        .map_err(|_| GetError::Timeout(limit))?
}

/// Trusts whom the system trusts, and those in `ca_file`.
///
/// # Errors
/// When that file cannot be read, or no TLS can be spoken.
pub fn trust(ca_file: Option<&Path>) -> Result<ClientConfig, GetError> {
    let mut roots = RootCertStore::empty();
    // One unreadable certificate of the system does not spoil the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let certificates = CertificateDer::pem_file_iter(path);
        for certificate in certificates.map_err(|error| GetError::Tls(error.into()))? {
            let certificate = certificate.map_err(|error| GetError::Tls(error.into()))?;
            roots
                .add(certificate)
                .map_err(|error| GetError::Tls(error.into()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| GetError::Tls(error.into()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Asks `GET {path}` over an open connection, which is closed afterwards.
///
/// # Errors
/// When no complete answer came. The caller bounds the time.
async fn get_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    authority: &str,
    path: &str,
    headers: HeaderMap,
) -> Result<Answer, GetError> {
    let mut request = Request::get(path)
        .body(Empty::<Bytes>::new())
        .map_err(|_| GetError::Address)?;
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(authority).map_err(|_| GetError::Address)?;
    request.headers_mut().insert(header::HOST, host);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| GetError::Exchange(error.into()))?;
    let exchange = async move {
        let response = sender.send_request(request).await;
        let (head, body) = response
            .map_err(|error| GetError::Exchange(error.into()))?
            .into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES)
            .collect()
            .await
            .map_err(GetError::Exchange)?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    };
    tokio::pin!(exchange);
    // The connection may end first, with the answer already read; what it has to say about a
    // fault is in the exchange's result too.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ended = connection => exchange.await,
    }
}
