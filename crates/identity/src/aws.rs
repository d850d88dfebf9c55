//! AWS's default chain of credentials, asked through `aws-config`.
//!
//! In: a profile and a region. Out: credentials to sign with. It must never let a cache of the
//! SDK's answer: the chain is built for each question, which also reads edited profiles and a
//! renewed sign-in.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use relay_core::identity::IssuedForm;
use relay_core::secret::Secret;

use crate::source::{Answer, Ask, Asked, BOUND_PROGRAM, Failure, Life, Why, chain};

/// Asks the default chain, or one profile if one is named.
pub(crate) struct Chain {
    profile: Option<String>,
    region: String,
}

impl Chain {
    /// Keeps what to ask for.
    pub(crate) fn new(profile: Option<String>, region: String) -> Self {
        Self { profile, region }
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let region = Region::new(self.region.clone());
        let settings = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(region.clone()));
        let Some(profile) = &self.profile else {
            let provider = DefaultCredentialsChain::builder()
                .region(region)
                .configure(settings)
                .build()
                .await;
            return provider.provide_credentials().await;
        };
        // A profile that was named is what is meant, whatever the environment holds.
        let provider = ProfileFileCredentialsProvider::builder()
            .profile_name(profile)
            .configure(&settings)
            .build();
        provider.provide_credentials().await
    }

    fn advice(&self, error: &CredentialsError) -> Failure {
        let profile = self
            .profile
            .as_ref()
            .map_or_else(String::new, |name| format!(" --profile {name}"));
        let what = chain(error);
        let none = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        Failure(if none {
            format!(
                "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or run `aws sso login{profile}`, or give this machine a \
                 role ({what})"
            )
        } else {
            format!(
                "AWS issued no credentials: {what}; check the profile and its role, and if you \
                 sign in by SSO, run `aws sso login{profile}`"
            )
        })
    }
}

impl Ask for Chain {
    fn ask(&mut self, _why: Why) -> Asked<'_> {
        // Boxed for its size: the chain's futures hold every provider.
        Box::pin(async move {
            let credentials = self.credentials().await.map_err(|it| self.advice(&it))?;
            Ok(answer(&credentials))
        })
    }

    fn bound(&self) -> Duration {
        BOUND_PROGRAM
    }
}

fn answer(credentials: &Credentials) -> Answer {
    let end = credentials
        .expiry()
        .map(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default());
    Answer {
        form: IssuedForm::Aws {
            access_key_id: credentials.access_key_id().into(),
            secret_access_key: Secret::new(credentials.secret_access_key()),
            session_token: credentials.session_token().map(Secret::new),
        },
        life: end.map_or(Life::Endless, Life::Until),
    }
}
