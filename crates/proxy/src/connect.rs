//! Opens connections to one upstream: name lookup, TCP or a tunnel through a proxy, TLS, HTTP.
//!
//! In: an origin and how to reach it. Out: an open connection that speaks HTTP/1.1 or HTTP/2, with
//! the times that each step took. It must never wait without a bound, and never fall back from
//! https to http.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use relay_core::record::ConnectionFacts;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::clock;
use crate::tls;

/// Which HTTP is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// What ALPN agrees on over TLS; HTTP/1.1 without TLS.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
}

/// Whether a proxy stands between the relay and the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyChoice {
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    FromEnvironment,
    /// None.
    None,
    /// This one: `http://[user:password@]host:port`.
    Url(Box<str>),
}

/// How to reach an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorOptions {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Host and port.
    pub authority: Authority,
    /// Certificates to trust beside the system's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The proxy.
    pub proxy: ProxyChoice,
    /// The protocol.
    pub http_version: HttpVersion,
    /// For all steps of a connect together.
    pub connect_timeout: Duration,
    /// Connections each worker opens before it is asked.
    pub prewarm: usize,
    /// Idle HTTP/1.1 connections each worker keeps.
    pub max_idle: usize,
    /// How long it keeps them.
    pub idle_timeout: Duration,
}

/// Opens connections to one upstream. Shared by all workers.
#[derive(Debug)]
pub struct Connector {
    options: ConnectorOptions,
    intercept: Option<Intercept>,
    /// Once it could be made: a file that is missing for a moment must not be missed for ever.
    tls: OnceLock<Arc<rustls::ClientConfig>>,
    /// Connects that failed since the last one that worked.
    failures: AtomicU64,
}

/// Why a connection could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Not in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The name, TCP or the proxy failed.
    #[error("{0}")]
    Network(Arc<str>),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(Arc<str>),
    /// The configuration of this upstream cannot work.
    #[error("{0}")]
    Config(Arc<str>),
}

/// An open transport.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An open connection before HTTP is spoken on it.
pub(crate) struct Opened {
    pub(crate) io: TokioIo<Box<dyn Transport>>,
    pub(crate) http2: bool,
    pub(crate) facts: ConnectionFacts,
}

impl Connector {
    /// Takes the options, and looks up the proxy once.
    ///
    /// # Errors
    /// [`ConnectError::Config`] if the proxy's URL is none, or wants TLS towards the proxy.
    pub fn new(options: ConnectorOptions) -> Result<Self, ConnectError> {
        let intercept = intercept(&options)?;
        Ok(Self {
            options,
            intercept,
            tls: OnceLock::new(),
            failures: AtomicU64::new(0),
        })
    }

    /// Returns how this upstream is reached.
    pub fn options(&self) -> &ConnectorOptions {
        &self.options
    }

    /// Loads the certificates, once. It reads files: the first connect does it off the runtime.
    fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let alpn: &[&[u8]] = match self.options.http_version {
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        let config = tls::client_config(self.options.ca_file.as_deref(), alpn)?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }

    /// Returns the URL of the origin.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.options.authority)
    }

    /// Returns how many connects failed since the last one that worked.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Opens a connection.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Opened, ConnectError> {
        let limit = self.options.connect_timeout;
        let opened = timeout(limit, self.open_unbounded()).await;
        let opened = opened.unwrap_or(Err(ConnectError::TimedOut(limit)));
        match opened {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            Err(_) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        opened
    }

    async fn open_unbounded(self: &Arc<Self>) -> Result<Opened, ConnectError> {
        let begun = clock::now();
        let (tcp, dns) = self.open_tcp().await?;
        let mut facts = ConnectionFacts {
            reused: false,
            protocol: "h1",
            dns,
            connect: Some(begun.elapsed().saturating_sub(dns.unwrap_or_default())),
            handshake: None,
            tls_version: None,
            tls_cipher: None,
        };
        if !self.options.tls {
            let http2 = self.options.http_version == HttpVersion::Http2;
            facts.protocol = if http2 { "h2" } else { "h1" };
            return Ok(Opened {
                io: TokioIo::new(Box::new(tcp)),
                http2,
                facts,
            });
        }
        let this = Arc::clone(self);
        let config = tokio::task::spawn_blocking(move || this.tls_config());
        let config = config
            .await
            .map_err(|error| ConnectError::Tls(error.to_string().into()))??;
        let name = ServerName::try_from(host(&self.options.authority).to_owned())
            .map_err(|error| ConnectError::Config(error.to_string().into()))?;
        let begun = clock::now();
        let stream = TlsConnector::from(config).connect(name, tcp).await;
        let stream = stream.map_err(|error| ConnectError::Tls(error.to_string().into()))?;
        let session = stream.get_ref().1;
        facts.handshake = Some(begun.elapsed());
        facts.tls_version = session
            .protocol_version()
            .map(|it| format!("{it:?}").into());
        facts.tls_cipher = session
            .negotiated_cipher_suite()
            .map(|it| format!("{:?}", it.suite()).into());
        let http2 = session.alpn_protocol() == Some(b"h2");
        facts.protocol = if http2 { "h2" } else { "h1" };
        Ok(Opened {
            io: TokioIo::new(Box::new(stream)),
            http2,
            facts,
        })
    }

    async fn open_tcp(&self) -> Result<(TcpStream, Option<Duration>), ConnectError> {
        let resolver = TimedResolver::default();
        let nanoseconds = Arc::clone(&resolver.nanoseconds);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        let scheme = if self.options.tls { "https" } else { "http" };
        let port = self
            .options
            .authority
            .port_u16()
            .unwrap_or(if self.options.tls { 443 } else { 80 });
        let target: Uri = format!("{scheme}://{}:{port}", self.options.authority.host())
            .parse()
            .map_err(|error: http::uri::InvalidUri| {
                ConnectError::Config(error.to_string().into())
            })?;
        let stream = match &self.intercept {
            None => tcp.call(target).await.map_err(|error| network(&error))?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(target).await.map_err(|error| network(&error))?
            }
        };
        let looked_up = nanoseconds.load(Ordering::Relaxed);
        let dns = (looked_up != 0).then(|| Duration::from_nanos(looked_up));
        Ok((stream.into_inner(), dns))
    }
}

/// Keeps a silent connection known to the routers on its way.
const KEEPALIVE: Duration = Duration::from_secs(45);

fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn intercept(options: &ConnectorOptions) -> Result<Option<Intercept>, ConnectError> {
    let matcher = match &options.proxy {
        ProxyChoice::None => return Ok(None),
        // A plain-text upstream stands beside the relay or in its own network.
        ProxyChoice::FromEnvironment if !options.tls => return Ok(None),
        ProxyChoice::FromEnvironment => Matcher::from_env(),
        ProxyChoice::Url(url) => Matcher::builder().all(url.as_ref()).build(),
    };
    let scheme = if options.tls { "https" } else { "http" };
    let target: Uri = format!("{scheme}://{}", options.authority)
        .parse()
        .map_err(|error: http::uri::InvalidUri| ConnectError::Config(error.to_string().into()))?;
    let intercept = matcher.intercept(&target);
    match intercept.as_ref().map(|proxy| proxy.uri().scheme_str()) {
        None if matches!(options.proxy, ProxyChoice::Url(_)) => Err(ConnectError::Config(
            "the proxy's URL cannot be understood".into(),
        )),
        Some(scheme) if scheme != Some("http") => Err(ConnectError::Config(
            "only http:// proxies are supported".into(),
        )),
        _ => Ok(intercept),
    }
}

fn network(error: &dyn std::error::Error) -> ConnectError {
    ConnectError::Network(chain(error).into())
}

/// Says an error with all its causes: "tcp connect error" alone helps nobody.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The system's resolver, timed.
#[derive(Clone)]
struct TimedResolver {
    inner: GaiResolver,
    nanoseconds: Arc<AtomicU64>,
}

impl Default for TimedResolver {
    fn default() -> Self {
        Self {
            inner: GaiResolver::new(),
            nanoseconds: Arc::default(),
        }
    }
}

impl Service<Name> for TimedResolver {
    type Response = <GaiResolver as Service<Name>>::Response;
    type Error = <GaiResolver as Service<Name>>::Error;
    type Future = std::pin::Pin<
        Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send + 'static>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let begun = clock::now();
        let lookup = self.inner.call(name);
        let nanoseconds = Arc::clone(&self.nanoseconds);
        Box::pin(async move {
            let found = lookup.await;
            let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            nanoseconds.store(took, Ordering::Relaxed);
            found
        })
    }
}
