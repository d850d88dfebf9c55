//! The log: one line a request at its end, and the relay's own events.
//!
//! In: records and events, from the request's path. Out: lines on standard error and in a file. It
//! must never make a request wait: the queue is bounded, and a line that does not fit is dropped and
//! counted. One thread writes, in batches, so that a busy relay wakes it some forty times a second
//! and not once a request.

mod event;
mod file;
mod line;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use relay_config::{LogFormat, LogLevel, LoggingPlan};
use relay_core::record::{Bodies, RequestRecord};
use relay_manage::Events;
use relay_proxy::{RecordSink, clock};

use event::Event;
use file::RotatingFile;

pub(crate) use line::{readable, timestamp};

/// Bytes that are kept at most for standard error while something else is on the screen.
const ASIDE: usize = 64 * 1024;

/// Lines that wait to be written at most.
const QUEUE: usize = 8192;

/// How long lines may gather before they are written.
const BATCH: Duration = Duration::from_millis(25);

/// Something to be written.
enum Entry {
    Record(Arc<RequestRecord>),
    Event(Event),
    /// From here on, lines are written otherwise.
    Form(Form),
    /// From here on, standard error is left alone, or not any longer; said when it is so.
    Aside(bool, SyncSender<()>),
}

/// How lines are written, and where.
struct Form {
    json: bool,
    file: Option<RotatingFile>,
}

impl Form {
    fn open(plan: &LoggingPlan) -> io::Result<Self> {
        let file = plan.file.as_ref().map(RotatingFile::open).transpose()?;
        let json = match plan.format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !io::stderr().is_terminal(),
        };
        Ok(Self { json, file })
    }
}

/// The least important level that is written; it can change at any time.
#[derive(Clone, Debug)]
struct Threshold(Arc<AtomicUsize>);

impl Threshold {
    fn new(level: LogLevel) -> Self {
        let threshold = Self(Arc::default());
        threshold.set(level);
        threshold
    }

    fn set(&self, level: LogLevel) {
        let place = LogLevel::ALL.iter().position(|other| *other == level);
        self.0.store(place.unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> LogLevel {
        let place = self.0.load(Ordering::Relaxed);
        LogLevel::ALL.get(place).copied().unwrap_or(LogLevel::Trace)
    }
}

/// Where lines come in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inlet {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    level: Threshold,
}

impl Inlet {
    fn push(&self, entry: Entry) {
        match self.queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl RecordSink for Inlet {
    fn record(&self, record: &Arc<RequestRecord>, _: Option<&Bodies>) {
        if line::level(record) <= self.level.get() {
            self.push(Entry::Record(Arc::clone(record)));
        }
    }
}

/// A running log. Dropped, it writes what it has and ends.
#[derive(Debug)]
pub struct Log {
    inlet: Option<Inlet>,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// Opens the log.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread cannot be made.
    pub fn open(plan: &LoggingPlan) -> io::Result<Self> {
        let form = Form::open(plan)?;
        let (queue, entries) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let inlet = Inlet {
            queue,
            dropped: Arc::clone(&dropped),
            level: Threshold::new(plan.level),
        };
        let writer = Writer {
            form,
            dropped,
            told: 0,
            buffer: Vec::new(),
            aside: None,
        };
        let thread = std::thread::Builder::new().name("log".to_owned());
        let writer = thread.spawn(move || writer.run(&entries))?;
        Ok(Self {
            inlet: Some(inlet),
            writer: Some(writer),
        })
    }

    /// Returns where records go in.
    pub fn sink(&self) -> Arc<dyn RecordSink> {
        match &self.inlet {
            Some(inlet) => Arc::new(inlet.clone()),
            None => Arc::new(Nowhere),
        }
    }

    /// Returns the count of lines that found no room, which goes on counting.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        let inlet = self.inlet.as_ref();
        inlet.map_or_else(Arc::default, |inlet| Arc::clone(&inlet.dropped))
    }

    /// Sends the events of this process to this log, and to whoever watches.
    ///
    /// # Errors
    /// If another subscriber is in place already.
    pub fn subscribe(
        &self,
        watched: Arc<Events>,
    ) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
        match &self.inlet {
            Some(inlet) => event::subscribe(inlet.clone(), watched),
            None => Ok(()),
        }
    }

    /// Writes otherwise from now on.
    ///
    /// # Errors
    /// If the file cannot be opened; the log then goes on as before.
    pub fn configure(&self, plan: &LoggingPlan) -> io::Result<()> {
        let form = Form::open(plan)?;
        if let Some(inlet) = &self.inlet {
            inlet.level.set(plan.level);
            tracing::callsite::rebuild_interest_cache();
            // A full queue is being emptied: this waits for its place.
            drop(inlet.queue.send(Entry::Form(form)));
        }
        Ok(())
    }

    /// Leaves standard error alone while something else is on the screen. Afterwards the last of what
    /// would have been written there is; a file has all of it in any case.
    pub fn aside(&self, is_aside: bool) {
        let Some(inlet) = &self.inlet else { return };
        let (said, done) = sync_channel(1);
        // A full queue is being emptied: this waits for its place, and until what came before is
        // written.
        if inlet.queue.send(Entry::Aside(is_aside, said)).is_ok()
            && let Err(RecvError) = done.recv()
        {
            report("the log's thread is gone");
        }
    }

    /// Writes what has gathered and ends. Inlets that are still held elsewhere then lead nowhere.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let (Some(inlet), Some(writer)) = (self.inlet.take(), self.writer.take()) else {
            return;
        };
        // A full queue is being emptied: this waits for its place.
        if inlet.queue.send(Entry::Event(Event::last())).is_ok() && writer.join().is_err() {
            report("the log's thread panicked");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}

/// A sink for what nobody asked for.
#[derive(Debug)]
pub struct Nowhere;

impl RecordSink for Nowhere {
    fn record(&self, _: &Arc<RequestRecord>, _: Option<&Bodies>) {}
}

/// The writing end.
struct Writer {
    form: Form,
    dropped: Arc<AtomicU64>,
    /// Dropped lines that were told of.
    told: u64,
    buffer: Vec<u8>,
    /// What standard error is kept from.
    aside: Option<Vec<u8>>,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        while let Ok(first) = entries.recv() {
            let mut last = self.take(first);
            while let Ok(entry) = entries.try_recv() {
                last |= self.take(entry);
                if self.buffer.len() > 256 * 1024 {
                    self.write();
                }
            }
            self.tell_dropped();
            self.write();
            if last {
                return;
            }
            // Lines that come meanwhile wait here instead of waking this thread one by one.
            std::thread::sleep(BATCH);
        }
    }

    /// Puts a line into the buffer; tells whether it is the sign to end.
    fn take(&mut self, entry: Entry) -> bool {
        match entry {
            Entry::Record(record) if self.form.json => line::json(&record, &mut self.buffer),
            Entry::Record(record) => line::pretty(&record, &mut self.buffer),
            Entry::Event(event) if event.is_last() => return true,
            Entry::Event(event) => event.write(self.form.json, &mut self.buffer),
            Entry::Form(form) => {
                self.write();
                self.form = form;
            }
            Entry::Aside(is_aside, said) => {
                self.write();
                let kept = std::mem::replace(&mut self.aside, is_aside.then(Vec::new));
                // Nobody is left to tell that standard error is closed.
                drop(io::stderr().lock().write_all(&kept.unwrap_or_default()));
                if said.send(()).is_err() {
                    report("nobody waits for the screen");
                }
            }
        }
        false
    }

    fn tell_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.told {
            let event = Event::dropped(clock::unix(), dropped.saturating_sub(self.told));
            event.write(self.form.json, &mut self.buffer);
            self.told = dropped;
        }
    }

    fn write(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if let Some(file) = &mut self.form.file
            && let Err(error) = file.write(&self.buffer)
        {
            report(&format!("log file: {error}; going on without it"));
            self.form.file = None;
        }
        match &mut self.aside {
            Some(kept) => keep(kept, &self.buffer),
            // Nobody is left to tell that standard error is closed.
            None => drop(io::stderr().lock().write_all(&self.buffer)),
        }
        self.buffer.clear();
    }
}

/// Adds lines to those that are kept, of which the oldest go.
fn keep(kept: &mut Vec<u8>, lines: &[u8]) {
    kept.extend_from_slice(lines);
    let over = kept.len().saturating_sub(ASIDE);
    if over > 0 {
        let end = kept.iter().skip(over).position(|byte| *byte == b'\n');
        let end = end.map_or(kept.len(), |at| over.saturating_add(at).saturating_add(1));
        kept.drain(..end);
    }
}

/// Says what the log itself cannot say.
#[expect(clippy::print_stderr, reason = "the log is what failed")]
fn report(text: &str) {
    eprintln!("cc-relay: {text}");
}

#[cfg(test)]
mod tests;
