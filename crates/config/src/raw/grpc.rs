//! The management API, raw.

use schemars::JsonSchema;
use serde::Deserialize;

/// The management API, and who may use it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Grpc {
    /// Whether it is there. Default true.
    pub(crate) enabled: Option<bool>,
    /// Where: `auto`, `unix:/path`, or address and port. Default `auto`: a Unix socket of the user
    /// alone, named after the relay's port.
    pub(crate) listen: Option<String>,
    /// Address and port for grpc-web, which browsers speak. Default: none.
    pub(crate) web_listen: Option<String>,
    /// Who may use it, by token. A Unix socket needs none: only its user can open it.
    pub(crate) tokens: Vec<GrpcToken>,
    /// A certificate, needed beyond this machine.
    pub(crate) tls: Option<GrpcTls>,
}

/// A token for the management API.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrpcToken {
    /// The name under which its changes are logged, unique among them.
    pub(crate) name: Option<String>,
    /// The token, at least 16 characters.
    pub(crate) token: Option<String>,
    /// What its holder may do. Default `read`.
    pub(crate) role: Option<Role>,
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Read,
    Admin,
}

/// A certificate for the management API.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "they are the keys of the file")]
pub(crate) struct GrpcTls {
    /// The certificate chain, a PEM file.
    pub(crate) cert_file: Option<String>,
    /// The private key, a PEM file.
    pub(crate) key_file: Option<String>,
    /// Authorities whose certificates clients must show, a PEM file. Default: none is asked for.
    pub(crate) client_ca_file: Option<String>,
}
