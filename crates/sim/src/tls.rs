//! A certificate authority and a certificate made for one run. In: names; out: an acceptor and the
//! authority's PEM. Must never be used for anything but tests: nothing is kept or renewed.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Returns an acceptor for `names` and the PEM of the authority that signed its certificate.
pub(crate) fn acceptor(names: &[String], http2: bool) -> anyhow::Result<(TlsAcceptor, String)> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "cc-relay-sim authority");
    let authority_key = KeyPair::generate().context("make the authority's key")?;
    let issuer = CertifiedIssuer::self_signed(authority, authority_key)
        .context("sign the authority's certificate")?;

    let leaf_key = KeyPair::generate().context("make the server's key")?;
    let leaf = CertificateParams::new(names.to_vec())
        .and_then(|params| params.signed_by(&leaf_key, &issuer))
        .context("sign the server's certificate")?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der())
        .map_err(|reason| anyhow::anyhow!("read the server's key back: {reason}"))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .context("load the server's certificate")?;
    config.alpn_protocols = if http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok((TlsAcceptor::from(Arc::new(config)), issuer.pem()))
}
