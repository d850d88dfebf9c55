//! Writes a file so that it is either the old one or the whole new one.
//!
//! In: a path and a text. Out: the file, by a temporary file in the same folder, fsync and rename;
//! mode and owner are kept, a symlink is followed to its target. It leaves no temporary file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// The longest chain of symlinks that is followed.
const MAX_LINKS: usize = 40;

/// Returns the file that a path stands for, also when the last link's target does not exist yet.
///
/// # Errors
/// When the links do not end, or one cannot be read.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.file_type().is_symlink() => {
                let link = fs::read_link(&path)?;
                path = path
                    .parent()
                    .map_or_else(|| link.clone(), |folder| folder.join(&link));
            }
            Ok(_) => return fs::canonicalize(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symlinks"))
}

/// Returns the text of a file, `None` when there is none.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts `text` at `path`, which is no symlink. A new file gets mode 0600 and new folders 0700.
///
/// # Errors
/// When a step fails; the old file is then as it was.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, Mode::Kept)
}

/// As [`replace`], and the file is then its owner's alone, whatever it was before.
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, Mode::Private)
}

/// What mode a file has that was there before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Kept,
    Private,
}

fn put(path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = fill(&temporary, path, text, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first fault is the one to report.
        drop(fs::remove_file(&temporary));
        return written;
    }
    File::open(folder)?.sync_all()
}

fn fill(temporary: &Path, path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(text.as_bytes())?;
    match fs::metadata(path) {
        Ok(old) => {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            if mode == Mode::Kept {
                file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.sync_all()
}

/// Copies `path` to `{path}.{stamp}.bak` beside it, mode kept, and returns the copy's path. It never
/// replaces an earlier copy.
///
/// # Errors
/// When the copy cannot be written.
pub fn backup(path: &Path, text: &str, stamp: &str) -> io::Result<PathBuf> {
    let mode = fs::metadata(path)?.permissions();
    let mut last = io::Error::other("too many backups of this second");
    for number in 0..100 {
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{stamp}{suffix}.bak"));
        let copy = PathBuf::from(name);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&copy)
        {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                file.set_permissions(mode)?;
                file.sync_all()?;
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_kept_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/settings.json");
        replace(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(folder.path().join("a")).unwrap().mode() & 0o777,
            0o700
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        replace_private(&path, "three").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        assert!(replace(&path, "text").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_are_followed_even_to_a_file_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        std::os::unix::fs::symlink("real.json", root.join("link.json")).unwrap();
        assert_eq!(
            target(&root.join("link.json")).unwrap(),
            root.join("real.json")
        );
        fs::write(root.join("real.json"), "x").unwrap();
        assert_eq!(
            target(&root.join("link.json")).unwrap(),
            root.join("real.json")
        );
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        assert!(target(&root.join("loop")).is_err());
    }

    #[test]
    fn a_second_backup_of_the_same_second_gets_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "x").unwrap();
        let one = backup(&path, "x", "20261122T140211").unwrap();
        let two = backup(&path, "x", "20261122T140211").unwrap();
        assert!(one.ends_with("settings.json.20261122T140211.bak"));
        assert_ne!(one, two);
    }
}
