//! Why a request goes nowhere.

use crate::spend::Exhausted;

/// Why there is no candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nowhere {
    /// No target serves the model.
    UnknownModel,
    /// No target may be asked for this client.
    NoCredential,
    /// Nobody has to be asked: the target that a turn would go to does not count tokens. So many
    /// are estimated.
    Estimated(u64),
    /// The budget of every provider that serves the model is spent; this one begins anew first.
    OverBudget(Box<Exhausted>),
    /// Every target that serves the model takes shorter bodies only.
    TooLong {
        /// The longest that any of them takes.
        limit_bytes: u64,
    },
}

impl Nowhere {
    pub(super) fn or_too_long(self, limit: u64) -> Self {
        let limit_bytes = match self {
            Self::TooLong { limit_bytes } => limit_bytes.max(limit),
            Self::UnknownModel | Self::NoCredential | Self::Estimated(_) | Self::OverBudget(_) => {
                limit
            }
        };
        Self::TooLong { limit_bytes }
    }
}
