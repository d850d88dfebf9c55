//! Microsoft Entra: each way to a token, against its fake.

use std::path::{Path, PathBuf};

use relay_core::secret::Secret;
use relay_identity::{EntraApp, EntraChain, Source, Unusable, identity};
use relay_sim::{IdentitySim, Issuer};

use crate::child::{self, Kept, bearer, tell};

fn app(secret: &str, authority_host: Option<String>) -> Source {
    Source::EntraSecret(EntraApp {
        tenant_id: "sim-tenant".into(),
        client_id: "sim-client".into(),
        client_secret: Secret::new(secret),
        authority_host,
        scope: None,
    })
}

fn chain() -> Source {
    Source::EntraChain(EntraChain::default())
}

/// Issues, renews, and tells both tokens.
async fn issue_and_renew(source: Source) {
    let kept = Kept::start(source);
    let first = kept.first().await;
    assert!(first.expires.is_some());
    assert_eq!(bearer(&first).1, None);
    tell(bearer(&first).0);
    let second = kept.identity.renew(1).await.unwrap();
    assert_eq!(second.generation, 2);
    tell(bearer(&second).0);
    kept.stop().await;
}

fn both_hold(sim: &IdentitySim, told: &[String]) {
    assert_eq!(told.len(), 2, "{told:?}");
    assert_ne!(told[0], told[1]);
    assert!(told.iter().all(|token| sim.holds(token)), "{told:?}");
}

fn authority() -> Option<String> {
    std::env::var("SIM_AUTHORITY").ok()
}

fn trusted(sim: &IdentitySim, home: &Path) -> PathBuf {
    let file = home.join("ca.pem");
    std::fs::write(&file, sim.ca_pem().unwrap()).unwrap();
    file
}

#[tokio::test]
async fn an_application_issues_and_renews_past_the_sdk_cache() {
    if child::is_one() {
        return issue_and_renew(app("sim-client-secret", authority())).await;
    }
    let sim = IdentitySim::start_tls().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "azure::an_application_issues_and_renews_past_the_sdk_cache",
        home.path(),
        &[
            ("SIM_AUTHORITY", &sim.base_url()),
            (
                "SSL_CERT_FILE",
                trusted(&sim, home.path()).to_str().unwrap(),
            ),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::Entra), 2);
}

#[tokio::test]
async fn a_wrong_secret_is_told_without_it_though_entra_quotes_it() {
    if child::is_one() {
        let kept = Kept::start(app("fake-wrong-secret", authority()));
        let why = kept.refusal(0).await;
        assert!(why.contains("AADSTS7000215"), "{why}");
        assert!(why.contains("check the tenant"), "{why}");
        assert!(!why.contains("fake-wrong-secret"), "{why}");
        return kept.stop().await;
    }
    let sim = IdentitySim::start_tls().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    child::run(
        "azure::a_wrong_secret_is_told_without_it_though_entra_quotes_it",
        home.path(),
        &[
            ("SIM_AUTHORITY", &sim.base_url()),
            (
                "SSL_CERT_FILE",
                trusted(&sim, home.path()).to_str().unwrap(),
            ),
        ],
    )
    .await;
    assert_eq!(sim.questions(Issuer::Entra), 1);
}

#[tokio::test]
async fn a_workload_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew(chain()).await;
    }
    let sim = IdentitySim::start_tls().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "sim-workload-token").unwrap();
    let told = child::run(
        "azure::a_workload_issues_and_renews",
        home.path(),
        &[
            ("AZURE_AUTHORITY_HOST", &sim.base_url()),
            ("AZURE_FEDERATED_TOKEN_FILE", token.to_str().unwrap()),
            ("AZURE_TENANT_ID", "sim-tenant"),
            ("AZURE_CLIENT_ID", "sim-client"),
            (
                "SSL_CERT_FILE",
                trusted(&sim, home.path()).to_str().unwrap(),
            ),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::Entra), 2);
}

#[tokio::test]
async fn an_app_service_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew(chain()).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "azure::an_app_service_issues_and_renews",
        home.path(),
        &[
            (
                "IDENTITY_ENDPOINT",
                &format!("{}/msi/token", sim.base_url()),
            ),
            ("IDENTITY_HEADER", "sim-identity-header"),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::ManagedIdentity), 2);
}

#[tokio::test]
async fn a_machine_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew(chain()).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "azure::a_machine_issues_and_renews",
        home.path(),
        // Its address cannot be changed, but a proxy can stand before it.
        &[("http_proxy", &sim.base_url())],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::ManagedIdentity), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn the_command_line_issues_where_no_machine_does() {
    use std::os::unix::fs::PermissionsExt as _;

    if child::is_one() {
        let kept = Kept::start(chain());
        assert_eq!(bearer(&*kept.first().await).0, "fake-cli-token");
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 400);
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("az");
    std::fs::write(
        &program,
        "#!/bin/sh\necho '{\"accessToken\":\"fake-cli-token\",\"expires_on\":4102444800,\
         \"tokenType\":\"Bearer\"}'\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        home.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    child::run(
        "azure::the_command_line_issues_where_no_machine_does",
        home.path(),
        &[("http_proxy", &sim.base_url()), ("PATH", &path)],
    )
    .await;
    assert_eq!(sim.questions(Issuer::ManagedIdentity), 1);
}

#[tokio::test]
async fn nothing_found_says_what_was_tried_and_what_to_do() {
    if child::is_one() {
        let kept = Kept::start(chain());
        let why = kept.refusal(0).await;
        for words in ["run `az login`", "managed identity: ", "Azure CLI: "] {
            assert!(why.contains(words), "{why}");
        }
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(9, 400);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "azure::nothing_found_says_what_was_tried_and_what_to_do",
        home.path(),
        &[("http_proxy", &sim.base_url()), ("PATH", "/bin")],
    )
    .await;
}

#[test]
fn settings_that_never_work_are_refused_at_once() {
    let plain = identity("test", app("fake", Some("http://localhost".into())));
    assert!(matches!(
        plain.map(|_| ()),
        Err(Unusable::Setting {
            setting: "authority_host",
            ..
        })
    ));
    let empty = identity("test", app("", None));
    assert_eq!(
        empty.map(|_| ()).unwrap_err().to_string(),
        "identity test: client_secret is empty: set it or leave it out"
    );
}
