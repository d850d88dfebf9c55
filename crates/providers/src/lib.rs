//! The dialects of cc-relay's upstreams: pure edits of headers and bodies.
//!
//! In: an inbound request. Out: the same request as an upstream wants it. Nothing here does I/O,
//! reads a clock, or parses a body into a tree: a body is edited by splicing bytes, or not at all.

pub mod bedrock;
pub mod betas;
pub mod compatible;
pub mod errors;
pub mod fields;
pub mod lacks;
pub mod roles;
pub mod sign;
pub mod splice;
pub mod thinking;
pub mod trim;
pub mod version;
pub mod vertex;
