//! Why the keychain did not give an entry, and what to do about it.
//!
//! In: what was asked for. Out: words. Reading the keychain itself is the caller's: an [`Env`]
//! does it, since this crate touches no bus.
//!
//! [`Env`]: crate::Env

/// Why the keychain gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such entry.
    #[error("there is no such entry")]
    Missing,
    /// More than one entry has this service and account.
    #[error("there is more than one such entry")]
    Ambiguous,
    /// No keychain answers, or it stays locked. Holds the keychain's own words.
    #[error("the keychain cannot be used: {0}")]
    Unusable(String),
    /// Nobody unlocked it in time.
    #[error("the keychain gave no answer within 30 s")]
    Late,
    /// This system has no keychain that the relay knows.
    #[error("this system has no keychain that the relay can read")]
    Unknown,
}

impl Refused {
    /// Says what to do, given what was asked for.
    pub fn help(&self, service: &str, account: &str) -> String {
        match self {
            Self::Missing if cfg!(target_os = "macos") => {
                format!("store it: security add-generic-password -s {service} -a {account} -w")
            }
            Self::Missing => format!(
                "store it: secret-tool store --label=cc-relay service {service} username {account}"
            ),
            Self::Ambiguous => "remove all but one of them from the keychain".to_owned(),
            Self::Unusable(_) | Self::Late => {
                "unlock the keychain in this session, or use ${NAME} or ${file:/path}".to_owned()
            }
            Self::Unknown => "use ${NAME} or ${file:/path}".to_owned(),
        }
    }
}
