//! The traces that a relay sends.
//!
//! In: what the file says. Out: their sender, or why there is none.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use relay_config::{TraceProtocol, TracesPlan};
use relay_core::error::chain;
use relay_traces::{Protocol, Traces, TracesOptions};
use rustls::ClientConfig;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::trust;
use crate::serve::VERSION;

/// Begins to send traces, if the file wants them.
///
/// # Errors
/// If the collector cannot be spoken to at all; whether it is there shows later.
pub fn start(plan: &TracesPlan) -> Result<Option<Traces>, Failure> {
    if !plan.enabled {
        return Ok(None);
    }
    let tls = trust(None).map_err(|error| failure(&chain(&error)))?;
    let options = options(plan, tls).ok_or_else(|| failure("the collector's address is no URL"))?;
    let started = Traces::start(&options);
    started.map(Some).map_err(|error| failure(&chain(&error)))
}

fn options(plan: &TracesPlan, tls: ClientConfig) -> Option<TracesOptions> {
    let mut headers = HeaderMap::new();
    for header in &plan.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(header.value.expose()).ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Some(TracesOptions {
        endpoint: plan.endpoint.parse().ok()?,
        protocol: match plan.protocol {
            TraceProtocol::Grpc => Protocol::Grpc,
            TraceProtocol::Http => Protocol::Http,
        },
        tls,
        headers,
        service_name: plan.service_name.clone(),
        version: VERSION,
    })
}

fn failure(why: &str) -> Failure {
    Failure::new(Exit::Failed, "traces", format!("cannot send traces: {why}"))
        .help("see traces.endpoint, or set traces.enabled: false")
}
