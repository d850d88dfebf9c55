//! What is taken along: copied, read as JSON, written to a file.

use super::{Place, Reader, State, Todo};
use crate::tell;

impl State {
    pub(super) fn copy(&mut self) -> Vec<Todo> {
        let (text, said) = if let Some(reader) = &self.reader {
            (reader.text(), reader.title.clone())
        } else {
            let name = match self.location() {
                Place::Recent | Place::Requests | Place::Request => {
                    self.chosen_request().map(|it| it.id.clone())
                }
                Place::Sessions => self.branch().map(|it| match it.agent {
                    Some(agent) if !agent.id.is_empty() => agent.id.clone(),
                    _ => it.session.id.clone(),
                }),
                Place::Events => {
                    let events = self.shown_events();
                    events.get(self.place()).map(|it| it.1.message.clone())
                }
                Place::Config => self.config_lines().get(self.place()).cloned(),
                Place::Providers | Place::Keys | Place::Reader => self.row(),
            };
            let Some(name) = name else { return Vec::new() };
            (name.clone(), name)
        };
        self.say(Ok(format!("copied {said}")));
        vec![Todo::Copy(text)]
    }

    pub(super) fn copy_row(&mut self) -> Vec<Todo> {
        let Some(told) = tell::selected(self) else {
            return Vec::new();
        };
        self.say(Ok("copied the row".to_owned()));
        vec![Todo::Copy(tell::in_a_line(&told.value))]
    }

    pub(super) fn read_json(&mut self) {
        match tell::selected(self) {
            Some(told) => self.reader = Some(Reader::new(told.title, &tell::pretty(&told.value))),
            None => self.say(Err("nothing is selected here".to_owned())),
        }
    }

    pub(super) fn export(&mut self) -> Vec<Todo> {
        let (name, text) = tell::export(self);
        if text.is_empty() {
            self.say(Err("there is nothing here to export".to_owned()));
            return Vec::new();
        }
        vec![Todo::Export { name, text }]
    }
}
