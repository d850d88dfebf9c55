//! The dashboard in the terminal that the relay was started from.
//!
//! In: a relay that runs, and its terminal. Out: the dashboard, until a key closes it or the relay
//! stops. The log leaves the screen alone meanwhile. Closing the dashboard must never stop the
//! relay: others work through it.

use relay_tui::TuiError;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::command::Context;
use crate::command::manage::RelayArgs;
use crate::command::tui::{TuiArgs, options};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::Log;
use crate::manage::Management;

/// A dashboard that may be on the screen.
pub(super) struct Dashboard(JoinSet<Result<(), TuiError>>);

impl Dashboard {
    /// Shows the relay of this process, if that is wished.
    ///
    /// # Errors
    /// Exit 2 without a terminal; exit 78 when the management API, which it asks, is switched off.
    pub(super) fn new(
        is_wished: bool,
        context: &Context,
        (management, log): (Option<&Management>, &Log),
    ) -> Result<Self, Failure> {
        if !is_wished {
            return Ok(Self(JoinSet::new()));
        }
        let management = management.ok_or_else(|| {
            let message = "the dashboard asks the management API, and that is not there";
            Failure::new(Exit::ConfigInvalid, "no_management", message)
                .help("leave out --tui, or set grpc.enabled: true")
        })?;
        let relay = RelayArgs {
            manage: Some(management.address().to_owned()),
            ..RelayArgs::default()
        };
        let arguments = TuiArgs {
            relay,
            ..TuiArgs::default()
        };
        let options = options(context, &arguments)?;
        log.aside(true);
        let mut task = JoinSet::new();
        task.spawn(relay_tui::run(options));
        Ok(Self(task))
    }

    /// Waits until it is closed by a key; for ever where there is none.
    pub(super) async fn closed(&mut self, log: &Log) {
        let Some(ended) = self.0.join_next().await else {
            return std::future::pending().await;
        };
        log.aside(false);
        match ended {
            Ok(Ok(())) => info!("the dashboard is closed; the relay runs on, and ctrl-c stops it"),
            Ok(Err(error)) => warn!(%error, "the dashboard ended; the relay runs on"),
            Err(error) => warn!(%error, "the dashboard broke; the relay runs on"),
        }
    }

    /// Takes it from the screen, if it is there.
    pub(super) async fn close(&mut self, log: &Log) {
        if !self.0.is_empty() {
            self.0.shutdown().await;
            log.aside(false);
        }
    }
}
