//! One entry of the operating system's keychain.
//!
//! In: a service and an account. Out: the secret that stands there, or why it cannot be had. The
//! keychain is the Secret Service of the session bus (GNOME Keyring, `KWallet`, `KeePassXC`) on
//! Linux and the BSDs, and the login keychain on macOS. It may ask the person to unlock it; it must
//! never wait for that without an end, and never says what an entry holds.

use std::sync::mpsc;
use std::time::Duration;

use relay_config::Refused;

/// How long the keychain may take: long enough for somebody to type a password into its window.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads an entry, for at most half a minute.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn read(service: &str, account: &str) -> Result<String, Refused> {
    let (send, answer) = mpsc::channel();
    let (service, account) = (service.to_owned(), account.to_owned());
    // A thread of its own: the keychain's bus may wait for a window that nobody sees.
    let worker = std::thread::Builder::new().name("keychain".to_owned());
    worker
        .spawn(move || send.send(ask(&service, &account)))
        .map_err(|error| Refused::Unusable(error.to_string()))?;
    match answer.recv_timeout(PATIENCE) {
        Ok(found) => found,
        Err(_) => Err(Refused::Late),
    }
}

#[cfg(unix)]
fn ask(service: &str, account: &str) -> Result<String, Refused> {
    use keyring_core::Error;
    use keyring_core::api::CredentialStoreApi as _;

    #[cfg(target_os = "macos")]
    use apple_native_keyring_store::keychain::Store;
    #[cfg(not(target_os = "macos"))]
    use zbus_secret_service_keyring_store::Store;

    let found = Store::new()
        .and_then(|store| store.build(service, account, None))
        .and_then(|entry| entry.get_password());
    found.map_err(|error| match error {
        Error::NoEntry => Refused::Missing,
        Error::Ambiguous(_) => Refused::Ambiguous,
        Error::BadEncoding(_) => Refused::Unusable("the entry is no text".to_owned()),
        // What an entry holds may stand in it, and is not said.
        Error::BadDataFormat(..) => Refused::Unusable("the entry is damaged".to_owned()),
        // The others name the bus and the store.
        other @ (Error::PlatformFailure(_)
        | Error::NoStorageAccess(_)
        | Error::BadStoreFormat(_)
        | Error::TooLong(..)
        | Error::Invalid(..)
        | Error::NoDefaultStore
        | Error::NotSupportedByStore(_)
        | _) => Refused::Unusable(other.to_string()),
    })
}

#[cfg(not(unix))]
fn ask(_service: &str, _account: &str) -> Result<String, Refused> {
    Err(Refused::Unknown)
}
