//! The management API, and who may use it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use relay_core::secret::Secret;

/// The management API, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcPlan {
    /// Whether it is there. Default true.
    pub enabled: bool,
    /// Where.
    pub listen: GrpcListen,
    /// Where grpc-web is spoken, if it is.
    pub web_listen: Option<SocketAddr>,
    /// Who may use it. Empty: whoever can reach it, on this machine alone.
    pub tokens: Vec<GrpcToken>,
    /// The certificate to serve, or `None` for plain text.
    pub tls: Option<GrpcTls>,
}

impl Default for GrpcPlan {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: GrpcListen::Beside,
            web_listen: None,
            tokens: Vec::new(),
            tls: None,
        }
    }
}

/// Where the management API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcListen {
    /// At a Unix socket in the user's folder for such, named after the relay's port.
    Beside,
    /// At this Unix socket.
    Unix(PathBuf),
    /// At this port.
    Tcp(SocketAddr),
}

impl fmt::Display for GrpcListen {
    /// As the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside => f.write_str("auto"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// A token for the management API.
#[derive(Clone)]
pub struct GrpcToken {
    /// The name under which its changes are logged.
    pub name: String,
    /// The token.
    pub secret: Secret,
    /// What its holder may do.
    pub role: GrpcRole,
}

impl PartialEq for GrpcToken {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.role == other.role
            && self.secret.digest().matches(&other.secret.digest())
    }
}

impl Eq for GrpcToken {}

impl fmt::Debug for GrpcToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcToken")
            .field("name", &self.name)
            .field("secret", &self.secret.id())
            .field("role", &self.role)
            .finish()
    }
}

/// What a user of the management API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcRole {
    /// Look.
    Read,
    /// Look and change.
    Admin,
}

impl GrpcRole {
    /// Returns the name used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// The certificate of the management API: PEM files that were there when the file was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcTls {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
    /// Authorities whose certificates clients must show; `None`: none is asked for.
    pub client_ca_file: Option<PathBuf>,
}
