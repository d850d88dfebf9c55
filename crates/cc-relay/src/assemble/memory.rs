//! What outlives a configuration: what is known of upstreams, the connections to them, the
//! credentials that were issued.
//!
//! In: the parts that a plan was assembled to. Out: the same parts for the next plan, where it
//! means the same by them. An upstream stays the same while its name, type and address do.

use std::collections::HashMap;
use std::sync::Arc;

use relay_core::board::Board;
use relay_core::identity::Identity;
use relay_core::station::Station;
use relay_proxy::{Background, Connector};
use tokio_util::sync::DropGuard;

/// The parts that go on from one configuration to the next.
#[expect(missing_debug_implementations, reason = "stations hold secrets")]
pub struct Memory {
    pub(super) board: Arc<Board>,
    pub(super) background: Background,
    pub(super) upstreams: HashMap<Box<str>, Kept>,
}

/// What is kept of one upstream.
pub(super) struct Kept {
    /// Its type and address.
    pub(super) place: String,
    pub(super) station: Arc<Station>,
    pub(super) connector: Reached,
    pub(super) identity: Option<Issuer>,
}

/// How an upstream is reached.
#[derive(Clone)]
pub(super) struct Reached {
    pub(super) connector: Arc<Connector>,
    /// What the certificates are that it trusts beside the system's.
    pub(super) trusts: Option<String>,
}

/// Who issues an upstream's credentials. Dropped, it is asked no more.
#[derive(Clone)]
pub(super) struct Issuer {
    /// The settings that it comes from, without secrets.
    pub(super) source: String,
    pub(super) identity: Arc<dyn Identity>,
    pub(super) _asking: Arc<DropGuard>,
}

impl Memory {
    /// Begins with no upstream.
    pub fn new(board: Arc<Board>, background: Background) -> Self {
        Self {
            board,
            background,
            upstreams: HashMap::new(),
        }
    }

    /// Returns what the relay remembers beyond single upstreams.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Returns where work is added that no request waits for.
    pub fn background(&self) -> &Background {
        &self.background
    }

    /// Takes out what is kept of an upstream, if it is the same one.
    pub(super) fn take(&mut self, name: &str, place: &str) -> Option<Kept> {
        let kept = self.upstreams.remove(name);
        kept.filter(|kept| kept.place == place)
    }

    /// Returns what is kept of an upstream, if it is the same one.
    pub(super) fn of(&self, name: &str, place: &str) -> Option<&Kept> {
        self.upstreams.get(name).filter(|kept| kept.place == place)
    }
}
