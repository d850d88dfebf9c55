//! Google's application default credentials, asked through `google-cloud-auth`.
//!
//! In: a quota project. Out: bearer tokens. The SDK does not tell when a token ends, but keeps one
//! fresh itself (four minutes ahead) and fails once it has ended; so it is looked at every ten
//! seconds, which asks nobody. After a refusal it is built anew: its cache must never answer then.

use std::time::Duration;

use google_cloud_auth::build_errors;
use google_cloud_auth::credentials::{Builder, CacheableResource, Credentials};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use relay_core::identity::IssuedForm;
use relay_core::secret::Secret;

use crate::source::{Answer, Ask, Asked, BOUND_PROGRAM, Failure, Life, Why, chain};

/// What Vertex takes.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How often the SDK's token is looked at.
const LOOK: Duration = Duration::from_secs(10);

const ADVICE: &str = "run `gcloud auth application-default login`, or set \
                      GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or run on Google Cloud \
                      with a service account";

/// Asks the application default credentials.
pub(crate) struct Adc {
    quota_project: Option<String>,
    /// The SDK's, with its cache and the task that refreshes it, which ends when this is dropped.
    open: Option<Credentials>,
}

impl Adc {
    /// Keeps whom to bill.
    pub(crate) fn new(quota_project: Option<String>) -> Self {
        Self {
            quota_project,
            open: None,
        }
    }

    fn build(&self) -> Result<Credentials, Failure> {
        let mut builder = Builder::default().with_scopes([SCOPE]);
        if let Some(project) = &self.quota_project {
            builder = builder.with_quota_project_id(project);
        }
        builder.build().map_err(|error| unusable(&error))
    }

    async fn look(&mut self, why: Why) -> Result<Answer, Failure> {
        let open = match (why, &self.open) {
            (Why::Due, Some(open)) => open.clone(),
            (Why::Due, None) | (Why::Refused, _) => self.build()?,
        };
        if why == Why::Due {
            // Until it has answered: a question may be dropped, and one that failed is not asked
            // again, since a task of the SDK's that gave up never answers.
            self.open = None;
        }
        let found = open.headers(Extensions::new()).await;
        let headers = match found {
            Ok(CacheableResource::New { data, .. }) => data,
            Ok(CacheableResource::NotModified) => {
                return Err(Failure("Google's SDK gave no token".into()));
            }
            Err(error) => {
                let what = chain(&error);
                return Err(Failure(format!("Google issued no token: {what}; {ADVICE}")));
            }
        };
        self.open = Some(open);
        answer(&headers)
    }
}

impl Ask for Adc {
    fn ask(&mut self, why: Why) -> Asked<'_> {
        Box::pin(self.look(why))
    }

    fn bound(&self) -> Duration {
        // An identity of another cloud may come from a program.
        BOUND_PROGRAM
    }
}

fn answer(headers: &HeaderMap) -> Result<Answer, Failure> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Failure(format!("Google issued no bearer token; {ADVICE}")))?;
    let quota_project = headers
        .get("x-goog-user-project")
        .and_then(|value| value.to_str().ok())
        .map(Box::from);
    Ok(Answer {
        form: IssuedForm::Bearer {
            token: Secret::new(token),
            quota_project,
        },
        life: Life::Watched(LOOK),
    })
}

fn unusable(error: &build_errors::Error) -> Failure {
    // What a parser quotes may be the key that stands in the file.
    let what = if error.is_parsing() {
        "the credentials file is not JSON of a kind that is known".to_owned()
    } else {
        chain(error)
    };
    Failure(format!(
        "Google's credentials cannot be used: {what}; {ADVICE}"
    ))
}
