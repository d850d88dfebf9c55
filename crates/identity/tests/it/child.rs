//! Runs a test's body in a process of its own: the SDKs read the environment, which a process
//! must not change while it has threads.
//!
//! In: the test's name and an environment. Out: what the body told by [`tell`]. It must never pass
//! a test that did not run.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use relay_core::identity::{Identity, Issued, IssuedForm};
use relay_identity::{Source, identity};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MARK: &str = "RELAY_IDENTITY_CHILD";

/// Tells whether this process is to run a test's body.
pub(crate) fn is_one() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs this test again with this environment and no other; returns what it told.
pub(crate) async fn run(test: &str, home: &Path, environment: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(MARK, "1")
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    // What measures coverage goes on to the child.
    for name in ["LLVM_PROFILE_FILE", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test} failed in its own process:\n{text}\n{errors}"
    );
    text.lines()
        .filter_map(|line| line.split_once("told: "))
        .map(|(_, told)| told.to_owned())
        .collect()
}

/// Tells the parent something.
pub(crate) fn tell(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\ntold: {words}").unwrap();
}

/// An identity with its keeper running.
pub(crate) struct Kept {
    pub(crate) identity: Arc<dyn Identity>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Kept {
    /// Starts one.
    pub(crate) fn start(source: Source) -> Self {
        let (identity, keeper) = identity("test", source).unwrap();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(keeper.run(stop.clone()));
        tasks.close();
        Self {
            identity,
            stop,
            tasks,
        }
    }

    /// Returns the first credential.
    pub(crate) async fn first(&self) -> Arc<Issued> {
        let issued = self.identity.renew(0).await.unwrap();
        assert_eq!(issued.generation, 1);
        assert_eq!(self.identity.current().unwrap().generation, 1);
        issued
    }

    /// Returns why there is none.
    pub(crate) async fn refusal(&self, generation: u64) -> String {
        match self.identity.renew(generation).await {
            Ok(issued) => panic!("generation {} was issued", issued.generation),
            Err(error) => error.to_string(),
        }
    }

    /// Stops the keeper and waits for it.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        assert!(self.refusal(u64::MAX).await.contains("stopping"));
    }
}

/// Returns a bearer token and whom Google bills.
pub(crate) fn bearer(issued: &Issued) -> (&str, Option<&str>) {
    match &issued.form {
        IssuedForm::Bearer {
            token,
            quota_project,
        } => (token.expose(), quota_project.as_deref()),
        IssuedForm::Aws { .. } => panic!("AWS credentials were issued"),
    }
}

/// Returns access key id, secret and session token.
pub(crate) fn aws(issued: &Issued) -> (&str, &str, Option<&str>) {
    match &issued.form {
        IssuedForm::Aws {
            access_key_id,
            secret_access_key,
            session_token,
        } => (
            access_key_id,
            secret_access_key.expose(),
            session_token
                .as_ref()
                .map(relay_core::secret::Secret::expose),
        ),
        IssuedForm::Bearer { .. } => panic!("a token was issued"),
    }
}
