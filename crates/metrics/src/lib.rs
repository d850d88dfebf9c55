//! What cc-relay counts of its requests, for Prometheus.
//!
//! In: the record of each ended request, on its path, and the state of everything at a scrape. Out:
//! text in the `OpenMetrics` format. It must never wait where requests pass, nor let a label be
//! anything but a name from the configuration, a model whose price is known, or a word of the
//! relay's own: never a session, a path, an id or what an upstream says.

mod family;
mod record;
mod scene;
mod text;

use std::sync::Arc;

use relay_core::price::{Prices, plain_name};
use relay_core::request::ModelName;

pub use record::Metrics;
pub use scene::Scene;
pub use text::{CONTENT_TYPE, render};

/// Returns the label of a model: its plain name if its price is known, else `other`; of a bounded
/// set, whatever clients ask for.
fn model_label(prices: &Prices, model: Option<&ModelName>) -> Arc<str> {
    let name = model.map(|model| plain_name(model.as_str()));
    match name.filter(|name| prices.knows(name)) {
        Some(name) => name.into(),
        None => "other".into(),
    }
}
