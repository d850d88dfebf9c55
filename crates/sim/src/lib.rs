//! A scriptable upstream in the shape of Anthropic's API: the independent witness of cc-relay's
//! tests. In: scripts that say what to answer and how to fail; out: a server on loopback and a
//! record of what it was asked. Must never share code with what it tests.
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! use relay_sim::{Fault, Script, Sim};
//!
//! let sim = Sim::builder().start().await?;
//! sim.push(Script::preset("rate_limited").unwrap_or_else(|| Script::text("no such preset")));
//! sim.push(Script::text("a broken answer").fault(Fault::ResetAfterEvents(3)));
//! // ... send requests to sim.base_url(), then look at sim.requests() and sim.stats().
//! sim.stop().await;
//! # Ok(())
//! # }
//! ```

mod account;
mod answer;
mod body;
mod cache;
mod clock;
mod control;
mod dialect;
mod encode;
mod fault;
mod grammar;
mod head;
mod http1;
mod http2;
mod identity;
mod keys;
mod limit;
mod player;
mod preset;
mod probe;
mod prompt;
mod record;
mod script;
mod sim;
mod spec;
mod tls;
mod upstream;
mod wire;

pub use account::{Account, UnknownAccount};
pub use cache::{PromptCache, Segment, Ttl, minimum_tokens};
pub use dialect::{Aws, AwsKey, Dialect, Foundry, UnknownDialect, Vendor, Vertex};
pub use encode::{Encoding, Split, UnknownSplit};
pub use fault::{Fault, UnknownFault};
pub use grammar::{Block, Usage};
pub use identity::{IdentitySim, IssuedAws, Issuer, NotAsked};
pub use limit::{Limits, RateLimiter, Refused, model_class};
pub use record::{Outcome, Recorded, Stats};
pub use script::Script;
pub use sim::{Sim, SimBuilder, WaitTimeout};
