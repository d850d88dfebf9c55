//! A made-up terminal for tests of the commands that ask.
//!
//! In: answers. Out: a context that gives them, and what was shown.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ask::Ask;
use crate::command::Context;
use crate::environment::Environment;
use crate::output::Output;

/// Answers one after the other, then the end of input.
pub(crate) struct Answers(VecDeque<&'static str>);

impl Ask for Answers {
    fn interactive(&self) -> bool {
        true
    }

    fn line(&mut self) -> std::io::Result<Option<String>> {
        Ok(self.0.pop_front().map(str::to_owned))
    }
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().clone();
        anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
    }
}

/// Returns a context in the folder `home`, and what it shows.
pub(crate) fn context(env: Environment, home: &Path, answers: &[&'static str]) -> (Context, Sink) {
    let sink = Sink::default();
    let context = Context {
        env,
        cwd: home.to_owned(),
        config: None,
        out: Output::new(
            Box::new(sink.clone()),
            Box::new(sink.clone()),
            false,
            false,
            0,
        ),
        ask: Box::new(Answers(answers.iter().copied().collect())),
    };
    (context, sink)
}
