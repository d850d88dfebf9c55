//! Where Enter leads: from a row to what it is about.

use super::{Place, State, Todo, View, row_of};

impl State {
    /// Opens the selected row.
    pub(super) fn open(&mut self) -> Vec<Todo> {
        let row = self.row();
        match self.location() {
            Place::Providers => {
                let filter = row.map_or_else(String::new, |name| format!("provider:{name}"));
                self.set_filter(View::Keys, filter);
                self.show(View::Keys)
            }
            Place::Recent | Place::Requests => {
                let filter = self.filter().to_owned();
                self.set_filter(View::Requests, filter);
                self.view = View::Requests;
                self.scroll = 0;
                self.selected.clone_from(&row);
                self.opened = row;
                Vec::new()
            }
            Place::Sessions => {
                let filter = self.branch().map(|it| {
                    let agent = it.agent.filter(|agent| !agent.id.is_empty());
                    let agent = agent.map_or_else(String::new, |it| format!(" agent:{}", it.id));
                    format!("session:{}{agent}", it.session.id)
                });
                self.set_filter(View::Requests, filter.unwrap_or_default());
                self.show(View::Requests)
            }
            Place::Keys => {
                let keys = self.keys();
                let key = keys.get(self.place());
                let filter = key.map(|it| format!("provider:{} key:{}", it.provider, it.name));
                self.set_filter(View::Requests, filter.unwrap_or_default());
                self.show(View::Requests)
            }
            Place::Events => self.open_subject(),
            Place::Request | Place::Config | Place::Reader => Vec::new(),
        }
    }

    /// Goes to what an event is about.
    fn open_subject(&mut self) -> Vec<Todo> {
        let events = self.shown_events();
        let Some((_, event)) = events.get(self.place()) else {
            return Vec::new();
        };
        let of = |name: &str| event.fields.get(name).cloned();
        let (request, session) = (of("request"), of("session"));
        let (provider, key) = (of("provider"), of("key"));
        let is_config = event.name.starts_with("config");
        if let Some(id) = request {
            let found = self.requests.iter().find(|it| it.id == id);
            if let Some(row) = found.map(row_of) {
                self.set_filter(View::Requests, String::new());
                let todo = self.show(View::Requests);
                self.selected = Some(row.clone());
                self.opened = Some(row);
                return todo;
            }
            self.say(Err(format!("{id} is not kept any more")));
            return Vec::new();
        }
        if let Some(session) = session {
            let todo = self.show(View::Sessions);
            self.selected = Some(session);
            return todo;
        }
        match (provider, key) {
            (Some(provider), Some(key)) => {
                let todo = self.show(View::Keys);
                self.selected = Some(format!("{provider}/{key}"));
                todo
            }
            (Some(provider), None) => {
                self.lower = false;
                let todo = self.show(View::Overview);
                self.selected = Some(provider);
                todo
            }
            (None, _) if is_config => self.show(View::Config),
            (None, _) => {
                self.read_json();
                Vec::new()
            }
        }
    }
}
