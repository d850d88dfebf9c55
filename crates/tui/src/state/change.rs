//! What a key would change in the relay: asked first, and never without a relay that answers.

use super::{Link, Place, State, Todo, Wish};
use crate::keys::Action;

impl State {
    /// Asks what a change would do; without the relay nothing can be changed.
    pub(super) fn change(&mut self, action: Action) -> Vec<Todo> {
        if self.link != Link::Live {
            self.say(Err(
                "the relay does not answer: nothing can be changed".to_owned()
            ));
            return Vec::new();
        }
        if action == Action::Reload {
            return vec![Todo::Reload];
        }
        if action == Action::Route {
            return vec![Todo::Strategies];
        }
        let Some(wish) = self.wish(action) else {
            self.nothing_here();
            return Vec::new();
        };
        vec![Todo::Consider(wish)]
    }

    pub(super) fn nothing_here(&mut self) {
        self.say(Err(
            "nothing here can be changed so: ? shows the keys".to_owned()
        ));
    }

    fn wish(&self, action: Action) -> Option<Wish> {
        let enabled = action == Action::Enable;
        let switches = matches!(action, Action::Enable | Action::Disable);
        match self.location() {
            Place::Sessions if action == Action::Unpin => {
                let id = self.branch()?.session.id.clone();
                Some(Wish::Unpin(id))
            }
            Place::Providers if switches => Some(Wish::Provider {
                name: self.row()?,
                enabled,
            }),
            Place::Providers if action == Action::Reset => Some(Wish::Reset {
                provider: self.row()?,
                key: String::new(),
            }),
            Place::Keys => {
                let key = *self.keys().get(self.place())?;
                let (provider, name) = (key.provider.clone(), key.name.clone());
                if switches {
                    return Some(Wish::Key {
                        provider,
                        name,
                        enabled,
                    });
                }
                (action == Action::Reset).then_some(Wish::Reset {
                    provider,
                    key: name,
                })
            }
            Place::Providers
            | Place::Sessions
            | Place::Recent
            | Place::Requests
            | Place::Request
            | Place::Events
            | Place::Config
            | Place::Reader => None,
        }
    }
}
