//! What was issued and asked. In: questions; out: numbered credentials and counts. Must never be
//! locked over a wait.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock;

use super::jwt::Signer;

/// Who issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Issuer {
    /// AWS: instance metadata, version 2.
    InstanceMetadata,
    /// AWS: container credentials.
    Container,
    /// AWS: the token service, for a web identity.
    WebIdentity,
    /// AWS: the token service, for a role to assume.
    AssumedRole,
    /// AWS: the portal of IAM Identity Center, for somebody signed in.
    SignIn,
    /// Google: the metadata server.
    GoogleMetadata,
    /// Google: the OAuth token endpoint.
    GoogleOauth,
    /// Google: the token service, for an identity of another cloud.
    GoogleExchange,
    /// Microsoft Entra.
    Entra,
    /// Azure: managed identities.
    ManagedIdentity,
}

/// The awaited questions did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{issuer:?} was asked {seen} times within a minute, not {wanted}")]
pub struct NotAsked {
    /// Who should have been asked.
    pub issuer: Issuer,
    /// How often.
    pub wanted: u64,
    /// How often it was.
    pub seen: u64,
}

/// AWS credentials that were issued.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    missing_debug_implementations,
    reason = "it holds secrets, if fake ones"
)]
pub struct IssuedAws {
    /// Access key id: `ASIASIM` and a number.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token.
    pub session_token: String,
    /// When they end, since the Unix epoch, in whole seconds.
    pub expires: Duration,
}

/// A bearer token that was issued.
#[derive(Debug, Clone)]
pub(super) struct Bearer {
    pub(super) token: String,
    pub(super) expires: Duration,
}

/// Oldest credentials are forgotten beyond this many.
const KEPT: u64 = 4_096;

pub(super) struct Book {
    pub(super) signer: Signer,
    state: Mutex<State>,
    counts: watch::Sender<BTreeMap<Issuer, u64>>,
}

struct State {
    life: Duration,
    caching: bool,
    fail: (u32, u16),
    issued: u64,
    /// Numbers up to this one were revoked.
    revoked: u64,
    bearers: HashMap<String, (u64, Bearer)>,
    aws: HashMap<String, (u64, IssuedAws)>,
    last_bearer: BTreeMap<Issuer, String>,
    last_aws: BTreeMap<Issuer, String>,
}

impl Book {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            signer: Signer::generate()?,
            state: Mutex::new(State {
                life: Duration::from_hours(1),
                caching: false,
                fail: (0, 0),
                issued: 0,
                revoked: 0,
                bearers: HashMap::new(),
                aws: HashMap::new(),
                last_bearer: BTreeMap::new(),
                last_aws: BTreeMap::new(),
            }),
            counts: watch::Sender::new(BTreeMap::new()),
        })
    }

    pub(super) fn set_life(&self, life: Duration) {
        self.state.lock().life = life;
    }

    pub(super) fn fail_next(&self, questions: u32, status: u16) {
        self.state.lock().fail = (questions, status);
    }

    pub(super) fn set_caching(&self, caching: bool) {
        self.state.lock().caching = caching;
    }

    pub(super) fn revoke_all(&self) {
        let mut state = self.state.lock();
        state.revoked = state.issued;
    }

    /// Counts a question and returns the status it must fail with, if it must.
    pub(super) fn question(&self, issuer: Issuer) -> Option<u16> {
        let failed = {
            let mut state = self.state.lock();
            let (left, status) = state.fail;
            state.fail.0 = left.saturating_sub(1);
            (left > 0).then_some(status)
        };
        self.counts.send_modify(|counts| {
            let count = counts.entry(issuer).or_default();
            *count = count.saturating_add(1);
        });
        failed
    }

    pub(super) fn questions(&self, issuer: Issuer) -> u64 {
        self.counts
            .borrow()
            .get(&issuer)
            .copied()
            .unwrap_or_default()
    }

    pub(super) async fn asked(
        &self,
        issuer: Issuer,
        questions: u64,
        bound: Duration,
    ) -> Result<(), NotAsked> {
        let mut counts = self.counts.subscribe();
        let enough = counts.wait_for(|counts| counts.get(&issuer) >= Some(&questions));
        match tokio::time::timeout(bound, enough).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotAsked {
                issuer,
                wanted: questions,
                seen: self.questions(issuer),
            }),
        }
    }

    /// Issues a bearer token: `sim-ISSUER-NUMBER`.
    pub(super) fn bearer(&self, issuer: Issuer) -> Bearer {
        let now = clock::unix();
        let mut state = self.state.lock();
        if state.caching
            && let Some(last) = state.last_bearer.get(&issuer)
            && let Some((_, held)) = state.bearers.get(last)
            && held.expires > now
        {
            return held.clone();
        }
        let number = state.next();
        let bearer = Bearer {
            token: format!("sim-{issuer:?}-{number}"),
            expires: state.end(now),
        };
        let name = bearer.token.clone();
        state.last_bearer.insert(issuer, name.clone());
        state.bearers.insert(name, (number, bearer.clone()));
        bearer
    }

    /// Issues AWS credentials.
    pub(super) fn issue_aws(&self, issuer: Issuer) -> IssuedAws {
        let now = clock::unix();
        let mut state = self.state.lock();
        if state.caching
            && let Some(last) = state.last_aws.get(&issuer)
            && let Some((_, held)) = state.aws.get(last)
            && held.expires > now
        {
            return held.clone();
        }
        let number = state.next();
        let fresh = IssuedAws {
            access_key_id: format!("ASIASIM{number:013}"),
            secret_access_key: format!("sim-secret-{number}"),
            session_token: format!("sim-session-{number}"),
            expires: state.end(now),
        };
        let name = fresh.access_key_id.clone();
        state.last_aws.insert(issuer, name.clone());
        state.aws.insert(name, (number, fresh.clone()));
        fresh
    }

    pub(super) fn holds(&self, bearer: &str) -> bool {
        let now = clock::unix();
        let state = self.state.lock();
        match state.bearers.get(bearer) {
            Some((number, held)) => *number > state.revoked && held.expires > now,
            None => self.signer.signed(bearer, now).is_ok(),
        }
    }

    pub(super) fn aws(&self, access_key_id: &str) -> Option<IssuedAws> {
        let now = clock::unix();
        let state = self.state.lock();
        let (number, held) = state.aws.get(access_key_id)?;
        (*number > state.revoked && held.expires > now).then(|| held.clone())
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.issued = self.issued.saturating_add(1);
        let oldest = self.issued.saturating_sub(KEPT);
        if oldest > 0 {
            self.bearers.retain(|_, (number, _)| *number > oldest);
            self.aws.retain(|_, (number, _)| *number > oldest);
        }
        self.issued
    }

    /// Whole seconds, rounded up: formats of the clouds have no fractions.
    fn end(&self, now: Duration) -> Duration {
        let end = now.saturating_add(self.life);
        let spill = u64::from(end.subsec_nanos() > 0);
        Duration::from_secs(end.as_secs().saturating_add(spill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_or_was_revoked_no_longer_holds() {
        let book = Book::new().unwrap();
        let first = book.bearer(Issuer::Entra).token;
        let role = book.issue_aws(Issuer::Container).access_key_id;
        assert!(book.holds(&first) && book.aws(&role).is_some());
        book.revoke_all();
        assert!(!book.holds(&first) && book.aws(&role).is_none());
        let second = book.bearer(Issuer::Entra).token;
        assert!(book.holds(&second));
        assert_ne!(first, second);
        book.set_life(Duration::ZERO);
        assert_eq!(book.state.lock().end(Duration::from_secs(7)).as_secs(), 7);
        assert!(!book.holds("sim-Entra-99"));
    }

    #[test]
    fn it_fails_as_often_as_told() {
        let book = Book::new().unwrap();
        book.fail_next(2, 503);
        let statuses = [(); 3].map(|()| book.question(Issuer::Entra));
        assert_eq!(statuses, [Some(503), Some(503), None]);
        assert_eq!(book.questions(Issuer::Entra), 3);
        assert_eq!(book.questions(Issuer::Container), 0);
    }
}
