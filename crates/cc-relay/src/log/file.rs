//! A log file that is turned over by size.
//!
//! `relay.log` becomes `relay.log.1`, that one `relay.log.2`, and so on; the oldest goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use relay_config::FilePlan;

/// An open log file.
#[derive(Debug)]
pub(super) struct RotatingFile {
    file: File,
    path: PathBuf,
    bytes: u64,
    max_bytes: u64,
    keep: usize,
}

impl RotatingFile {
    /// Opens the file for appending, with its folder.
    pub(super) fn open(plan: &FilePlan) -> io::Result<Self> {
        if let Some(folder) = plan.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append_to(&plan.path)?;
        let bytes = file.metadata()?.len();
        let (max_bytes, keep) = (plan.max_bytes, plan.keep);
        Ok(Self {
            file,
            path: plan.path.clone(),
            bytes,
            max_bytes,
            keep,
        })
    }

    /// Writes whole lines; turns the file over first where they would not fit.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.max_bytes {
            self.turn_over()?;
        }
        self.file.write_all(lines)?;
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        for age in (1..self.keep).rev() {
            let (from, to) = (self.aged(age), self.aged(age.saturating_add(1)));
            if from.exists() {
                fs::rename(from, to)?;
            }
        }
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, self.aged(1))?;
        }
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        Ok(())
    }

    fn aged(&self, age: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{age}"));
        name.into()
    }
}

/// Log lines tell what people do: nobody else on the machine needs to read them.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_turned_over_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/relay.log");
        let plan = FilePlan {
            path: path.clone(),
            max_bytes: 10,
            keep: 2,
        };
        let mut file = RotatingFile::open(&plan).unwrap();
        for line in ["one-----\n", "two-----\n", "three---\n", "four----\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join("sub").join(name)).ok();
        assert_eq!(read("relay.log").as_deref(), Some("four----\n"));
        assert_eq!(read("relay.log.1").as_deref(), Some("three---\n"));
        assert_eq!(read("relay.log.2").as_deref(), Some("two-----\n"));
        assert_eq!(read("relay.log.3"), None);
    }
}
