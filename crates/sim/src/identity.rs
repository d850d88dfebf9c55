//! A server on loopback that issues credentials as clouds do: instance metadata and container
//! credentials of AWS, its token service and portal, Google's metadata server and OAuth endpoint, Microsoft
//! Entra and its managed identities. In: how long a credential lives, how often to fail; out:
//! numbered credentials, how often each issuer was asked, and whether a credential still holds.
//! Must never issue anything that a real cloud would take.

mod aws;
mod book;
mod entra;
mod form;
mod google;
mod jwt;
mod serve;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tls;
use book::Book;

pub use book::{IssuedAws, Issuer, NotAsked};

/// How long a test waits for questions before it has failed.
const WAIT_BOUND: Duration = Duration::from_mins(1);

/// A running issuer of credentials. Dropping it stops it.
pub struct IdentitySim {
    address: SocketAddr,
    ca_pem: Option<String>,
    book: Arc<Book>,
    stop: CancellationToken,
}

impl fmt::Debug for IdentitySim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySim")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl IdentitySim {
    /// Starts one that speaks HTTP, as metadata servers do.
    ///
    /// # Errors
    /// No port, or no key could be made.
    pub async fn start() -> anyhow::Result<Self> {
        Self::open(false).await
    }

    /// Starts one that speaks HTTPS, as Entra must; see [`IdentitySim::ca_pem`].
    ///
    /// # Errors
    /// As for [`IdentitySim::start`].
    pub async fn start_tls() -> anyhow::Result<Self> {
        Self::open(true).await
    }

    async fn open(secure: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("listen on a loopback port")?;
        let address = listener.local_addr().context("read the loopback port")?;
        let (acceptor, ca_pem) = if secure {
            let names = [String::from("localhost"), String::from("127.0.0.1")];
            let (acceptor, pem) = tls::acceptor(&names, false)?;
            (Some(acceptor), Some(pem))
        } else {
            (None, None)
        };
        let book = Arc::new(Book::new()?);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let server = serve::accept(Arc::clone(&book), listener, acceptor, tasks.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(server));
        Ok(Self {
            address,
            ca_pem,
            book,
            stop,
        })
    }

    /// Returns `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub fn base_url(&self) -> String {
        match self.ca_pem {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the PEM of the authority to trust, if it speaks HTTPS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Sets how long what is issued from now on lives; an hour by default.
    pub fn set_life(&self, life: Duration) {
        self.book.set_life(life);
    }

    /// Fails the next questions with this status; what they asked with is quoted in the answer, as
    /// careless servers do.
    pub fn fail_next(&self, questions: u32, status: u16) {
        self.book.fail_next(questions, status);
    }

    /// Sets whether a credential is given again while it lives, as metadata servers do.
    pub fn set_caching(&self, caching: bool) {
        self.book.set_caching(caching);
    }

    /// Revokes all that was issued: it lives on, but no longer holds.
    pub fn revoke_all(&self) {
        self.book.revoke_all();
    }

    /// Returns how often an issuer was asked for a credential, refused questions included.
    pub fn questions(&self, issuer: Issuer) -> u64 {
        self.book.questions(issuer)
    }

    /// Waits until an issuer was asked this often.
    ///
    /// # Errors
    /// [`NotAsked`] after a minute.
    pub async fn asked(&self, issuer: Issuer, questions: u64) -> Result<(), NotAsked> {
        self.book.asked(issuer, questions, WAIT_BOUND).await
    }

    /// Tells whether a bearer token was issued here, lives, and was not revoked. A token that a
    /// service account signed itself holds if its signature, scope and end do.
    pub fn holds(&self, bearer: &str) -> bool {
        self.book.holds(bearer)
    }

    /// Returns what was issued under this access key id, if it still holds.
    pub fn aws(&self, access_key_id: &str) -> Option<IssuedAws> {
        self.book.aws(access_key_id)
    }

    /// Returns a service account's key file. Its key is made for this run.
    pub fn service_account_json(&self) -> String {
        google::service_account(&self.book, &self.base_url())
    }

    /// Returns the file of a user signed in with `gcloud`, who bills `quota_project`.
    pub fn authorized_user_json(&self, quota_project: &str) -> String {
        google::authorized_user(&self.base_url(), quota_project)
    }

    /// Returns the file of an identity of another cloud, whose token is read from the file
    /// `token`; `sim-subject-token` is taken.
    pub fn external_account_json(&self, token: &Path) -> String {
        google::external_account(&self.base_url(), token)
    }
}

impl Drop for IdentitySim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
