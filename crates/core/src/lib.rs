//! What cc-relay decides with: request facts, credentials, snapshot, errors.
//!
//! Everything here is pure. There is no I/O, no clock and no randomness: the present time and any
//! seed are arguments, so each decision can be tested by a table.

pub mod affinity;
pub mod board;
mod bounded;
pub mod breaker;
pub mod budget;
pub mod capability;
pub mod catalog;
pub mod chance;
pub mod cold;
pub mod credential;
pub mod error;
pub mod estimate;
pub mod headers;
pub mod identity;
pub mod journey;
pub mod keys;
pub mod lacking;
pub mod latency;
pub mod models;
pub mod moment;
pub mod price;
pub mod project;
pub mod provider;
pub mod receipt;
pub mod record;
pub mod redact;
pub mod refusal;
pub mod request;
pub mod scan;
pub mod secret;
pub mod semconv;
pub mod snapshot;
pub mod spend;
pub mod sse;
pub mod station;
pub mod strategy;
pub mod trace;
pub mod usage;
pub mod waiting;
