//! What the kernel knows about a process: CPU time, memory, threads, system calls.
//!
//! Process ids come in; nanoseconds, bytes and counts go out, summed over the processes. Reads
//! only /proc and runs `strace`. Must never measure a process that the bench did not start.
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// CPU time of each thread, in nanoseconds, at one moment.
pub(crate) struct Cpu(BTreeMap<u32, u64>);

impl Cpu {
    /// Reads the time that each thread of `pids` has run, from /proc/PID/task/TID/schedstat, which
    /// counts nanoseconds where /proc/PID/stat counts hundredths of a second.
    pub(crate) fn read(pids: &[u32]) -> Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in all_threads(pids)? {
            let text = fs::read_to_string(format!("/proc/{thread}/schedstat"));
            // A thread may end between the listing and the reading.
            let Ok(text) = text else { continue };
            let ran = text
                .split(' ')
                .next()
                .context("schedstat is empty")?
                .parse()?;
            threads.insert(thread, ran);
        }
        Ok(Self(threads))
    }

    /// Returns the nanoseconds that ran since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let spent = |(thread, ran): (&u32, &u64)| {
            ran.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0))
        };
        self.0.iter().map(spent).sum()
    }
}

/// Returns the resident memory of `pids` in bytes.
pub(crate) fn resident_bytes(pids: &[u32]) -> Result<u64> {
    let mut total = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .context("no Rss")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        total += kilobytes * 1024;
    }
    Ok(total)
}

/// Returns the children of a process: nginx does its work in them.
pub(crate) fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        if field(&status, "PPid:") == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Returns how many files this process, and those it starts, may hold open.
pub(crate) fn open_file_limit() -> Result<usize> {
    let text = fs::read_to_string("/proc/self/limits")?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .context("no limit")?;
    let soft = line.split_whitespace().nth(3).context("no soft limit")?;
    if soft == "unlimited" {
        Ok(1_000_000)
    } else {
        Ok(soft.parse()?)
    }
}

fn all_threads(pids: &[u32]) -> Result<Vec<u32>> {
    let mut threads = Vec::new();
    for pid in pids {
        let path = format!("/proc/{pid}/task");
        for entry in fs::read_dir(&path).with_context(|| format!("reading {path}"))? {
            threads.extend(
                entry?
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<u32>().ok()),
            );
        }
    }
    Ok(threads)
}

fn field(status: &str, name: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// A `strace` that counts the system calls of some processes.
pub(crate) struct Strace {
    child: Child,
}

impl Strace {
    /// Attaches to every thread, and returns once each is traced.
    pub(crate) async fn attach(pids: &[u32], summary: &Path) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(summary);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let child = command
            .stderr(Stdio::null())
            .spawn()
            .context("starting strace")?;
        let strace = Self { child };
        for _ in 0..500 {
            let traced = |thread: &u32| {
                let status = fs::read_to_string(format!("/proc/{thread}/status"));
                status.is_ok_and(|text| field(&text, "TracerPid:") != Some(0))
            };
            if all_threads(pids)?.iter().all(traced) {
                return Ok(strace);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("strace did not attach; ptrace may be forbidden here")
    }

    /// Detaches and returns the number of calls by name.
    pub(crate) fn finish(mut self, summary: &Path) -> Result<BTreeMap<String, u64>> {
        // On SIGINT strace detaches and writes its summary; std can only kill.
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .context("running kill")?;
        self.child.wait()?;
        let text = fs::read_to_string(summary).context("reading the summary of strace")?;
        Ok(parse_summary(&text))
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Already reaped after `finish`; otherwise the kernel detaches when the tracer dies.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}

/// Reads the table of `strace -c`: the fourth column counts, the last names.
fn parse_summary(text: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(count), Some(name)) = (words.get(3), words.last()) else {
            continue;
        };
        if let Ok(count) = count.parse()
            && *name != "total"
        {
            calls.insert((*name).to_owned(), count);
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_strace_is_read_with_and_without_errors() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    60.00    0.004024          20       194           recvfrom\n \
                    40.00    0.001000          10       100        50 futex\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.005024          20       294        50 total\n";
        let calls = parse_summary(text);
        assert_eq!(calls.get("recvfrom"), Some(&194));
        assert_eq!(calls.get("futex"), Some(&100));
        assert_eq!(calls.len(), 2);
    }

    #[test]
    fn own_process_has_cpu_and_memory() {
        let own = [std::process::id()];
        assert!(Cpu::read(&own).unwrap().since(&Cpu(BTreeMap::new())) > 0);
        assert!(resident_bytes(&own).unwrap() > 100_000);
        assert!(open_file_limit().unwrap() > 0);
    }
}
