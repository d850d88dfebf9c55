//! The checks of the relay's own certificates: whether clients can trust them, and for how long.
//!
//! In: the plan. Out: a finding for each certificate. Private keys are not read.

use std::path::Path;
use std::time::Duration;

use relay_config::Plan;
use relay_proxy::clock;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::Finding;

const CHECK: &str = "certificate";

/// A certificate that ends sooner than this is told of.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Checks the certificates that the relay shows to clients and to callers of the management API.
pub(super) fn certificates(plan: Option<&Plan>) -> Vec<Finding> {
    let Some(plan) = plan else { return Vec::new() };
    let server = plan.server.tls.as_ref().map(|tls| tls.cert_file.as_path());
    let manage = plan.grpc.tls.as_ref().map(|tls| tls.cert_file.as_path());
    let now = clock::unix();
    let files = server
        .into_iter()
        .chain(manage.filter(|it| Some(*it) != server));
    files.map(|file| judge(file, now)).collect()
}

fn judge(file: &Path, now: Duration) -> Finding {
    let shown = file.display();
    let renew = "renew it, and write it to the same file: it is read again at once";
    let unreadable = |why: String| {
        let fix = "write the whole chain in PEM form, the server's own certificate first";
        Finding::error(CHECK, format!("{shown} is no certificate: {why}"), fix)
    };
    // The first is the server's own.
    let der = match CertificateDer::from_pem_file(file) {
        Ok(der) => der,
        Err(error) => return unreadable(error.to_string()),
    };
    let parsed = match Certificate::from_der(&der) {
        Ok(parsed) => parsed,
        Err(error) => return unreadable(error.to_string()),
    };
    let validity = parsed.tbs_certificate().validity();
    let begins = validity.not_before.to_unix_duration().as_secs();
    let ends = validity.not_after.to_unix_duration().as_secs();
    let now = now.as_secs();
    let days = |seconds: u64| seconds / 86_400;
    if begins > now {
        let what = format!(
            "{shown} is valid only in {} days",
            days(begins.saturating_sub(now))
        );
        return Finding::error(
            CHECK,
            what,
            "check this machine's clock, or the certificate",
        );
    }
    match ends.checked_sub(now) {
        None | Some(0) => {
            let ago = days(now.saturating_sub(ends));
            Finding::error(
                CHECK,
                format!("{shown} ended {ago} days ago: no client trusts it"),
                renew,
            )
        }
        Some(left) if left < SOON.as_secs() => {
            Finding::warning(CHECK, format!("{shown} ends in {} days", days(left)), renew)
        }
        Some(left) => Finding::ok(CHECK, format!("{shown} is valid for {} days", days(left))),
    }
}
