//! AWS: the chain's providers, each against its fake.

use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_core::secret::Secret;
use relay_identity::Source;
use relay_sim::{IdentitySim, Issuer};

use crate::child::{self, Kept, aws, tell};

fn chain() -> Source {
    Source::AwsChain {
        profile: None,
        region: "us-east-1".into(),
    }
}

/// Issues, renews, and tells both access key ids.
async fn issue_and_renew() {
    let kept = Kept::start(chain());
    let first = kept.first().await;
    let (id, secret, session) = aws(&first);
    assert!(secret.starts_with("sim-secret-"));
    assert!(session.unwrap().starts_with("sim-session-"));
    assert!(first.expires.is_some());
    tell(id);
    let second = kept.identity.renew(1).await.unwrap();
    assert_eq!(second.generation, 2);
    tell(aws(&second).0);
    kept.stop().await;
}

/// Asserts that both were issued in turn, and hold.
fn both_hold(sim: &IdentitySim, told: &[String]) {
    assert_eq!(told.len(), 2, "{told:?}");
    assert_ne!(told[0], told[1]);
    for id in told {
        assert_eq!(sim.aws(id).unwrap().access_key_id, *id);
    }
}

#[tokio::test]
async fn instance_metadata_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "aws::instance_metadata_issues_and_renews",
        home.path(),
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &sim.base_url()),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::InstanceMetadata), 2);
}

#[tokio::test]
async fn a_container_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "aws::a_container_issues_and_renews",
        home.path(),
        &container(&sim.base_url()).each(),
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::Container), 2);
}

#[tokio::test]
async fn a_web_identity_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "sim-web-identity").unwrap();
    let told = child::run(
        "aws::a_web_identity_issues_and_renews",
        home.path(),
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/sim"),
            ("AWS_ENDPOINT_URL_STS", &sim.base_url()),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::WebIdentity), 2);
}

#[tokio::test]
async fn an_assumed_role_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(
        &file,
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = fake-base\n\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/sim\nsource_profile = base\n",
    )
    .unwrap();
    let told = child::run(
        "aws::an_assumed_role_issues_and_renews",
        home.path(),
        &[
            ("AWS_CONFIG_FILE", file.to_str().unwrap()),
            ("AWS_PROFILE", "role"),
            ("AWS_ENDPOINT_URL_STS", &sim.base_url()),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::AssumedRole), 2);
}

/// A profile that signs in by SSO, with its sign-in cached as `aws sso login` does.
fn signed_in(home: &Path) -> PathBuf {
    let file = home.join("config");
    std::fs::write(
        &file,
        "[profile sso]\nsso_session = sim\nsso_account_id = 123456789012\nsso_role_name = sim\n\
         [sso-session sim]\nsso_region = us-east-1\n\
         sso_start_url = https://sim.invalid/start\n",
    )
    .unwrap();
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::write(
        // Named by the SHA-1 of `sim`, the session.
        cache.join("813221ca5f14cb8312a6a48ff433c41b2cbb2877.json"),
        r#"{"accessToken":"sim-sign-in-token","expiresAt":"2100-01-01T00:00:00Z",
           "region":"us-east-1","startUrl":"https://sim.invalid/start"}"#,
    )
    .unwrap();
    file
}

#[tokio::test]
async fn a_sign_in_issues_and_renews() {
    if child::is_one() {
        return issue_and_renew().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let told = child::run(
        "aws::a_sign_in_issues_and_renews",
        home.path(),
        &[
            ("AWS_CONFIG_FILE", signed_in(home.path()).to_str().unwrap()),
            ("AWS_PROFILE", "sso"),
            ("AWS_ENDPOINT_URL_SSO", &sim.base_url()),
        ],
    )
    .await;
    both_hold(&sim, &told);
    assert_eq!(sim.questions(Issuer::SignIn), 2);
}

#[tokio::test]
async fn an_ended_sign_in_says_to_sign_in_again() {
    if child::is_one() {
        let kept = Kept::start(Source::AwsChain {
            profile: Some("sso".into()),
            region: "us-east-1".into(),
        });
        let why = kept.refusal(0).await;
        assert!(why.contains("run `aws sso login --profile sso`"), "{why}");
        assert!(!why.contains("sim-sign-in-token"), "{why}");
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.fail_next(1, 401);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "aws::an_ended_sign_in_says_to_sign_in_again",
        home.path(),
        &[
            ("AWS_CONFIG_FILE", signed_in(home.path()).to_str().unwrap()),
            ("AWS_ENDPOINT_URL_SSO", &sim.base_url()),
        ],
    )
    .await;
    assert_eq!(sim.questions(Issuer::SignIn), 1);
}

/// The environment of a container.
struct Container(String);

fn container(base_url: &str) -> Container {
    Container(format!("{base_url}/v2/credentials/sim"))
}

impl Container {
    fn each(&self) -> [(&str, &str); 2] {
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &self.0),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "sim-container-token"),
        ]
    }
}

#[tokio::test]
async fn short_lives_are_replaced_before_anybody_asks() {
    if child::is_one() {
        let kept = Kept::start(chain());
        // Nobody calls `renew`: the keeper gets them all by itself.
        while kept.identity.current().is_none_or(|it| it.generation < 3) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.set_life(Duration::from_secs(3));
    let home = tempfile::tempdir().unwrap();
    child::run(
        "aws::short_lives_are_replaced_before_anybody_asks",
        home.path(),
        &container(&sim.base_url()).each(),
    )
    .await;
    assert!(sim.questions(Issuer::Container) >= 3);
}

#[tokio::test]
async fn a_failure_is_told_and_the_next_question_recovers() {
    if child::is_one() {
        let kept = Kept::start(chain());
        let why = kept.refusal(0).await;
        assert!(
            why.starts_with("identity test: AWS issued no credentials: "),
            "{why}"
        );
        assert!(why.contains("check the profile and its role"), "{why}");
        assert!(kept.identity.current().is_none());
        kept.first().await;
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    // A status that the SDK does not ask again for.
    sim.fail_next(1, 403);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "aws::a_failure_is_told_and_the_next_question_recovers",
        home.path(),
        &container(&sim.base_url()).each(),
    )
    .await;
    assert_eq!(sim.questions(Issuer::Container), 2);
}

#[tokio::test]
async fn a_cached_credential_is_not_passed_off_as_another() {
    if child::is_one() {
        let kept = Kept::start(chain());
        let first = kept.first().await;
        let why = kept.refusal(1).await;
        assert!(why.contains("gave the same"), "{why}");
        assert!(why.contains("check its permissions"), "{why}");
        let held = kept.identity.current().unwrap();
        assert_eq!((held.generation, aws(&held)), (1, aws(&first)));
        return kept.stop().await;
    }
    let sim = IdentitySim::start().await.unwrap();
    sim.set_caching(true);
    let home = tempfile::tempdir().unwrap();
    child::run(
        "aws::a_cached_credential_is_not_passed_off_as_another",
        home.path(),
        &container(&sim.base_url()).each(),
    )
    .await;
    assert_eq!(sim.questions(Issuer::Container), 2);
}

#[tokio::test]
async fn nothing_found_says_what_to_do() {
    if child::is_one() {
        let kept = Kept::start(chain());
        let why = kept.refusal(0).await;
        assert!(
            why.contains("no AWS credentials found: set AWS_PROFILE"),
            "{why}"
        );
        assert!(why.contains("aws sso login"), "{why}");
        return kept.stop().await;
    }
    let home = tempfile::tempdir().unwrap();
    child::run("aws::nothing_found_says_what_to_do", home.path(), &[]).await;
}

#[tokio::test]
async fn a_named_profile_is_meant_and_read_again() {
    if child::is_one() {
        let file = std::env::var("AWS_SHARED_CREDENTIALS_FILE").unwrap();
        let kept = Kept::start(Source::AwsChain {
            profile: Some("work".into()),
            region: "us-east-1".into(),
        });
        assert_eq!(aws(&*kept.first().await), ("AKIAWORK", "fake-work", None));
        std::fs::write(file, profile("AKIANEXT", "fake-next")).unwrap();
        let second = kept.identity.renew(1).await.unwrap();
        assert_eq!(aws(&second), ("AKIANEXT", "fake-next", None));
        assert_eq!(second.expires, None);
        return kept.stop().await;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("credentials");
    std::fs::write(&file, profile("AKIAWORK", "fake-work")).unwrap();
    child::run(
        "aws::a_named_profile_is_meant_and_read_again",
        home.path(),
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
            ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "fake-environment"),
        ],
    )
    .await;
}

fn profile(id: &str, secret: &str) -> String {
    format!("[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

#[tokio::test]
async fn a_profile_may_start_a_program() {
    if child::is_one() {
        let kept = Kept::start(chain());
        assert_eq!(aws(&*kept.first().await).0, "AKIAPROGRAM");
        return kept.stop().await;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(
        &file,
        "[profile tool]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIAPROGRAM\",\
         \"SecretAccessKey\":\"fake\"}'\n",
    )
    .unwrap();
    child::run(
        "aws::a_profile_may_start_a_program",
        home.path(),
        &[
            ("AWS_CONFIG_FILE", file.to_str().unwrap()),
            ("AWS_PROFILE", "tool"),
        ],
    )
    .await;
}

#[tokio::test]
async fn credentials_of_the_configuration_hold_and_cannot_be_renewed() {
    let kept = Kept::start(Source::AwsStatic {
        access_key_id: "AKIAFAKE".into(),
        secret_access_key: Secret::new("fake-secret"),
        session_token: Some(Secret::new("fake-session")),
    });
    let first = kept.first().await;
    assert_eq!(
        aws(&first),
        ("AKIAFAKE", "fake-secret", Some("fake-session"))
    );
    assert_eq!(first.expires, None);
    let why = kept.refusal(1).await;
    assert!(why.contains("replace them there"), "{why}");
    assert_eq!(kept.identity.current().unwrap().generation, 1);
    assert!(!format!("{:?}", kept.identity).contains("fake"));
    kept.stop().await;
}
