//! Credentials as they stand in the configuration.
//!
//! In: the credentials. Out: the same, each time. It must never claim to have renewed them.

use std::time::Duration;

use relay_core::identity::IssuedForm;
use relay_core::secret::Secret;

use crate::source::{Answer, Ask, Asked, BOUND, Failure, Life, Why};

/// Answers with what it was given.
pub(crate) struct Fixed(IssuedForm);

impl Fixed {
    /// Holds AWS credentials.
    pub(crate) fn aws(access_key_id: String, secret: Secret, session: Option<Secret>) -> Self {
        Self(IssuedForm::Aws {
            access_key_id: access_key_id.into(),
            secret_access_key: secret,
            session_token: session,
        })
    }
}

impl Ask for Fixed {
    fn ask(&mut self, why: Why) -> Asked<'_> {
        Box::pin(async move {
            match why {
                Why::Due => Ok(Answer {
                    form: self.0.clone(),
                    life: Life::Endless,
                }),
                Why::Refused => Err(Failure(
                    "credentials in the configuration cannot be renewed: replace them there".into(),
                )),
            }
        })
    }

    fn bound(&self) -> Duration {
        BOUND
    }
}
