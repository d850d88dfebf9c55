//! How an answer sounds in a dialect: its headers, its events, its errors. In: what a script says
//! in Anthropic's terms; out: the wire's. Must never touch a body that a script gives exactly.

use std::sync::Arc;

use serde_json::Value;

use crate::dialect::vendor::{Envelope, Worded};
use crate::dialect::{Dialect, Event, Vendor, exception, foundry, mantle, vertex};
use crate::grammar::{Usage, error_event, quote};

/// A dialect, for one answer.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(crate) dialect: Option<Arc<Dialect>>,
    /// Whether a stream was asked for.
    pub(crate) streamed: bool,
    pub(crate) usage: Usage,
}

/// An error in a dialect's words.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Whose answer it is.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) organization: &'a str,
    pub(crate) workspace: &'a str,
}

impl Voice {
    /// Returns how this dialect frames an event of SSE; `None` if it never sends such.
    pub(crate) fn event(&self, event: &Event) -> Option<Event> {
        match self.dialect.as_deref() {
            Some(Dialect::Bedrock(aws)) => exception::framed(aws, event, &self.usage),
            _ => Some(event.clone()),
        }
    }

    /// Returns an error in the stream; `None` if this dialect has none.
    pub(crate) fn error_event(&self, kind: &str, message: &str, id: &str) -> Option<Event> {
        match self.dialect.as_deref() {
            Some(Dialect::Bedrock(aws)) => Some(exception::exception_frame(aws, kind, message)),
            Some(Dialect::Vendor(vendor)) => {
                let row = vendor.row();
                let worded = Worded {
                    status: 500,
                    kind,
                    message,
                    details: None,
                    request_id: id,
                };
                let (_, body) = row.envelope.body(&worded);
                row.error_events
                    .then(|| format!("event: error\ndata: {body}\n\n").into())
            }
            None | Some(Dialect::Mantle(_) | Dialect::Vertex(_) | Dialect::Foundry(_)) => {
                Some(error_event(kind, message, id))
            }
        }
    }

    /// Returns what `message_start` states, and the output that it claims.
    pub(crate) fn start_usage(&self) -> (Usage, u64) {
        match self.dialect.as_deref() {
            Some(Dialect::Vendor(vendor)) if !vendor.row().usage_at_start => {
                let nothing = Usage {
                    input_tokens: 0,
                    output_tokens: 0,
                    ..Usage::default()
                };
                (nothing, 0)
            }
            _ => (self.usage, 1),
        }
    }

    /// Returns a message's id.
    pub(crate) fn message_id(&self, request: u64) -> String {
        let platform = match self.dialect.as_deref() {
            Some(Dialect::Bedrock(_) | Dialect::Mantle(_)) => "bdrk_",
            Some(Dialect::Vertex(_)) => "vrtx_",
            None | Some(Dialect::Foundry(_) | Dialect::Vendor(_)) => "",
        };
        format!("msg_{platform}sim{request:017}")
    }

    /// Returns the type of a stream.
    pub(crate) fn stream_type(&self) -> &'static str {
        match self.dialect.as_deref() {
            Some(Dialect::Bedrock(_)) => "application/vnd.amazon.eventstream",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// Returns the headers that a message adds, streamed or not.
    pub(crate) fn message_headers(&self) -> Vec<(&'static str, String)> {
        match self.dialect.as_deref() {
            Some(Dialect::Bedrock(_)) if self.streamed => {
                vec![("x-amzn-bedrock-content-type", "application/json".to_owned())]
            }
            Some(Dialect::Bedrock(_)) => exception::counts(&self.usage),
            _ => Vec::new(),
        }
    }

    /// Returns the headers of every answer.
    pub(crate) fn headers(&self, sender: &Sender<'_>) -> Vec<(&'static str, String)> {
        let id = sender.request_id.to_owned();
        match self.dialect.as_deref() {
            Some(Dialect::Bedrock(_) | Dialect::Mantle(_)) => {
                vec![("x-amzn-requestid", uuid(&id))]
            }
            Some(Dialect::Vertex(_)) => {
                vec![("request-id", id.replacen("req_", "req_vrtx_", 1))]
            }
            Some(Dialect::Foundry(_)) => {
                vec![("request-id", id.clone()), ("apim-request-id", uuid(&id))]
            }
            Some(Dialect::Vendor(vendor)) if *vendor != Vendor::Anthropic => {
                vec![("x-request-id", id)]
            }
            None | Some(Dialect::Vendor(_)) => vec![
                ("request-id", id),
                ("anthropic-organization-id", sender.organization.to_owned()),
                ("anthropic-workspace-id", sender.workspace.to_owned()),
            ],
        }
    }

    /// Returns an error as this dialect says it.
    pub(crate) fn error(
        &self,
        status: u16,
        (kind, message): (&str, &str),
        details: Option<&Value>,
        request_id: &str,
    ) -> Spoken {
        let worded = Worded {
            status,
            kind,
            message,
            details,
            request_id,
        };
        match self.dialect.as_deref() {
            None => Spoken::enveloped(Envelope::Anthropic, &worded),
            Some(Dialect::Vendor(vendor)) => Spoken::enveloped(vendor.row().envelope, &worded),
            Some(Dialect::Bedrock(aws)) => {
                let (status, name) = exception::named(status, kind);
                Spoken {
                    status,
                    headers: vec![("x-amzn-errortype", name.to_owned())],
                    body: exception::error_body(aws, message),
                }
            }
            Some(Dialect::Mantle(aws)) => {
                let (status, kind) = mantle::wire_error(status, kind);
                let message = &exception::worded(aws, message);
                let worded = Worded {
                    status,
                    kind,
                    message,
                    ..worded
                };
                Spoken::enveloped(Envelope::Anthropic, &worded)
            }
            Some(Dialect::Vertex(vertex)) => match vertex::google(status, kind) {
                None => Spoken::enveloped(Envelope::Anthropic, &worded),
                Some(code) => Spoken {
                    status: code.0,
                    headers: Vec::new(),
                    body: vertex::envelope(vertex, code, message, self.streamed),
                },
            },
            Some(Dialect::Foundry(_)) => match foundry::gateway(kind) {
                None => Spoken::enveloped(Envelope::Anthropic, &worded),
                Some(code) => Spoken {
                    status,
                    headers: Vec::new(),
                    body: format!(
                        r#"{{"error":{{"code":{},"message":{}}}}}"#,
                        quote(code),
                        quote(message)
                    ),
                },
            },
        }
    }
}

impl Spoken {
    fn enveloped(envelope: Envelope, worded: &Worded<'_>) -> Self {
        let (status, body) = envelope.body(worded);
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }
}

/// Makes a request's id look like the clouds' ids.
fn uuid(request_id: &str) -> String {
    let digits: String = request_id.chars().filter(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().unwrap_or(0);
    format!("00000000-0000-4000-8000-{number:012}")
}
