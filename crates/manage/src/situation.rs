//! What is in force, as the configuration has it.
//!
//! In: the plan that was put in force last, with what was changed over it. Out: the same, to all who
//! answer. It says what was wanted; what is the case, the relay's own state says.

use std::path::PathBuf;

use relay_config::{Overrides, Plan};

/// What is in force.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The plan in force: the file's, with the changes over it.
    pub plan: Plan,
    /// The file's plan.
    pub file_plan: Plan,
    /// What this API has changed over the file.
    pub overrides: Overrides,
    /// Where the file is, or would be.
    pub file: PathBuf,
    /// Where clients reach the relay.
    pub url: String,
}
