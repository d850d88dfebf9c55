//! Traces of requests, and who gets them.
//!
//! In: their raw form. Out: their plan. A header's value is a secret: no fault may repeat it.

use std::collections::BTreeSet;

use http::HeaderName;
use relay_core::secret::Secret;

use super::{Check, address};
use crate::plan::{TraceHeader, TraceProtocol, TracesPlan};
use crate::raw;

/// What the protocol itself says in headers.
const TAKEN: [&str; 5] = ["content-type", "content-length", "host", "te", "user-agent"];

impl Check<'_, '_> {
    pub(super) fn traces(&mut self, raw: raw::Traces) -> TracesPlan {
        let base = TracesPlan::default();
        let protocol = raw
            .protocol
            .map_or(base.protocol, |protocol| match protocol {
                raw::TraceProtocol::Grpc => TraceProtocol::Grpc,
                raw::TraceProtocol::Http => TraceProtocol::Http,
            });
        let endpoint = raw.endpoint.and_then(|it| self.collector(&it));
        let service_name = raw.service_name.unwrap_or(base.service_name);
        if service_name.trim().is_empty() {
            let message = "`service_name` is empty".to_owned();
            let help = "such as cc-relay";
            self.fault(
                "traces.service_name",
                "config::empty",
                message,
                "empty",
                help,
            );
        }
        let percent = raw.sample_percent.map(u8::try_from);
        TracesPlan {
            enabled: raw.enabled.unwrap_or(base.enabled),
            endpoint: endpoint.unwrap_or_else(|| protocol.endpoint().to_owned()),
            protocol,
            // The walk holds it to a hundred.
            sample_percent: percent.and_then(Result::ok).unwrap_or(base.sample_percent),
            headers: self.trace_headers(raw.headers),
            service_name,
        }
    }

    fn collector(&mut self, text: &str) -> Option<String> {
        let at = "traces.endpoint";
        match address::base_url(text) {
            Ok(url) => {
                if url.in_the_clear {
                    let message = format!("`{at}` sends traces and its headers in the clear");
                    self.warn(message, "use https://");
                }
                Some(url.text)
            }
            Err(why) => {
                let message = "`endpoint` must be a plain http or https URL".to_owned();
                let help = "such as http://127.0.0.1:4317";
                self.fault(at, "config::bad_url", message, why, help);
                None
            }
        }
    }

    fn trace_headers(&mut self, raw: Vec<raw::TraceHeader>) -> Vec<TraceHeader> {
        let mut headers = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, header) in raw.into_iter().enumerate() {
            let path = format!("traces.headers[{index}]");
            let name_path = format!("{path}.name");
            let name = self.needed(header.name, &name_path, "such as authorization");
            let name = name.and_then(|name| self.trace_header_name(&name, &name_path));
            let value = self.trace_header_value(header.value, &format!("{path}.value"));
            if let (Some(name), Some(value)) = (name, value) {
                self.unique(&mut seen, &name, &name_path, "header");
                headers.push(TraceHeader { name, value });
            }
        }
        headers
    }

    fn trace_header_name(&mut self, text: &str, path: &str) -> Option<String> {
        let name = text.to_ascii_lowercase();
        let is_ours = TAKEN.contains(&name.as_str()) || name.starts_with("grpc-");
        if HeaderName::from_bytes(name.as_bytes()).is_ok() && !is_ours {
            return Some(name);
        }
        let message = format!("{} cannot be set", self.shown(text, path));
        let help = "such as authorization, or x-api-key";
        let label = "no name of a header, or one of the protocol's own";
        self.fault(path, "config::bad_value", message, label, help);
        None
    }

    /// Unlike other credentials it may hold spaces: `Bearer …`.
    fn trace_header_value(&mut self, value: Option<String>, path: &str) -> Option<Secret> {
        let place = self.walk.places.get(path).cloned().unwrap_or_default();
        if place.defaulted {
            let message = format!("`{path}` is left out: its variable is not set");
            self.warn(message, "set the variable, or remove the line");
            return None;
        }
        let text = self.needed(value, path, "what the collector wants, such as ${NAME}")?;
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let message = "the value cannot be sent in a header".to_owned();
            let label = "holds a line break or a character outside ASCII";
            let help = "copy it again, without what surrounds it";
            self.fault(path, "config::bad_credential", message, label, help);
            return None;
        }
        if !place.referenced {
            let message = format!("`{path}` is written in the file");
            let fix = "put it into an environment variable and write ${NAME}";
            self.warn(message, fix);
        }
        Some(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::load::{Format, parse};
    use crate::plan::TraceProtocol;

    fn read(text: &str) -> Result<crate::Plan, Vec<(&'static str, String)>> {
        let env = HashMap::from([("TOKEN".to_owned(), "Bearer token-0123456789".to_owned())]);
        parse("c", text, Format::Yaml, &env).map_err(|faults| {
            let named = faults.iter().map(|fault| (fault.code, fault.path.clone()));
            named.collect()
        })
    }

    #[test]
    fn each_protocol_has_its_port() {
        let plan = read("traces: {enabled: true, protocol: http}").unwrap();
        assert_eq!(plan.traces.protocol, TraceProtocol::Http);
        assert_eq!(plan.traces.endpoint, "http://127.0.0.1:4318");
        let plan = read("traces: {enabled: true, sample_percent: 0}").unwrap();
        assert_eq!(plan.traces.endpoint, "http://127.0.0.1:4317");
        assert_eq!(plan.traces.sample_percent, 0);
    }

    #[test]
    fn a_headers_value_is_a_secret() {
        let text = "traces: {headers: [{name: Authorization, value: '${TOKEN}'}]}";
        let plan = read(text).unwrap();
        assert_eq!(plan.traces.headers[0].name, "authorization");
        assert_eq!(
            plan.traces.headers[0].value.expose(),
            "Bearer token-0123456789"
        );
        for said in [format!("{plan:?}"), crate::show(&plan)] {
            assert!(!said.contains("token-0123"), "{said}");
        }
        let settings = crate::settings(&plan);
        let digest = &settings["traces.headers[authorization].value"];
        assert!(digest.starts_with("(digest "), "{digest}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (text, code, path) in [
            (
                "{endpoint: 'localhost:4317'}",
                "config::bad_url",
                "endpoint",
            ),
            ("{service_name: ' '}", "config::empty", "service_name"),
            (
                "{headers: [{name: a b, value: x}]}",
                "config::bad_value",
                "headers[0].name",
            ),
            (
                "{headers: [{name: Host, value: x}]}",
                "config::bad_value",
                "headers[0].name",
            ),
            (
                "{headers: [{name: a}]}",
                "config::missing_key",
                "headers[0].value",
            ),
            (
                "{headers: [{name: a, value: \"x\\n\"}]}",
                "config::bad_credential",
                "headers[0].value",
            ),
            (
                "{headers: [{name: a, value: x}, {name: A, value: y}]}",
                "config::duplicate_name",
                "headers[1].name",
            ),
        ] {
            let faults = read(&format!("traces: {text}")).unwrap_err();
            assert_eq!(faults, [(code, format!("traces.{path}"))], "{text}");
        }
    }
}
