//! The lines of the demo: a head, one line for each request, a summary.
//!
//! In: the relay's own records and the client's verdicts. Out: text, or JSON one object a line.

use std::time::Duration;

use relay_core::record::{Outcome, RequestRecord};
use relay_core::request::ModelName;
use serde_json::{Value, json};

use super::client::Verdict;
use crate::output::{BAD, COPY, GOOD, STRONG, WARN, paint};

/// What all turns came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) turns: u64,
    pub(super) identical: u64,
    pub(super) aborted: u64,
    pub(super) different: u64,
    pub(super) bytes: u64,
    /// Requests whose body reached the upstream changed, or not at all.
    pub(super) requests_changed: u64,
}

impl Totals {
    /// Counts a turn.
    pub(super) fn add(&mut self, verdict: Verdict) {
        self.turns = self.turns.saturating_add(1);
        let (count, bytes) = match verdict {
            Verdict::Identical { bytes } => (&mut self.identical, bytes),
            Verdict::Aborted { bytes } => (&mut self.aborted, bytes),
            Verdict::Different => (&mut self.different, 0),
        };
        *count = count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Tells whether every byte was right.
    pub(super) fn is_sound(&self) -> bool {
        self.different == 0 && self.requests_changed == 0
    }

    /// Returns the JSON form.
    pub(super) fn to_json(self) -> Value {
        json!({
            "turns": self.turns,
            "identical": self.identical,
            "aborted": self.aborted,
            "different": self.different,
            "bytes": self.bytes,
            "requests_changed": self.requests_changed,
        })
    }

    /// Returns the summary.
    pub(super) fn lines(&self, ascii: bool) -> Vec<String> {
        let (good, bad) = if ascii { ("ok", "X") } else { ("✔", "✖") };
        let sign = |fine: bool| {
            if fine {
                paint(GOOD, good)
            } else {
                paint(BAD, bad)
            }
        };
        let mut lines = vec![
            String::new(),
            paint(
                STRONG,
                &format!(
                    "{} turns, {} bytes of answers compared by SHA-256",
                    self.turns, self.bytes
                ),
            ),
            format!(
                "  {} {} answers identical to what the upstream sent",
                sign(true),
                self.identical
            ),
            format!(
                "  {} {} broken streams aborted, as they must be",
                sign(true),
                self.aborted
            ),
            format!(
                "  {} {} answers different",
                sign(self.different == 0),
                self.different
            ),
            format!(
                "  {} {} requests changed on their way",
                sign(self.requests_changed == 0),
                self.requests_changed
            ),
        ];
        lines.push(format!("Next: {}", paint(COPY, "cc-relay serve")));
        lines
    }
}

/// Returns the lines at the start.
pub(super) fn head(url: &str) -> Vec<String> {
    vec![
        "Made-up traffic: no account, nothing leaves this machine, nothing is written.".to_owned(),
        format!("  relay   {}", paint(COPY, url)),
        "  try it with Claude Code, in another terminal (any key does; the answers are made up):"
            .to_owned(),
        format!(
            "    {}",
            paint(
                COPY,
                &format!("ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=demo claude")
            )
        ),
        "  ctrl-c stops it.".to_owned(),
        String::new(),
        paint(
            STRONG,
            "   TIME  MODEL              ENDPOINT       ST     TTFE    TOTAL   TOKENS IN/OUT  OUTCOME",
        ),
    ]
}

/// Returns the line of a request. `started` is the demo's start since the Unix epoch.
pub(super) fn line(record: &RequestRecord, started: Duration, ascii: bool) -> String {
    let at = record.started.saturating_sub(started).as_secs_f64();
    let model = record.model.as_ref().map_or("-", ModelName::as_str);
    let status = record
        .status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    let first = record
        .time_to_first_event
        .map_or_else(|| "-".to_owned(), seconds);
    let total = seconds(record.duration);
    let tokens = tokens(record);
    let outcome = outcome(record, ascii);
    let endpoint = record.endpoint;
    format!(
        "{at:>5.1} s  {model:<18} {endpoint:<13} {status:>3} {first:>8} {total:>8} {tokens:>15}  {outcome}"
    )
}

fn outcome(record: &RequestRecord, ascii: bool) -> String {
    let fine = record.status.is_some_and(|status| status < 400);
    let (sign, plain, style) = match record.outcome {
        Outcome::Complete if fine => ("✔", "ok", GOOD),
        Outcome::Complete | Outcome::ErrorEvent | Outcome::ClientGone => ("▲", "!", WARN),
        Outcome::StreamCut | Outcome::Stalled | Outcome::Refused => ("✖", "X", BAD),
    };
    let why = match (record.outcome, &record.error_type) {
        (Outcome::StreamCut, _) => "stream_cut: aborted, so that the client retries".to_owned(),
        (outcome, Some(why)) => format!("{}: {why}", outcome.name()),
        (outcome, None) => outcome.name().to_owned(),
    };
    paint(
        style,
        &format!("{} {why}", if ascii { plain } else { sign }),
    )
}

fn tokens(record: &RequestRecord) -> String {
    let number =
        |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let input = number(record.usage.total_input_tokens());
    format!("{input}/{}", number(record.usage.output_tokens))
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Returns the JSON form of a request.
pub(super) fn to_json(record: &RequestRecord) -> Value {
    let millis = |time: Duration| (time.as_secs_f64() * 1_000_000.0).round() / 1000.0;
    json!({
        "request_id": record.request_id,
        "endpoint": record.endpoint,
        "model": record.model.as_ref().map(ModelName::as_str),
        "status": record.status,
        "ttfe_ms": record.time_to_first_event.map(millis),
        "duration_ms": millis(record.duration),
        "input_tokens": record.usage.total_input_tokens(),
        "output_tokens": record.usage.output_tokens,
        "response_bytes": record.response_bytes,
        "outcome": record.outcome.name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_wrong() {
        let mut totals = Totals::default();
        totals.add(Verdict::Identical { bytes: 4096 });
        totals.add(Verdict::Aborted { bytes: 100 });
        assert!(totals.is_sound());
        totals.add(Verdict::Different);
        assert!(!totals.is_sound());
        let text = totals.lines(true).join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
