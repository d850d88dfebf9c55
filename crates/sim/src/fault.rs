//! How an answer goes wrong. In: a [`Fault`] or its text form; out: when it strikes and what is
//! done then. Must never touch a socket: the player turns it into steps.

use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// A fault of one answer. `n` counts whole events or response body bytes already written; a count
/// beyond the end never strikes, a count equal to the end strikes before the final chunk.
///
/// On HTTP/2 `Reset*` is `RST_STREAM` and `Close*` drops the whole connection without `GOAWAY`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Fault {
    /// Reads the request and then says nothing.
    StallBeforeHead,
    /// Resets the connection (TCP RST) after the request.
    ResetBeforeHead,
    /// Closes the connection (TCP FIN) after the request.
    CloseBeforeHead,
    /// Says nothing more after `n` events.
    StallAfterEvents(usize),
    /// Resets after `n` events.
    ResetAfterEvents(usize),
    /// Closes after `n` events without the final chunk.
    CloseAfterEvents(usize),
    /// Ends the body properly after `n` events, so without `message_stop`.
    CleanEndAfterEvents(usize),
    /// Says nothing more after `n` body bytes.
    StallAfterBytes(usize),
    /// Resets after `n` body bytes.
    ResetAfterBytes(usize),
    /// Closes after `n` body bytes without the final chunk.
    CloseAfterBytes(usize),
    /// Ends the body properly after `n` body bytes.
    CleanEndAfterBytes(usize),
    /// Sends `event: error` of this type and message after `n` events, then ends properly. A
    /// request without `"stream": true` gets the same error as a JSON answer with its status.
    ErrorEventAfter(usize, String, String),
    /// Sends `.0` bytes that are neither UTF-8 nor SSE after `.1` events, then goes on.
    Garbage(usize, usize),
    /// Claims a longer `content-length` than it sends, then closes.
    ContentLengthShort,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Head,
    Events(u64),
    Bytes(u64),
    /// When all has been said.
    End,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    Stall,
    Reset,
    Close,
    CleanEnd,
    ErrorEvent(&'a str, &'a str),
    Garbage(usize),
}

impl Fault {
    /// Returns when this fault strikes and what it does.
    pub(crate) fn plan(&self) -> (Trigger, Action<'_>) {
        match self {
            Self::StallBeforeHead => (Trigger::Head, Action::Stall),
            Self::ResetBeforeHead => (Trigger::Head, Action::Reset),
            Self::CloseBeforeHead => (Trigger::Head, Action::Close),
            Self::StallAfterEvents(n) => (events(*n), Action::Stall),
            Self::ResetAfterEvents(n) => (events(*n), Action::Reset),
            Self::CloseAfterEvents(n) => (events(*n), Action::Close),
            Self::CleanEndAfterEvents(n) => (events(*n), Action::CleanEnd),
            Self::StallAfterBytes(n) => (bytes(*n), Action::Stall),
            Self::ResetAfterBytes(n) => (bytes(*n), Action::Reset),
            Self::CloseAfterBytes(n) => (bytes(*n), Action::Close),
            Self::CleanEndAfterBytes(n) => (bytes(*n), Action::CleanEnd),
            Self::ErrorEventAfter(n, kind, message) => {
                (events(*n), Action::ErrorEvent(kind, message))
            }
            Self::Garbage(length, n) => (events(*n), Action::Garbage(*length)),
            Self::ContentLengthShort => (Trigger::End, Action::Close),
        }
    }
}

fn events(n: usize) -> Trigger {
    Trigger::Events(n as u64)
}

fn bytes(n: usize) -> Trigger {
    Trigger::Bytes(n as u64)
}

/// A text that names no fault.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no fault; write one of stall-before-head, reset-before-head, close-before-head, \
     {{stall,reset,close,clean-end}}-after-{{events,bytes}}:N, error-event-after:N:TYPE:MESSAGE, \
     garbage:BYTES:EVENTS, content-length-short"
)]
pub struct UnknownFault(String);

impl TryFrom<String> for Fault {
    type Error = UnknownFault;
    fn try_from(text: String) -> Result<Self, UnknownFault> {
        text.parse()
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    /// Reads the form `reset-after-events:3`.
    ///
    /// # Errors
    /// [`UnknownFault`], which lists the forms.
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut parts = text.splitn(4, ':');
        let name = parts.next().unwrap_or_default().replace('_', "-");
        let rest: Vec<&str> = parts.collect();
        let number = |at: usize| rest.get(at).and_then(|part| part.parse::<usize>().ok());
        let fault = match (name.as_str(), rest.len()) {
            ("stall-before-head", 0) => Some(Self::StallBeforeHead),
            ("reset-before-head", 0) => Some(Self::ResetBeforeHead),
            ("close-before-head", 0) => Some(Self::CloseBeforeHead),
            ("content-length-short", 0) => Some(Self::ContentLengthShort),
            ("stall-after-events", 1) => number(0).map(Self::StallAfterEvents),
            ("reset-after-events", 1) => number(0).map(Self::ResetAfterEvents),
            ("close-after-events", 1) => number(0).map(Self::CloseAfterEvents),
            ("clean-end-after-events", 1) => number(0).map(Self::CleanEndAfterEvents),
            ("stall-after-bytes", 1) => number(0).map(Self::StallAfterBytes),
            ("reset-after-bytes", 1) => number(0).map(Self::ResetAfterBytes),
            ("close-after-bytes", 1) => number(0).map(Self::CloseAfterBytes),
            ("clean-end-after-bytes", 1) => number(0).map(Self::CleanEndAfterBytes),
            ("garbage", 2) => number(0).zip(number(1)).map(|(n, k)| Self::Garbage(n, k)),
            ("error-event-after", 3) => match (number(0), rest.get(1), rest.get(2)) {
                (Some(n), Some(kind), Some(message)) => Some(Self::ErrorEventAfter(
                    n,
                    (*kind).to_owned(),
                    (*message).to_owned(),
                )),
                _ => None,
            },
            _ => None,
        };
        fault.ok_or_else(|| UnknownFault(text.to_owned()))
    }
}
