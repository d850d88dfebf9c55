//! The management API's server: what happens in a running relay, and how it is changed.
//!
//! In: a witness of the relay's state, records of ended requests, events. Out: gRPC, on a thread
//! that no request runs on; changes, to whoever carries them out. It must never keep a request
//! waiting, send a credential, or change anything by itself but what lives in memory alone.
//!
//! The path of a call: `server` (sockets, TLS) → `caller` (who, and what they may do) → `service`
//! (each call) → `manager` (what all share) → `ledger`, `watch`, `events` and `tell` to answer, or
//! `consequence` and `orders` to change.

mod audit;
mod caller;
mod consequence;
mod events;
mod file;
mod ledger;
mod manager;
mod orders;
mod pulse;
mod refusal;
mod server;
mod service;
mod situation;
mod tell;
mod watch;

pub use audit::{Audit, AuditSink};
pub use consequence::summary;
pub use events::Events;
pub use file::{replace, revision};
pub use ledger::{Ledger, Today};
pub use manager::{Check, Manager, ManagerOptions};
pub use orders::{Applied, Asked, Order, Orders, Refused};
pub use server::{Listen, Running, ServeError, Sockets};
pub use situation::Situation;
