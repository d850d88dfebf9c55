//! Notices that files have changed.
//!
//! In: the files that a configuration is made of. Out: a word whenever any of them may hold
//! something else. Folders are watched, not files: editors rename, and Kubernetes swaps the link
//! that a folder is reached by. Where a file system tells nothing, the files are looked at again
//! every so often. What they hold decides, not when they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use relay_core::secret::SecretDigest;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// Quiet that must follow a change: whoever writes a file writes it in pieces.
const QUIET: Duration = Duration::from_millis(100);

/// A folder in which something always changes must not hold a reload up for ever.
const LONGEST_NOISE: u32 = 20;

/// How often the files are looked at where nobody tells of a change.
const LOOK: Duration = Duration::from_secs(30);

/// What a set of files holds: names, and digests of what could be read.
pub(super) type Contents = BTreeMap<PathBuf, Option<String>>;

/// Reads a set of files.
pub(super) fn contents(files: &BTreeSet<PathBuf>) -> Contents {
    let digest = |bytes: Vec<u8>| SecretDigest::of(&bytes).id().to_string();
    let read = |path: &PathBuf| (path.clone(), std::fs::read(path).ok().map(digest));
    files.iter().map(read).collect()
}

/// Watches the folders of files.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    told: mpsc::Receiver<()>,
}

impl Watch {
    /// Begins to watch nothing.
    pub(super) fn new() -> Self {
        let (teller, told) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change, and the relay itself reads them. One word is enough.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _told_already = teller.try_send(());
            }
        });
        let watcher = watcher.inspect_err(|error| {
            warn!(%error, "the configuration is looked at every 30 s: its folder cannot be watched");
        });
        Self {
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            told,
        }
    }

    /// Watches the folders of these files, and of the files that they are links to.
    pub(super) fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders(file)).collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.folders.difference(&folders) {
            // A folder that was removed is watched no more anyway.
            drop(watcher.unwatch(gone));
        }
        for new in folders.difference(&self.folders) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                warn!(folder = %new.display(), %error, "this folder cannot be watched: its files are looked at every 30 s");
            }
        }
        self.folders = folders;
    }

    /// Waits until something may have changed, and then until it is quiet.
    pub(super) async fn changed(&mut self) {
        match timeout(LOOK, self.told.recv()).await {
            Err(_elapsed) => return,
            Ok(Some(())) => {}
            Ok(None) => return sleep(LOOK).await,
        }
        for _ in 0..LONGEST_NOISE {
            match timeout(QUIET, self.told.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}

fn folders(file: &Path) -> Vec<PathBuf> {
    let of = |path: &Path| {
        let folder = path.parent()?;
        let here = folder.as_os_str().is_empty();
        Some(if here { ".".into() } else { folder.to_owned() })
    };
    let true_place = std::fs::canonicalize(file).ok();
    let places = [Some(file.to_owned()), true_place];
    let folders = places.iter().flatten().filter_map(|path| of(path));
    folders.filter(|folder| folder.is_dir()).collect()
}
