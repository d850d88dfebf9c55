//! The scenarios: each measures some metrics of every subject and returns a sheet.
//!
//! A plan comes in; sheets go out. A scenario starts the subjects that it needs and must never
//! leave one running.
pub(crate) mod disconnect;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod observed;
pub(crate) mod requests;
pub(crate) mod rush;
pub(crate) mod start;
pub(crate) mod syscalls;
pub(crate) mod watched;

use anyhow::Result;

use crate::{
    rounds::Bounds,
    sheet::Sheet,
    subject::{Kind, Launcher, Subject},
};

/// The name of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// CPU a request at 2 KB and 200 KB.
    Requests,
    /// Added latency at 2 KB, 200 KB and 2 MB, paired with direct.
    Latency,
    /// Latency and CPU an event over 200 paced streams.
    Events,
    /// Latency and CPU an event of Bedrock, beside those that pass as they are.
    Frames,
    /// CPU a request and latency an event with everything that can be seen, beside without.
    Observed,
    /// CPU a request and latency an event while a dashboard and a thousand programs watch.
    Watched,
    /// Events a second and CPU an event over 16 streams without a gap.
    Rush,
    /// System calls an event.
    Syscalls,
    /// Memory fresh, with idle streams, and after they have closed.
    Memory,
    /// Exec to first answer.
    Start,
    /// Upstream streams left after clients vanish.
    Disconnect,
}

/// Every scenario, in the order in which they run.
pub(crate) const ALL: [Scenario; 11] = [
    Scenario::Requests,
    Scenario::Latency,
    Scenario::Events,
    Scenario::Frames,
    Scenario::Observed,
    Scenario::Watched,
    Scenario::Rush,
    Scenario::Syscalls,
    Scenario::Memory,
    Scenario::Start,
    Scenario::Disconnect,
];

/// What to measure and how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Starts subjects.
    pub(crate) launcher: Launcher,
    /// The subjects, `Direct` first.
    pub(crate) kinds: Vec<Kind>,
    /// How many rounds each measurement runs.
    pub(crate) rounds: Bounds,
    /// Multiplies the number of requests and events of a round.
    pub(crate) length: usize,
    /// Idle streams to hold open in the larger memory test; zero for none.
    pub(crate) many_streams: usize,
    /// Seconds to wait before memory is read again after 2,000 streams have closed.
    pub(crate) drain_seconds: u64,
    /// Cold starts a subject.
    pub(crate) starts: usize,
}

impl Plan {
    /// Starts every subject of the plan.
    pub(crate) fn start_all(&self) -> Result<Vec<Subject>> {
        self.kinds
            .iter()
            .map(|kind| self.launcher.start(*kind))
            .collect()
    }

    /// Returns the subjects but `Direct`.
    pub(crate) fn proxies(&self) -> Vec<Kind> {
        self.kinds
            .iter()
            .copied()
            .filter(|kind| *kind != Kind::Direct)
            .collect()
    }

    /// Runs one scenario.
    pub(crate) async fn run(&self, scenario: Scenario) -> Result<Sheet> {
        match scenario {
            Scenario::Requests => requests::run(self).await,
            Scenario::Latency => latency::run(self).await,
            Scenario::Events => events::run(self).await,
            Scenario::Frames => frames::run(self).await,
            Scenario::Observed => observed::run(self).await,
            Scenario::Watched => watched::run(self).await,
            Scenario::Rush => rush::run(self).await,
            Scenario::Syscalls => syscalls::run(self).await,
            Scenario::Memory => memory::run(self).await,
            Scenario::Start => start::run(self),
            Scenario::Disconnect => disconnect::run(self).await,
        }
    }
}
