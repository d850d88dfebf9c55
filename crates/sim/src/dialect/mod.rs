//! Dialects.

pub(crate) mod base64;
pub(crate) mod eventstream;
pub(crate) mod sigv4;
