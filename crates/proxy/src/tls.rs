//! TLS settings for both sides: which certificates to trust, and which to show.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::connect::ConnectError;

/// A certificate or key that the listener cannot use.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// A file cannot be read, or holds no PEM.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key do not fit, or are not usable.
    #[error("certificate and key")]
    Pair(#[source] rustls::Error),
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Returns the client's settings: the system's roots and those of `ca_file`.
pub(crate) fn client_config(
    ca_file: Option<&Path>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, ConnectError> {
    let failed = |text: String| ConnectError::Tls(text.into());
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(file) = ca_file {
        let shown = file.display();
        let certificates = CertificateDer::pem_file_iter(file)
            .map_err(|error| failed(format!("ca_file {shown}: {error}")))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate =
                certificate.map_err(|error| failed(format!("ca_file {shown}: {error}")))?;
            roots
                .add(certificate)
                .map_err(|error| failed(format!("ca_file {shown}: {error}")))?;
        }
        if roots.len() == before {
            return Err(failed(format!("ca_file {shown}: no certificate in it")));
        }
    }
    if roots.is_empty() {
        return Err(failed(
            "no trusted certificates: install ca-certificates".to_owned(),
        ));
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Returns the listener's settings.
///
/// # Errors
/// [`ServerTlsError`] naming the file that is at fault.
pub fn server_config(
    cert_file: &Path,
    key_file: &Path,
    http2: bool,
) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let file = |path: &Path| {
        let file = path.display().to_string();
        move |source| ServerTlsError::File { file, source }
    };
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file(cert_file))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(file(key_file))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(ServerTlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(ServerTlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Arc::new(config))
}
