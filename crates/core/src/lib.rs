//! What cc-relay decides with: request facts, credentials, snapshot, errors.
//!
//! Everything here is pure. There is no I/O, no clock and no randomness: the present time and any
//! seed are arguments, so each decision can be tested by a table.

pub mod secret;
