//! Where the management API of a relay is.
//!
//! In: text as a person or the configuration writes it. Out: a socket's address. Beside a relay on a
//! port, without any setting, it is a Unix socket that is named after the port and that only its
//! user can open.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path of a Unix socket on Linux is 108 bytes, on macOS 104, the final zero included
/// (`sys/un.h`).
const LONGEST_PATH: usize = 103;

/// Where the management API of a relay is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket: `unix:/run/user/1000/cc-relay/8787.sock`.
    Unix(PathBuf),
    /// A TCP port without TLS: `127.0.0.1:9090`, or `http://` before it.
    Tcp(String),
    /// A TCP port with TLS: `https://relay.example:9090`.
    Tls(String),
}

/// Text that is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no address: write host:port, https://host:port or unix:/path")]
pub struct AddressError(String);

impl Address {
    /// Returns the socket of a relay that serves clients on `port`, in the user's folder for
    /// sockets, or `None` if its path would be too long for one.
    pub fn beside(folder: &Path, port: u16) -> Option<Self> {
        let path = folder.join(format!("{port}.sock"));
        (path.as_os_str().len() <= LONGEST_PATH).then_some(Self::Unix(path))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            let fits = path.is_absolute() && path.as_os_str().len() <= LONGEST_PATH;
            return if fits {
                Ok(Self::Unix(path.into()))
            } else {
                Err(wrong())
            };
        }
        let (is_tls, place) = match text.split_once("://") {
            Some(("https", place)) => (true, place),
            Some(("http", place)) => (false, place),
            Some(_) => return Err(wrong()),
            None => (false, text),
        };
        let place = place.trim_end_matches('/');
        let has_port = place.parse::<SocketAddr>().is_ok()
            || place.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains(['/', '@', ':']) && port.parse::<u16>().is_ok()
            });
        match (has_port, is_tls) {
            (false, _) => Err(wrong()),
            (true, true) => Ok(Self::Tls(place.to_owned())),
            (true, false) => Ok(Self::Tcp(place.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(place) => f.write_str(place),
            Self::Tls(place) => write!(f, "https://{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "127.0.0.1:9090",
            "[::1]:9090",
            "relay.example:9090",
            "https://relay.example:9090",
            "unix:/run/user/1000/cc-relay/8787.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!(
            "http://127.0.0.1:9090/".parse(),
            Ok(Address::Tcp("127.0.0.1:9090".to_owned()))
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for text in [
            "",
            "9090",
            "host",
            "ftp://host:1",
            "unix:relative",
            "u@h:1",
            "h:99999",
            &long,
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_is_named_after_the_port() {
        let folder = Path::new("/run/user/1000/cc-relay");
        let address = Address::beside(folder, 8787).unwrap();
        assert_eq!(
            address.to_string(),
            "unix:/run/user/1000/cc-relay/8787.sock"
        );
        assert_eq!(Address::beside(Path::new(&"/x".repeat(60)), 1), None);
    }
}
