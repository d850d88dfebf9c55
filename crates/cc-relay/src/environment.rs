//! The environment variables of the process, taken once, and the folders that follow from them.
//!
//! In: environment variables. Out: values by name, and the paths of the home and state folders.
//! Being a value, it can be made up by a test. It has no `Debug`: it holds credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A copy of the environment variables that are valid Unicode.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// Copies the variables of this process.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        Self(
            pairs
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// Returns the value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns the names of all variables, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the home folder, `/` when there is none.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(self.get("HOME").unwrap_or("/"))
    }

    /// Returns the folder of this program's own state: `$XDG_STATE_HOME` or `~/.local/state`,
    /// then `cc-relay`.
    pub fn state_dir(&self) -> PathBuf {
        let base = self.get("XDG_STATE_HOME").map(PathBuf::from);
        let base = base.filter(|path| path.is_absolute());
        base.unwrap_or_else(|| self.home().join(".local/state"))
            .join("cc-relay")
    }

    /// Returns the folder of this program's sockets: `$XDG_RUNTIME_DIR/cc-relay`, or where there is
    /// none, `run` in [`Self::state_dir`].
    pub fn runtime_dir(&self) -> PathBuf {
        let base = self.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = base.filter(|path| path.is_absolute());
        base.map_or_else(
            || self.state_dir().join("run"),
            |base| base.join("cc-relay"),
        )
    }

    /// Returns the usual place of the history.
    pub fn history(&self) -> PathBuf {
        self.state_dir().join("relay.db")
    }

    /// Returns a path for people to read: the home folder is written `~`.
    pub fn show_path(&self, path: &Path) -> String {
        match path.strip_prefix(self.home()) {
            Ok(rest) if self.get("HOME").is_some() => format!("~/{}", rest.display()),
            Ok(_) | Err(_) => path.display().to_string(),
        }
    }

    /// Tells whether the terminal can show only ASCII: `CC_RELAY_ASCII`, or a locale that is set
    /// and is not UTF-8.
    pub fn ascii_only(&self) -> bool {
        if self.get("CC_RELAY_ASCII").is_some_and(|value| value != "0") {
            return true;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| self.get(name));
        locale.is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            !name.contains("utf-8") && !name.contains("utf8")
        })
    }
}

impl relay_config::Env for Environment {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn keychain(&self, service: &str, account: &str) -> Result<String, relay_config::Refused> {
        crate::keychain::read(service, account)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_about_symbols() {
        assert!(!Environment::default().ascii_only());
        assert!(!Environment::from([("LANG", "de_DE.UTF-8")]).ascii_only());
        assert!(Environment::from([("LANG", "C")]).ascii_only());
        assert!(!Environment::from([("LC_ALL", "C.utf8"), ("LANG", "C")]).ascii_only());
        assert!(Environment::from([("CC_RELAY_ASCII", "1")]).ascii_only());
    }

    #[test]
    fn a_relative_state_home_is_ignored() {
        let env = Environment::from([("HOME", "/home/ana"), ("XDG_STATE_HOME", "state")]);
        assert_eq!(
            env.state_dir(),
            Path::new("/home/ana/.local/state/cc-relay")
        );
        assert_eq!(env.show_path(Path::new("/home/ana/x/y")), "~/x/y");
        assert_eq!(env.show_path(Path::new("/etc/x")), "/etc/x");
    }

    #[test]
    fn debug_shows_no_value() {
        let env = Environment::from([("ANTHROPIC_API_KEY", "sk-ant-fake")]);
        assert_eq!(format!("{env:?}"), "Environment(1 variables)");
    }
}
