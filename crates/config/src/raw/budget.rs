//! The raw form of `budgets`.
//!
//! In: nothing. Out: the schema and the values as written, as in `raw.rs`, which see.

use schemars::JsonSchema;
use serde::Deserialize;

/// What may be spent in a period, by whom.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Budget {
    /// Its name, unique among them: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub(crate) name: Option<String>,
    /// Whose spending is summed. Default `all`: everybody's together.
    pub(crate) per: Option<Per>,
    /// The one client key or provider that it is for. Default: each.
    pub(crate) only: Option<String>,
    /// Dollars at list prices, in quotes, such as `"25.00"`; or else `tokens`.
    pub(crate) usd: Option<String>,
    /// Tokens: input, cached or not, and output.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_u64))]
    pub(crate) tokens: Option<u64>,
    /// When it begins anew, in UTC. Default `month`.
    pub(crate) period: Option<Period>,
    /// The share in percent from which on a warning is logged. Default 80.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) warn_percent: Option<u64>,
}

/// Whose spending is summed.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Per {
    ClientKey,
    Session,
    Provider,
    All,
}

/// When a budget begins anew.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Period {
    Hour,
    Day,
    Week,
    Month,
}
