//! A connection to the management API.
//!
//! In: an address, and what its holder is let in with. Out: a client, or why there is none. It must
//! never send a token without TLS to another machine.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use crate::address::Address;
use crate::v1::relay_manager_client::RelayManagerClient;

/// A client of the management API.
pub type Connection = RelayManagerClient<InterceptedService<Channel, Token>>;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a client is let in with, beside the address.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The token, where one is asked for.
    pub token: Option<String>,
    /// Certificates to trust beside the system's: PEM.
    pub ca: Option<Vec<u8>>,
    /// The client's own certificate chain and key: PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("no relay answers at {0}")]
    Nobody(Address, #[source] tonic::transport::Error),
    /// The address is no URL.
    #[error("{0} cannot be connected to")]
    Address(Address),
    /// The token is no text that a header can hold.
    #[error("the token holds bytes that no header can")]
    Token,
    /// A token would be readable on its way.
    #[error("a token is not sent to {0} without TLS: write https://")]
    Open(Address),
}

/// Sends the token with every call.
#[derive(Clone)]
pub struct Token(Option<MetadataValue<Ascii>>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Connects.
///
/// # Errors
/// [`ConnectError`] says what is in the way.
pub async fn connect(
    address: &Address,
    credentials: &Credentials,
) -> Result<Connection, ConnectError> {
    let token = match &credentials.token {
        None => None,
        Some(token) => {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
                .parse()
                .map_err(|_| ConnectError::Token)?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    let nobody = |error| ConnectError::Nobody(address.clone(), error);
    let channel = match address {
        Address::Unix(path) => {
            // The URL is never resolved: it only names the authority.
            let endpoint = Endpoint::from_static("http://relay.local").connect_timeout(PATIENCE);
            let path = path.clone();
            endpoint
                .connect_with_connector(tower::service_fn(move |_: Uri| open(path.clone())))
                .await
        }
        Address::Tcp(place) => {
            if token.is_some() && !is_here(place) {
                return Err(ConnectError::Open(address.clone()));
            }
            endpoint(address, format!("http://{place}"))?
                .connect()
                .await
        }
        Address::Tls(place) => {
            let mut tls = ClientTlsConfig::new().with_enabled_roots();
            if let Some(ca) = &credentials.ca {
                tls = tls.ca_certificate(Certificate::from_pem(ca));
            }
            if let Some((chain, key)) = &credentials.identity {
                tls = tls.identity(Identity::from_pem(chain, key));
            }
            let endpoint = endpoint(address, format!("https://{place}"))?;
            endpoint.tls_config(tls).map_err(nobody)?.connect().await
        }
    };
    let channel = channel.map_err(nobody)?;
    Ok(RelayManagerClient::with_interceptor(channel, Token(token)))
}

async fn open(path: PathBuf) -> std::io::Result<TokioIo<UnixStream>> {
    Ok(TokioIo::new(UnixStream::connect(path).await?))
}

fn endpoint(address: &Address, url: String) -> Result<Endpoint, ConnectError> {
    let endpoint =
        Endpoint::from_shared(url).map_err(|_| ConnectError::Address(address.clone()))?;
    Ok(endpoint.connect_timeout(PATIENCE))
}

/// Tells whether a place is this machine.
fn is_here(place: &str) -> bool {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
