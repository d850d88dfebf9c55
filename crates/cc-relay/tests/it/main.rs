//! The whole relay on real sockets, against the simulated upstream.
//!
//! Each test starts a relay of its own in this process, from a config text, and talks to it over
//! TCP. What a client sees and what the upstream got are compared with what a direct connection
//! gives. Nothing here depends on speed: waits are for states, and bounded.

mod bytes;
mod credentials;
mod drain;
mod faults;
mod limits;
mod log;
mod support;
mod upstream;
