//! Puts another configuration in force while the relay runs, or refuses it and says why.
//!
//! In: files that change, a hang-up signal. Out: the new plan in force, or the old one and a reason
//! in the log, in `/readyz`, in `status` and in the metrics. There is one way for all: read, check,
//! assemble, swap. Nothing of a plan that has a fault is put in force.

mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay_config::{Faults, Plan, Warning};
use relay_proxy::clock;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::failure::Failure;
use crate::log::Log;
use crate::serve::Live;
use watch::{Contents, Watch, contents};

/// How long a file that has a fault is given: it may be half written.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// Changes that one line of the log names.
const NAMED_CHANGES: usize = 8;

/// Reads the plan anew.
pub type Load = Box<dyn Fn() -> Result<Plan, Faults>>;

/// What keeps a relay at what its files say.
#[expect(missing_debug_implementations, reason = "plans hold secrets")]
pub struct Reloader {
    load: Load,
    /// Where the configuration is, or would be.
    file: PathBuf,
    watch: Watch,
    files: BTreeSet<PathBuf>,
    /// What the files held when they were last read.
    seen: Contents,
}

impl Reloader {
    /// Watches the file where the configuration is or would be.
    pub fn new(load: Load, file: PathBuf) -> Self {
        let mut reloader = Self {
            load,
            file,
            watch: Watch::new(),
            files: BTreeSet::new(),
            seen: Contents::new(),
        };
        reloader.follow([reloader.file.clone()].into());
        reloader
    }

    fn follow(&mut self, files: BTreeSet<PathBuf>) {
        self.watch.follow(&files);
        self.files = files;
    }

    /// Reads a plan. What the files held is noted before they are read, so that no change falls
    /// between the two; files that the plan names first are noted, and the plan is read once more.
    ///
    /// # Errors
    /// Every fault of the files.
    pub fn read(&mut self) -> Result<Plan, Faults> {
        loop {
            self.seen = contents(&self.files);
            let plan = (self.load)()?;
            let mut files = plan.files();
            files.insert(self.file.clone());
            if files.is_subset(&self.files) {
                self.seen.retain(|file, _| files.contains(file));
                self.follow(files);
                return Ok(plan);
            }
            files.append(&mut self.files);
            self.follow(files);
        }
    }

    /// Waits until the files hold something else.
    pub async fn changed(&mut self) {
        loop {
            self.watch.changed().await;
            if contents(&self.files) != self.seen {
                return;
            }
        }
    }

    /// Reads the files and puts in force what they say; returns what of that takes a restart. `hasty`:
    /// nobody asked for it, so a file that has a fault is looked at once more before it is refused.
    ///
    /// # Errors
    /// Why the plan before stays in force.
    pub async fn reload(
        &mut self,
        live: &mut Live,
        log: &Log,
        hasty: bool,
    ) -> Result<Vec<&'static str>, Unapplied> {
        let mut plan = self.read();
        if plan.is_err() && hasty {
            sleep(SECOND_LOOK).await;
            if contents(&self.files) != self.seen {
                plan = self.read();
            }
        }
        let before = live.plan().clone();
        let applied = match plan {
            Ok(plan) => live.apply(plan).map_err(Unapplied::Failure),
            Err(faults) => Err(Unapplied::Faults(faults)),
        };
        match &applied {
            Ok(pending) => {
                let now = live.plan();
                // To whoever reads the log as it was.
                tell(&before, now, pending);
                if now.logging != before.logging
                    && let Err(error) = log.configure(&now.logging)
                {
                    warn!(%error, "the log goes on as before: its file cannot be opened");
                }
                live.server().reloads().accept(clock::unix());
            }
            Err(unapplied) => {
                let why = unapplied.to_string();
                live.server().reloads().refuse(&why);
                let kept = before.digest.as_str();
                error!(kept, %why, "config.refused");
            }
        }
        applied
    }

    /// Returns where the configuration is, or would be.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Why a configuration was not put in force.
#[derive(Debug)]
pub enum Unapplied {
    /// It has faults.
    Faults(Faults),
    /// It cannot be put in force here.
    Failure(Failure),
}

impl fmt::Display for Unapplied {
    /// One line without any secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => f.write_str(&first(faults)),
            Self::Failure(failure) => f.write_str(&said(failure)),
        }
    }
}

/// Says what is in force now.
fn tell(before: &Plan, now: &Plan, pending: &[&str]) {
    let changes = relay_config::diff(before, now);
    let mut named: Vec<String> = changes
        .iter()
        .take(NAMED_CHANGES)
        .map(ToString::to_string)
        .collect();
    let more = changes.len().saturating_sub(NAMED_CHANGES);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let changes = if named.is_empty() {
        "nothing".to_owned()
    } else {
        named.join("; ")
    };
    info!(from = %before.digest, to = %now.digest, %changes, "config.reload");
    for key in pending {
        warn!(key, "this takes a restart: the value before stays in force");
    }
    // Those of before were said before.
    let new = |warning: &&Warning| !before.warnings.contains(warning);
    for warning in now.warnings.iter().filter(new) {
        warn!(fix = %warning.fix, "{}", warning.message);
    }
}

fn said(failure: &Failure) -> String {
    match failure.help_text() {
        Some(help) => format!("{}; {help}", failure.message()),
        None => failure.message().to_owned(),
    }
}

/// Returns the first of several faults and their number: they are masked already.
fn first(faults: &Faults) -> String {
    let Some(first) = faults.iter().next() else {
        return String::new();
    };
    let place = match (first.line, first.column) {
        (0, _) => first.file.clone(),
        (line, column) => format!("{}:{line}:{column}", first.file),
    };
    let text = format!("{place}: {}", first.message);
    match faults.len() {
        1 => text,
        count => format!("{text} (the first of {count} faults)"),
    }
}
