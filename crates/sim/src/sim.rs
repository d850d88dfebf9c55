//! The handle that tests hold. In: settings and scripts; out: a running sim and what it saw.
//! Must never outlive its owner: dropping the handle kills the sim.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{Account, Accounts};
use crate::dialect::Dialect;
use crate::keys::{Judge, Keys};
use crate::record::{Book, Recorded, Stats};
use crate::script::{Prepared, Script};
use crate::tls;
use crate::upstream::{State, accept};

/// How long `stop` lets running exchanges end before it kills them.
const STOP_BOUND: Duration = Duration::from_secs(2);

/// Settings of a sim to be started.
pub struct SimBuilder {
    listen: SocketAddr,
    tls: bool,
    tls_names: Vec<String>,
    http2: bool,
    max_concurrent_streams: Option<u32>,
    require_credential: bool,
    accepted_keys: Vec<String>,
    judge: Option<Judge>,
    dialect: Option<Dialect>,
    accounts: Vec<(String, Account)>,
    organization: String,
    workspace: String,
    models: Vec<String>,
    keep_requests: usize,
    sink: Option<Box<dyn Write + Send>>,
}

impl fmt::Debug for SimBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimBuilder")
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}

impl SimBuilder {
    /// Sets the address to listen on; `127.0.0.1:0` if not called.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Serves TLS with a certificate of its own authority; see [`Sim::ca_pem`].
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the certificate's names; `localhost` and `127.0.0.1` if not called.
    #[must_use]
    pub fn tls_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tls_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether HTTP/2 is offered (ALPN, or prior knowledge without TLS); it is by default.
    #[must_use]
    pub fn http2(mut self, http2: bool) -> Self {
        self.http2 = http2;
        self
    }

    /// Sets HTTP/2's `SETTINGS_MAX_CONCURRENT_STREAMS`.
    #[must_use]
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = Some(streams);
        self
    }

    /// Sets whether a request without a credential gets Anthropic's 401; it does by default.
    #[must_use]
    pub fn require_credential(mut self, required: bool) -> Self {
        self.require_credential = required;
        self
    }

    /// Accepts only these keys, as `x-api-key` or as bearer; any key if not called.
    #[must_use]
    pub fn accept_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.accepted_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Takes a credential only if this closure says so, and [`SimBuilder::accept_keys`] too.
    #[must_use]
    pub fn judge_keys(mut self, judge: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    /// Speaks this dialect strictly: its paths, credentials, bodies, frames and errors only.
    #[must_use]
    pub fn dialect(mut self, dialect: impl Into<Dialect>) -> Self {
        self.dialect = Some(dialect.into());
        self
    }

    /// Says where a key belongs. Requests with it get that organisation and workspace named, and,
    /// when no script is queued, the default script with the usage of the prompt cache and the
    /// headers of the rate limits, or a 429. Other keys are served as without accounts.
    #[must_use]
    pub fn account(mut self, key: impl Into<String>, account: Account) -> Self {
        self.accounts.push((key.into(), account));
        self
    }

    /// Sets the `anthropic-organization-id` of every answer.
    #[must_use]
    pub fn organization(mut self, id: impl Into<String>) -> Self {
        self.organization = id.into();
        self
    }

    /// Sets the `anthropic-workspace-id` of every answer.
    #[must_use]
    pub fn workspace(mut self, id: impl Into<String>) -> Self {
        self.workspace = id.into();
        self
    }

    /// Sets the ids of `GET /v1/models`.
    #[must_use]
    pub fn models(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.models = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps at most this many records, the newest; 10,000 if not called.
    #[must_use]
    pub fn keep_requests(mut self, records: usize) -> Self {
        self.keep_requests = records;
        self
    }

    /// Writes one JSON line for each ended exchange to `sink`.
    #[must_use]
    pub fn record_to(mut self, sink: impl Write + Send + 'static) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Starts the sim on the running tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound, or no certificate can be made.
    pub async fn start(self) -> anyhow::Result<Sim> {
        let (acceptor, ca_pem) = if self.tls {
            let (acceptor, pem) = tls::acceptor(&self.tls_names, self.http2)?;
            (Some(acceptor), Some(pem))
        } else {
            (None, None)
        };
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("listen on {}", self.listen))?;
        let address = listener.local_addr().context("read the bound address")?;
        let state = Arc::new(State {
            book: Arc::new(Book::new(self.keep_requests, self.sink)),
            queue: Mutex::new(VecDeque::new()),
            default: Mutex::new(Prepared::new(Script::text("Hello from cc-relay-sim."))),
            routers: RwLock::new(Vec::new()),
            require_credential: self.require_credential,
            keys: Keys::new(self.accepted_keys, self.judge),
            dialect: self.dialect.map(Arc::new),
            accounts: Accounts::new(self.accounts),
            organization: self.organization.into(),
            workspace: self.workspace.into(),
            models: self.models,
            http2: self.http2,
            max_concurrent_streams: self.max_concurrent_streams,
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
            connections: AtomicU64::new(0),
        });
        state
            .tasks
            .spawn(accept(Arc::clone(&state), listener, acceptor));
        state.tasks.close();
        Ok(Sim {
            state,
            address,
            ca_pem,
        })
    }
}

/// The awaited state did not come.
#[derive(Debug, Error)]
#[error("the awaited state did not come within {waited:?}; the sim stands at {stats:?}")]
pub struct WaitTimeout {
    /// How long was waited.
    pub waited: Duration,
    /// The counts at the end.
    pub stats: Stats,
}

/// A running sim.
pub struct Sim {
    state: Arc<State>,
    address: SocketAddr,
    ca_pem: Option<String>,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

impl Sim {
    /// Returns the default settings: loopback, a free port, no TLS, HTTP/1.1 and HTTP/2.
    pub fn builder() -> SimBuilder {
        let models = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"];
        SimBuilder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
            tls_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            http2: true,
            max_concurrent_streams: None,
            require_credential: true,
            accepted_keys: Vec::new(),
            judge: None,
            dialect: None,
            accounts: Vec::new(),
            organization: "00000000-0000-4000-8000-00000000a001".to_owned(),
            workspace: "wrkspc_sim0000000000000001".to_owned(),
            models: models.map(str::to_owned).to_vec(),
            keep_requests: 10_000,
            sink: None,
        }
    }

    /// Returns the bound address.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://` or `https://` and the address, without a trailing slash.
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the authority that signed the certificate, if TLS is on.
    pub fn ca_pem(&self) -> Option<String> {
        self.ca_pem.clone()
    }

    /// Queues an answer: the next Messages request takes it.
    pub fn push(&self, script: Script) {
        self.state.queue.lock().push_back(Prepared::new(script));
    }

    /// Sets the answer for when the queue is empty.
    pub fn set_default(&self, script: Script) {
        *self.state.default.lock() = Prepared::new(script);
    }

    /// Takes this key or bearer token from now on, and no other that was not accepted by name.
    pub fn accept_key(&self, key: impl Into<String>) {
        self.state.keys.accept(key.into());
    }

    /// Takes this key or bearer token no more.
    pub fn revoke_key(&self, key: impl Into<String>) {
        self.state.keys.revoke(key.into());
    }

    /// Adds a closure that may answer any request before queue, default and credential check.
    pub fn route(&self, router: impl Fn(&Recorded) -> Option<Script> + Send + Sync + 'static) {
        self.state.routers.write().push(Box::new(router));
    }

    /// Returns the kept records, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.book.requests()
    }

    /// Returns the kept records and forgets them.
    pub fn take_requests(&self) -> Vec<Recorded> {
        self.state.book.take_requests()
    }

    /// Returns the counts.
    pub fn stats(&self) -> Stats {
        self.state.book.stats()
    }

    /// Waits until the counts satisfy `wanted`, woken by every change.
    ///
    /// # Errors
    /// [`WaitTimeout`] after `within`.
    pub async fn wait_for(
        &self,
        wanted: impl Fn(&Stats) -> bool,
        within: Duration,
    ) -> Result<Stats, WaitTimeout> {
        let reached = tokio::time::timeout(within, self.state.book.wait(wanted)).await;
        reached.map_err(|_| WaitTimeout {
            waited: within,
            stats: self.stats(),
        })
    }

    /// Takes no new request, lets running exchanges end (2 s at most), and returns when all is
    /// closed.
    pub async fn stop(&self) {
        self.state.drain.cancel();
        if tokio::time::timeout(STOP_BOUND, self.state.tasks.wait())
            .await
            .is_err()
        {
            self.kill();
            self.closed().await;
        }
    }

    /// Drops the listener and resets every connection. Returns at once; see [`Sim::closed`].
    pub fn kill(&self) {
        self.state.book.set_killed();
        self.state.kill.cancel();
        self.state.drain.cancel();
    }

    /// Waits until the listener and every connection are gone, after `stop` or `kill`.
    pub async fn closed(&self) {
        self.state.tasks.wait().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.kill();
    }
}
