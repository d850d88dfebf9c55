//! What the SDKs say to the log, with every level open: no secret, whatever they are asked.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use relay_core::secret::Secret;
use relay_identity::{EntraApp, Source};
use relay_sim::IdentitySim;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::child::{self, Kept};

/// Keeps every field of every event and span.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = self.0.lock();
        write!(text, "\n{}", span.metadata().target()).unwrap();
        span.record(&mut Line(&mut text));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock();
        write!(text, "\n{}", event.metadata().target()).unwrap();
        event.record(&mut Line(&mut text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Issues and fails with every level open, and looks for what must not be said.
async fn said(source: Source, secrets: &[&str]) {
    let heard = Heard::default();
    tracing::subscriber::set_global_default(heard.clone()).unwrap();
    let kept = Kept::start(source);
    kept.refusal(0).await;
    kept.first().await;
    kept.stop().await;
    let text = heard.0.lock().clone();
    assert!(text.contains("relay_identity::keeper"), "nothing was heard");
    for line in text.lines() {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret} was said: {line}");
        }
    }
}

#[tokio::test]
async fn aws_says_no_secret() {
    if child::is_one() {
        let source = Source::AwsChain {
            profile: None,
            region: "us-east-1".into(),
        };
        return said(
            source,
            &["sim-secret-", "sim-session-", "sim-container-token"],
        )
        .await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "trace::aws_says_no_secret",
        home.path(),
        &[
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                &format!("{}/v2/credentials/sim", sim.base_url()),
            ),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "sim-container-token"),
        ],
    )
    .await;
}

#[tokio::test]
async fn aws_token_service_says_no_secret() {
    if child::is_one() {
        let source = Source::AwsChain {
            profile: None,
            region: "us-east-1".into(),
        };
        return said(source, &["sim-secret-", "sim-session-", "sim-web-identity"]).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "sim-web-identity").unwrap();
    child::run(
        "trace::aws_token_service_says_no_secret",
        home.path(),
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sim"),
            ("AWS_ENDPOINT_URL_STS", &sim.base_url()),
        ],
    )
    .await;
}

#[tokio::test]
async fn aws_instance_metadata_says_no_secret() {
    if child::is_one() {
        let source = Source::AwsChain {
            profile: None,
            region: "us-east-1".into(),
        };
        return said(
            source,
            &["sim-secret-", "sim-session-", "sim-metadata-token"],
        )
        .await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "trace::aws_instance_metadata_says_no_secret",
        home.path(),
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &sim.base_url()),
        ],
    )
    .await;
}

#[tokio::test]
async fn google_says_no_secret() {
    if child::is_one() {
        let source = Source::GoogleDefault {
            quota_project: None,
        };
        let secrets = ["sim-refresh-token", "sim-client-secret", "sim-GoogleOauth-"];
        return said(source, &secrets).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("user.json");
    std::fs::write(&file, sim.authorized_user_json("sim")).unwrap();
    child::run(
        "trace::google_says_no_secret",
        home.path(),
        &[("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())],
    )
    .await;
}

#[tokio::test]
async fn entra_says_no_secret() {
    if child::is_one() {
        let source = Source::EntraSecret(EntraApp {
            tenant_id: "sim-tenant".into(),
            client_id: "sim-client".into(),
            client_secret: Secret::new("sim-client-secret"),
            authority_host: std::env::var("SIM_AUTHORITY").ok(),
            scope: None,
        });
        return said(source, &["sim-client-secret", "sim-Entra-"]).await;
    }
    let sim = IdentitySim::start_tls().await.unwrap();
    sim.fail_next(1, 400);
    let home = tempfile::tempdir().unwrap();
    let trusted = home.path().join("ca.pem");
    std::fs::write(&trusted, sim.ca_pem().unwrap()).unwrap();
    child::run(
        "trace::entra_says_no_secret",
        home.path(),
        &[
            ("SIM_AUTHORITY", &sim.base_url()),
            ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ],
    )
    .await;
}
