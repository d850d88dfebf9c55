//! Which settings files there are.
//!
//! In: the environment and the present folder. Out: their paths, weakest first.

use std::path::{Path, PathBuf};

use crate::cli::Scope;
use crate::environment::Environment;

/// All scopes, the weakest first: a later one wins.
pub const SCOPES: [Scope; 3] = [Scope::User, Scope::Project, Scope::Local];

impl Scope {
    /// Returns the scope's name as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
        }
    }

    /// Returns the settings file of this scope. Claude Code's own folder can be moved by
    /// `CLAUDE_CONFIG_DIR`.
    pub fn path(self, env: &Environment, cwd: &Path) -> PathBuf {
        match self {
            Self::User => {
                let folder = env.get("CLAUDE_CONFIG_DIR").map(PathBuf::from);
                folder
                    .unwrap_or_else(|| env.home().join(".claude"))
                    .join("settings.json")
            }
            Self::Project => cwd.join(".claude/settings.json"),
            Self::Local => cwd.join(".claude/settings.local.json"),
        }
    }
}
