//! Lines that are typed: what is looked for, and commands.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all that a terminal can say, few things mean something"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{State, Todo, View, filter};
use crate::keys::Action;
use crate::theme::Palette;

/// Letters of a line at most.
pub(super) const LONGEST: usize = 200;

/// The commands, with what follows them.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("overview", ""),
    ("providers", ""),
    ("sessions", ""),
    ("requests", ""),
    ("keys", "[provider]"),
    ("events", ""),
    ("config", ""),
    ("filter", "words"),
    ("routing", ""),
    ("reload", ""),
    ("window", "1m 5m 15m 1h"),
    ("theme", "terminal dark light plain"),
    ("export", ""),
    ("json", ""),
    ("help", ""),
    ("q", ""),
];
/// Spans that rates can be of, in seconds, as the relay has them.
pub(super) const WINDOWS: [(&str, u32); 4] = [("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3_600)];

/// What a line is typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Filter,
    Command,
}

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    /// What stands before the place where one writes, and behind it.
    pub(crate) before: String,
    pub(crate) behind: String,
}

impl Line {
    pub(super) fn new(kind: Kind, text: String) -> Self {
        Self {
            kind,
            before: text,
            behind: String::new(),
        }
    }

    fn text(&self) -> String {
        format!("{}{}", self.before, self.behind)
    }

    fn is_full(&self) -> bool {
        self.before.len().saturating_add(self.behind.len()) >= LONGEST
    }

    fn left(&mut self) {
        if let Some(letter) = self.before.pop() {
            self.behind.insert(0, letter);
        }
    }

    fn right(&mut self) {
        if !self.behind.is_empty() {
            self.before.push(self.behind.remove(0));
        }
    }

    /// Takes the word away that ends where one writes.
    fn cut_word(&mut self) {
        let kept = self.before.trim_end();
        let kept = kept
            .rfind(' ')
            .map_or("", |at| kept.get(..=at).unwrap_or_default());
        self.before = kept.to_owned();
    }

    fn edit(&mut self, event: KeyEvent) {
        if event.modifiers.contains(KeyModifiers::CONTROL) {
            match event.code {
                KeyCode::Char('w') => self.cut_word(),
                KeyCode::Char('u') => self.before.clear(),
                KeyCode::Char('a') => {
                    self.behind = self.text();
                    self.before.clear();
                }
                KeyCode::Char('e') => {
                    self.before = self.text();
                    self.behind.clear();
                }
                _ => {}
            }
            return;
        }
        match event.code {
            KeyCode::Char(letter) if !self.is_full() => self.before.push(letter),
            KeyCode::Backspace => drop(self.before.pop()),
            KeyCode::Delete if !self.behind.is_empty() => drop(self.behind.remove(0)),
            KeyCode::Left => self.left(),
            KeyCode::Right => self.right(),
            KeyCode::Home => {
                self.behind = self.text();
                self.before.clear();
            }
            KeyCode::End => {
                self.before = self.text();
                self.behind.clear();
            }
            _ => {}
        }
    }

    /// Takes the longest start that all words have in common which begin as the last one does.
    fn complete(&mut self, words: &[String]) {
        let at = self.before.rfind(' ').map_or(0, |at| at.saturating_add(1));
        let Some((head, begun)) = self.before.split_at_checked(at) else {
            return;
        };
        let mut fit = words.iter().filter(|word| word.starts_with(begun));
        let Some(first) = fit.next() else { return };
        let mut common = first.clone();
        let mut is_only = true;
        for other in fit {
            is_only = false;
            while !other.starts_with(&common) {
                common.pop();
            }
        }
        let space = if is_only && self.kind == Kind::Command {
            " "
        } else {
            ""
        };
        let completed = format!("{head}{common}{space}");
        if completed.len() <= LONGEST {
            self.before = completed;
        }
    }
}

impl State {
    pub(super) fn in_line(&mut self, event: KeyEvent) -> Vec<Todo> {
        let Some(mut line) = self.input.take() else {
            return Vec::new();
        };
        match event.code {
            KeyCode::Esc => {
                if line.kind == Kind::Filter {
                    self.set_filter(self.view, String::new());
                }
                return Vec::new();
            }
            KeyCode::Enter => {
                return match line.kind {
                    Kind::Command => self.command(&line.text()),
                    Kind::Filter => Vec::new(),
                };
            }
            KeyCode::Tab => {
                let words = self.words(&line);
                line.complete(&words);
            }
            _ => line.edit(event),
        }
        if line.kind == Kind::Filter {
            self.set_filter(self.view, line.text());
        }
        self.input = Some(line);
        Vec::new()
    }

    /// Returns the words that may stand where a line is being typed.
    pub(crate) fn words(&self, line: &Line) -> Vec<String> {
        let providers = self.stats.iter().flat_map(|stats| &stats.providers);
        let providers = providers.filter_map(|it| it.provider.as_ref());
        let providers = providers.map(|it| it.name.clone());
        if line.kind == Kind::Filter {
            return filter::words().collect();
        }
        let Some((command, _)) = line.before.split_once(' ') else {
            return COMMANDS.iter().map(|it| it.0.to_owned()).collect();
        };
        match command {
            "keys" => providers.collect(),
            "filter" => filter::words().collect(),
            "theme" => Palette::ALL.iter().map(|it| it.0.to_owned()).collect(),
            "window" => WINDOWS.iter().map(|it| it.0.to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// Carries out a line behind `:`.
    fn command(&mut self, text: &str) -> Vec<Todo> {
        let text = text.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let named = |view: &View| view.name().eq_ignore_ascii_case(word);
        if let Some(view) = View::ALL.into_iter().find(named) {
            if view == View::Keys && !rest.is_empty() {
                self.set_filter(view, format!("provider:{rest}"));
            }
            return self.show(view);
        }
        match word {
            "providers" => {
                self.lower = false;
                return self.show(View::Overview);
            }
            "filter" => self.set_filter(self.view, rest.to_owned()),
            "reload" => return self.act(Action::Reload),
            "routing" => return self.act(Action::Route),
            "export" => return self.act(Action::Export),
            "json" => return self.act(Action::Json),
            "help" => self.help = Some(0),
            "window" => {
                if let Some((_, seconds)) = WINDOWS.into_iter().find(|it| it.0 == rest) {
                    return vec![Todo::Window(seconds)];
                }
                let all = WINDOWS.map(|(name, _)| name).join(" ");
                self.say(Err(format!("no window `{rest}`: {all}")));
            }
            "theme" => {
                if let Some(palette) = Palette::named(rest) {
                    return vec![Todo::Theme(palette)];
                }
                let all = Palette::ALL.map(|(name, _)| name).join(" ");
                self.say(Err(format!("no theme `{rest}`: {all}")));
            }
            "q" | "quit" => return vec![Todo::Quit],
            "" => {}
            other => {
                self.say(Err(format!(
                    "no command `{other}`: Tab behind : shows them"
                )));
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &mut Line, keys: &[(KeyCode, KeyModifiers)]) {
        for (code, modifiers) in keys {
            line.edit(KeyEvent::new(*code, *modifiers));
        }
    }

    #[test]
    fn a_line_is_edited_letter_by_letter_and_word_by_word() {
        let plain = KeyModifiers::NONE;
        let mut line = Line::new(Kind::Filter, "status:4 añejo".into());
        typed(
            &mut line,
            &[
                (KeyCode::Backspace, plain),
                (KeyCode::Left, plain),
                (KeyCode::Left, plain),
            ],
        );
        assert_eq!(
            (line.before.as_str(), line.behind.as_str()),
            ("status:4 añ", "ej")
        );
        line.edit(KeyEvent::new(KeyCode::Delete, plain));
        assert_eq!(line.text(), "status:4 añj");
        line.edit(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(line.text(), "status:4 j");
        typed(
            &mut line,
            &[
                (KeyCode::Home, plain),
                (KeyCode::Char('x'), plain),
                (KeyCode::End, plain),
                (KeyCode::Char('y'), plain),
            ],
        );
        assert_eq!(line.text(), "xstatus:4 jy");
        line.edit(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(line.text(), "");
    }

    #[test]
    fn a_word_is_completed_as_far_as_it_is_clear() {
        let words = ["reload", "requests", "routing"].map(ToOwned::to_owned);
        for (begun, completed) in [
            ("r", "r"),
            ("re", "re"),
            ("req", "requests "),
            ("x", "x"),
            ("theme ro", "theme routing "),
        ] {
            let mut line = Line::new(Kind::Command, begun.into());
            line.complete(&words);
            assert_eq!(line.before, completed, "{begun}");
        }
    }
}
