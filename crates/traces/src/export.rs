//! Says a batch to the collector, over gRPC or over HTTP.
//!
//! In: a message. Out: whether it was taken, or why not and whether it may be later. Both ways are
//! one POST of the same protobuf: gRPC puts five bytes in front of it and its status behind the
//! answer (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), so that one client of
//! hyper's does for both (<https://opentelemetry.io/docs/specs/otlp/>; both read 2026-11-22). It must
//! never wait without a bound, nor put a header's value into words.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message as _;
use relay_core::error::chain;
use tokio::time::timeout;

use crate::wire::{ExportRequest, ExportResponse, PartialSuccess};
use crate::{Protocol, TracesError, TracesOptions};

/// For all of one exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// For the connection alone.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// Longest word of the collector's that is repeated.
const WORD_CHARS: usize = 200;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a batch was not taken.
#[derive(Debug)]
pub(crate) struct Refused {
    /// In words.
    pub(crate) why: Box<str>,
    /// Whether it may be taken later.
    pub(crate) is_passing: bool,
}

impl Refused {
    fn passing(why: impl Into<Box<str>>) -> Self {
        Self {
            why: why.into(),
            is_passing: true,
        }
    }
}

pub(crate) struct Exporter {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    protocol: Protocol,
    uri: Uri,
    headers: HeaderMap,
}

impl Exporter {
    pub(crate) fn new(options: &TracesOptions) -> Result<Self, TracesError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(options.tls.clone())
            .https_or_http();
        let grpc = options.protocol == Protocol::Grpc;
        let connector = if grpc {
            builder.enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_http1().wrap_connector(tcp)
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(grpc)
            .build(connector);
        Ok(Self {
            client,
            protocol: options.protocol,
            uri: uri(options).map_err(TracesError::Endpoint)?,
            headers: headers(options),
        })
    }

    /// Sends a batch. Returns what the collector says of those that it did not keep, if there were
    /// any.
    pub(crate) async fn send(&self, message: &ExportRequest) -> Result<Option<Box<str>>, Refused> {
        let mut request = Request::new(Full::new(self.body(message)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| Refused::passing(chain(&error)))?;
            match self.protocol {
                Protocol::Grpc => grpc(response).await,
                Protocol::Http => plain(response).await,
            }
        };
        let late = |_| Refused::passing(format!("no answer within {} s", PATIENCE.as_secs()));
        let taken = timeout(PATIENCE, exchange).await.map_err(late)??;
        let partial = taken.partial_success.filter(|it| it.rejected_spans > 0);
        Ok(partial.map(
            |PartialSuccess {
                 rejected_spans,
                 error_message,
             }| {
                format!(
                    "it rejected {rejected_spans} spans: {}",
                    cut(&error_message)
                )
                .into()
            },
        ))
    }

    fn body(&self, message: &ExportRequest) -> Bytes {
        let length = message.encoded_len();
        let mut body = BytesMut::with_capacity(length.saturating_add(5));
        if self.protocol == Protocol::Grpc {
            // Not compressed, and this long: a batch is far below 4 GiB.
            body.put_u8(0);
            body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        }
        body.extend_from_slice(&message.encode_to_vec());
        body.freeze()
    }
}

fn uri(options: &TracesOptions) -> Result<Uri, http::Error> {
    let endpoint = &options.endpoint;
    let service = match options.protocol {
        Protocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Protocol::Http => "/v1/traces",
    };
    let base = endpoint.path().trim_end_matches('/');
    let host = endpoint
        .authority()
        .map_or("", |authority| authority.as_str());
    Uri::builder()
        .scheme(endpoint.scheme_str().unwrap_or("http"))
        .authority(host)
        .path_and_query(format!("{base}{service}"))
        .build()
}

fn headers(options: &TracesOptions) -> HeaderMap {
    let mut headers = options.headers.clone();
    let kind = match options.protocol {
        Protocol::Grpc => {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            let patience = HeaderValue::from_static("10S");
            headers.insert(HeaderName::from_static("grpc-timeout"), patience);
            "application/grpc"
        }
        Protocol::Http => "application/x-protobuf",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(agent) = HeaderValue::from_str(&format!("cc-relay/{}", options.version)) {
        headers.insert(USER_AGENT, agent);
    }
    headers
}

/// Reads an answer over gRPC: its status stands behind the body, or in the head where there is none.
async fn grpc(response: Response<Incoming>) -> Result<ExportResponse, Refused> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(status(head.status));
    }
    let read = Limited::new(body, ANSWER_BYTES).collect().await;
    let read = read.map_err(|error| Refused::passing(format!("no whole answer: {error}")))?;
    let trailers = read.trailers().cloned().unwrap_or_default();
    let said = |name: &HeaderName| {
        let value = trailers.get(name).or_else(|| head.headers.get(name))?;
        value.to_str().ok().map(str::to_owned)
    };
    let code = said(&GRPC_STATUS);
    if code.as_deref() == Some("0") {
        let message = read.to_bytes();
        let message = message.get(5..).unwrap_or_default();
        return Ok(ExportResponse::decode(message).unwrap_or_default());
    }
    let code = code.unwrap_or_else(|| "none".to_owned());
    let words = said(&GRPC_MESSAGE).unwrap_or_default();
    Err(Refused {
        why: format!("gRPC status {} {}", cut(&code), cut(&words))
            .trim_end()
            .into(),
        // Cancelled, too late, exhausted, aborted, out of range, unavailable, data lost: as the
        // specification of OTLP has it. An answer without a status is no collector's.
        is_passing: ["1", "4", "8", "10", "11", "14", "15"].contains(&code.as_str()),
    })
}

/// Reads an answer over HTTP.
async fn plain(response: Response<Incoming>) -> Result<ExportResponse, Refused> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(status(head.status));
    }
    let read = Limited::new(body, ANSWER_BYTES).collect().await;
    let read = read.map_err(|error| Refused::passing(format!("no whole answer: {error}")))?;
    Ok(ExportResponse::decode(read.to_bytes()).unwrap_or_default())
}

fn status(status: StatusCode) -> Refused {
    Refused {
        why: format!("HTTP status {}", status.as_u16()).into(),
        is_passing: matches!(status.as_u16(), 429 | 502 | 503 | 504),
    }
}

fn cut(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(WORD_CHARS)
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}
