//! The whole relay on real sockets, against the simulated upstream.
//!
//! Each test starts a relay of its own in this process, from a config text, and talks to it over
//! TCP. What a client sees and what the upstream got are compared with what a direct connection
//! gives. Nothing here depends on speed: waits are for states, and bounded.

#![expect(
    clippy::disallowed_methods,
    reason = "the upstreams and proxies of a test end with its runtime"
)]
#![expect(
    clippy::string_slice,
    clippy::similar_names,
    reason = "a test may panic and be terse"
)]

#[cfg(test)]
mod affinity;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod health;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod models;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upstream;
