//! A collector of traces over gRPC that is none of the relay's making: OpenTelemetry's own messages
//! behind tonic's server.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::metadata::MetadataMap;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// Longest wait for anything. It is a bound, never a measure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came with one call.
type Export = (MetadataMap, ExportTraceServiceRequest);

struct Taker(UnboundedSender<Export>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        drop(self.0.send((metadata, message)));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A running collector.
pub(crate) struct Collector {
    pub(crate) url: String,
    pub(crate) exports: UnboundedReceiver<Export>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::with("http://127.0.0.1", Server::builder()).await
    }

    /// Starts it behind TLS, with a certificate for `localhost`.
    pub(crate) async fn secure(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let server = Server::builder();
        let server = server.tls_config(ServerTlsConfig::new().identity(identity));
        Self::with("https://localhost", server.unwrap()).await
    }

    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    async fn with(place: &str, mut server: Server) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, exports) = unbounded_channel();
        let router = server.add_service(TraceServiceServer::new(Taker(sender)));
        tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        let url = format!("{place}:{port}");
        Self { url, exports }
    }

    /// Waits for the next call.
    pub(crate) async fn next(&mut self) -> Export {
        let export = tokio::time::timeout(PATIENCE, self.exports.recv()).await;
        export.expect("an export").unwrap()
    }

    /// Waits for so many spans, in the order in which they began.
    pub(crate) async fn spans(&mut self, count: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        while spans.len() < count {
            let (_, message) = self.next().await;
            spans.extend(spans_of(message));
        }
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }
}

/// Returns all spans of a call.
pub(crate) fn spans_of(message: ExportTraceServiceRequest) -> Vec<Span> {
    let resources = message.resource_spans.into_iter();
    let scopes = resources.flat_map(|it| it.scope_spans);
    scopes.flat_map(|it| it.spans).collect()
}
