//! Google: application default credentials, each kind against its fake.

use relay_identity::Source;
use relay_sim::{IdentitySim, Issuer};

use crate::child::{self, Kept, bearer, tell};

fn source() -> Source {
    Source::GoogleDefault {
        quota_project: None,
    }
}

/// Issues, renews, and tells both tokens.
async fn issue_and_renew(billed: Option<&str>) {
    let kept = Kept::start(source());
    let first = kept.first().await;
    let (token, quota_project) = bearer(&first);
    assert_eq!(quota_project, billed);
    tell(token);
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

#[tokio::test]
async fn a_service_account_signs_for_itself() {
    if child::is_one() {
        return issue_and_renew(None).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("key.json");
    std::fs::write(&file, sim.service_account_json()).unwrap();
    let told = child::run(
        "google::a_service_account_signs_for_itself",
        home.path(),
        &[("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())],
    )
    .await;
    both_hold(&sim, &told);
    assert!(told[0].starts_with("ey"), "a JWT");
    let other = IdentitySim::start().await.unwrap();
    assert!(!other.holds(&told[0]), "another key signs otherwise");
}

#[tokio::test]
async fn a_signed_in_user_issues_and_bills_the_project() {
    if child::is_one() {
        return issue_and_renew(Some("sim-billed")).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("application_default_credentials.json"),
        sim.authorized_user_json("sim-billed"),
    )
    .unwrap();
    let told = child::run(
        "google::a_signed_in_user_issues_and_bills_the_project",
        home.path(),
        &[],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::GoogleOauth), 2);
}

#[tokio::test]
async fn the_metadata_server_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew(None).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "google::the_metadata_server_issues_and_renews",
        home.path(),
        &[("GCE_METADATA_HOST", &sim.address().to_string())],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::GoogleMetadata), 2);
}

#[tokio::test]
async fn another_clouds_identity_is_exchanged() {
    if child::is_one() {
        return issue_and_renew(None).await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "sim-subject-token").unwrap();
    let file = home.path().join("pool.json");
    std::fs::write(&file, sim.external_account_json(&token)).unwrap();
    let told = child::run(
        "google::another_clouds_identity_is_exchanged",
        home.path(),
        &[("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::GoogleExchange), 2);
}

#[tokio::test]
async fn a_failure_is_told_and_the_next_question_recovers() {
    if child::is_one() {
        let kept = Kept::start(source());
        let why = kept.refusal(0).await;
        assert!(
            why.starts_with("identity test: Google issued no token: "),
            "{why}"
        );
        assert!(
            why.contains("gcloud auth application-default login"),
            "{why}"
        );
        kept.first().await;
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "google::a_failure_is_told_and_the_next_question_recovers",
        home.path(),
        &[("GCE_METADATA_HOST", &sim.address().to_string())],
    )
    .await;
    assert_eq!(sim.questions(Issuer::GoogleMetadata), 2);
}

#[tokio::test]
async fn a_token_that_the_server_keeps_is_not_passed_off_as_another() {
    if child::is_one() {
        let kept = Kept::start(source());
        kept.first().await;
        let why = kept.refusal(1).await;
        assert!(why.contains("gave the same"), "{why}");
        assert_eq!(kept.identity.current().unwrap().generation, 1);
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.set_caching(true);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "google::a_token_that_the_server_keeps_is_not_passed_off_as_another",
        home.path(),
        &[("GCE_METADATA_HOST", &sim.address().to_string())],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_no_credential_is_told_without_its_text() {
    if child::is_one() {
        let kept = Kept::start(source());
        let why = kept.refusal(0).await;
        assert!(why.contains("cannot be used"), "{why}");
        assert!(!why.contains("fake-secret"), "{why}");
        return kept.stop().await;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("key.json");
    std::fs::write(
        &file,
        r#"{"type":"authorized_user","client_id":["fake-secret"],"refresh_token":7}"#,
    )
    .unwrap();
    child::run(
        "google::a_file_that_is_no_credential_is_told_without_its_text",
        home.path(),
        &[("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())],
    )
    .await;
}
