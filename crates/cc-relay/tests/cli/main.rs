//! The real `cc-relay` binary, run as a person runs it, each time with a home folder of its own.

mod basics;
mod cc;
mod status;
mod support;
