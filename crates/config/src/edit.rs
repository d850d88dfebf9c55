//! Changes one thing in a configuration's text, and leaves every other byte as it is.
//!
//! In: a text and what is to be otherwise. Out: the text with that, comments and all. Each edit is
//! read again before it is given out: exactly the settings that were meant must be others, or there
//! is no edit, and a person has to make it.

mod path;
mod words;

use std::ops::Range;

use crate::diff::{Settings, compare, settings};
use crate::fault::Faults;
use crate::load::Format;
use crate::plan::{LimitsPlan, Plan};
use crate::tree::{self, Key, Kind, Node};
use path::{Step, child, find, is_named, steps};
use words::{block, fields, quoted};

/// Checks one.
pub type CheckText<'a> = &'a dyn Fn(&str) -> Result<Plan, Faults>;

/// A text that can be edited.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "the text holds credentials")]
pub struct Edit<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language.
    pub format: Format,
    /// How it is checked.
    pub check: CheckText<'a>,
}

/// A key to be written into a file.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "its value may be a credential"
)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What stands for it: a reference such as `${NAME}`, or the key itself.
    pub value: String,
    /// Its share, at least 1.
    pub weight: u32,
    /// Lower ones serve only when no higher one can.
    pub priority: i32,
    /// What it may use a minute.
    pub limits: LimitsPlan,
}

/// Why a text was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text has faults before anything is changed.
    #[error("the file has faults: cc-relay config validate tells each")]
    Faulty,
    /// The path names nothing that a file may hold.
    #[error(
        "`{0}` is no setting: write it as in cc-relay config show, such as providers[zai].enabled"
    )]
    BadPath(String),
    /// The change would be refused.
    #[error("{0}")]
    Refused(String),
    /// There is no such entry.
    #[error("there is no {0} in the file")]
    Missing(String),
    /// It cannot be done without touching something else.
    #[error("{0} cannot be changed without touching something else: edit the file by hand")]
    ByHand(String),
}

impl Edit<'_> {
    /// Sets a setting, as a person types its value: `routing.strategy`, `providers[zai].weight`.
    /// Where the key or its section is missing it is written.
    ///
    /// # Errors
    /// [`EditError`] says why there is no edit.
    pub fn set(&self, path: &str, value: &str) -> Result<String, EditError> {
        let steps = steps(path).ok_or_else(|| EditError::BadPath(path.to_owned()))?;
        let before = settings(&(self.check)(self.text).map_err(|_| EditError::Faulty)?);
        let tree = tree::read(self.text, self.format).map_err(|_| EditError::Faulty)?;
        let mut refused = None;
        // As it is typed, else as a text.
        for written in [value.to_owned(), quoted(value)] {
            let Some(text) = self.written(&tree, &steps, &written) else {
                return Err(EditError::ByHand(path.to_owned()));
            };
            match (self.check)(&text) {
                Ok(plan) if is_meant(&before, &settings(&plan), path) => return Ok(text),
                Ok(_) => {}
                Err(faults) => refused = refused.or_else(|| faults.iter().next().cloned()),
            }
        }
        Err(match refused {
            Some(fault) => EditError::Refused(format!("{}; {}", fault.message, fault.help)),
            None => EditError::ByHand(path.to_owned()),
        })
    }

    /// Adds a key to a provider.
    ///
    /// # Errors
    /// [`EditError`] says why there is no edit.
    pub fn add_key(&self, provider: &str, key: &NewKey) -> Result<String, EditError> {
        let path = format!("providers[{provider}].keys");
        let before = (self.check)(self.text).map_err(|_| EditError::Faulty)?;
        let tree = tree::read(self.text, self.format).map_err(|_| EditError::Faulty)?;
        let entry = find(
            &tree,
            &[
                Step::Key("providers".to_owned()),
                Step::Named(provider.to_owned()),
            ],
        );
        let entry = entry.ok_or_else(|| EditError::Missing(format!("provider `{provider}`")))?;
        let keys = child(entry, "keys").map(|(_, node)| node);
        let by_hand = || EditError::ByHand(path.clone());
        let text = match keys.map(|node| (&node.kind, node)) {
            Some((Kind::List(items), list)) if !items.is_empty() => {
                self.behind_last(items, list, key).ok_or_else(by_hand)?
            }
            _ => {
                let flow = format!("[{}]", self.flow(key));
                let steps = steps(&path).ok_or_else(by_hand)?;
                self.written(&tree, &steps, &flow).ok_or_else(by_hand)?
            }
        };
        self.verified(&before, text, &path, &format!("{path}[{}]", key.name))
    }

    /// Takes a key of a provider out.
    ///
    /// # Errors
    /// As [`Self::add_key`].
    pub fn remove_key(&self, provider: &str, name: &str) -> Result<String, EditError> {
        let path = format!("providers[{provider}].keys");
        let before = (self.check)(self.text).map_err(|_| EditError::Faulty)?;
        let tree = tree::read(self.text, self.format).map_err(|_| EditError::Faulty)?;
        let by_hand = || EditError::ByHand(format!("{path}[{name}]"));
        let list = steps(&path).and_then(|steps| find(&tree, &steps).cloned());
        let missing = || EditError::Missing(format!("key `{name}` of {provider}"));
        let Some(Kind::List(items)) = list.map(|list| list.kind) else {
            return Err(missing());
        };
        let place = items
            .iter()
            .position(|item| is_named(item, name))
            .ok_or_else(missing)?;
        let cut = self.cut(&items, place).ok_or_else(by_hand)?;
        let text = self.replaced(cut, "").ok_or_else(by_hand)?;
        self.verified(&before, text, &path, &format!("{path}[{name}]"))
    }

    /// Gives a text out if it is otherwise in one place alone.
    fn verified(
        &self,
        before: &Plan,
        text: String,
        path: &str,
        meant: &str,
    ) -> Result<String, EditError> {
        match (self.check)(&text) {
            Ok(plan) if is_meant(&settings(before), &settings(&plan), meant) => Ok(text),
            Ok(_) => Err(EditError::ByHand(path.to_owned())),
            Err(faults) => {
                let first = faults.iter().next();
                let said = first.map(|fault| format!("{}; {}", fault.message, fault.help));
                Err(EditError::Refused(said.unwrap_or_default()))
            }
        }
    }

    fn replaced(&self, range: Range<usize>, with: &str) -> Option<String> {
        let (before, behind) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
        Some(format!("{before}{with}{behind}"))
    }

    /// Writes a value at a path.
    fn written(&self, tree: &Node, path: &[Step], value: &str) -> Option<String> {
        if let Some(node) = find(tree, path) {
            let is_plain = node.span == node.origin && !node.span.is_empty();
            return if is_plain {
                self.replaced(node.span.clone(), value)
            } else {
                None
            };
        }
        // The deepest section that is there takes the rest of the path.
        let mut known = path.len().checked_sub(1)?;
        while find(tree, path.get(..known)?).is_none() {
            known = known.checked_sub(1)?;
        }
        let section = find(tree, path.get(..known)?)?;
        let names: Option<Vec<&str>> = path
            .get(known..)?
            .iter()
            .map(|step| match step {
                Step::Key(name) => Some(name.as_str()),
                // An entry that is not there is not made up.
                Step::Named(_) => None,
            })
            .collect();
        self.inserted(section, known == 0, &names?, value)
    }

    fn inserted(
        &self,
        section: &Node,
        is_root: bool,
        names: &[&str],
        value: &str,
    ) -> Option<String> {
        let Kind::Map(entries) = &section.kind else {
            return None;
        };
        let is_flow = !is_root && self.text.get(section.origin.clone())?.starts_with('{');
        if is_flow {
            let comma = if entries.is_empty() { "" } else { ", " };
            let inside = section.origin.start.checked_add(1)?;
            return self.replaced(
                inside..inside,
                &format!("{}{comma}", self.one_line(names, value)),
            );
        }
        match self.format {
            Format::Toml => {
                let line = format!("{} = {value}\n", names.join("."));
                let at = match entries.iter().find(|(_, node)| !is_section(node)) {
                    Some((key, _)) => self.line_start(key.span.start)?,
                    None if is_root => 0,
                    None => return None,
                };
                self.replaced(at..at, &line)
            }
            Format::Yaml
                if is_root && entries.iter().all(|(key, _)| self.column(key) == Some(0)) =>
            {
                let newline = if self.text.is_empty() || self.text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                let end = self.text.len();
                self.replaced(end..end, &format!("{newline}{}", block(names, value, 0)))
            }
            Format::Yaml => {
                // Behind an entry of one line: a line of its own above might belong to a dash.
                let is_short = |node: &Node| {
                    !is_section(node)
                        && self
                            .text
                            .get(node.span.clone())
                            .is_some_and(|it| !it.contains('\n'))
                };
                let (key, node) = entries.iter().find(|(_, node)| is_short(node))?;
                let end = self.line_end(node.span.end.max(key.span.end));
                let newline = if self.text.get(..end)?.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                let lines = block(names, value, self.column(key)?);
                self.replaced(end..end, &format!("{newline}{lines}"))
            }
        }
    }

    fn one_line(&self, names: &[&str], value: &str) -> String {
        let Some((first, rest)) = names.split_first() else {
            return value.to_owned();
        };
        match self.format {
            Format::Toml => format!("{} = {value}", names.join(".")),
            Format::Yaml if rest.is_empty() => format!("{first}: {value}"),
            Format::Yaml => format!("{first}: {{{}}}", self.one_line(rest, value)),
        }
    }

    fn flow(&self, key: &NewKey) -> String {
        let is = match self.format {
            Format::Yaml => ": ",
            Format::Toml => " = ",
        };
        let pairs: Vec<String> = fields(key)
            .iter()
            .map(|(name, value)| format!("{name}{is}{value}"))
            .collect();
        format!("{{{}}}", pairs.join(", "))
    }

    fn behind_last(&self, items: &[Node], list: &Node, key: &NewKey) -> Option<String> {
        if self.text.get(list.origin.clone())?.starts_with('[') {
            let end = items.last()?.span.end;
            return self.replaced(end..end, &format!(", {}", self.flow(key)));
        }
        if self.format == Format::Toml {
            return None;
        }
        let behind = items.last()?;
        let start = self.line_start(behind.span.start)?;
        let dash = self.text.get(start..)?.find('-')?;
        let end = self.line_end(self.trimmed_end(behind)?);
        let newline = if self.text.get(..end)?.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let indent = " ".repeat(dash);
        let mut lines = String::from(newline);
        for (index, (name, value)) in fields(key).iter().enumerate() {
            let lead = if index == 0 { "- " } else { "  " };
            lines.extend([&indent, lead, name, ": ", value.as_str(), "\n"]);
        }
        self.replaced(end..end, &lines)
    }

    /// What to take away with an entry.
    fn cut(&self, items: &[Node], place: usize) -> Option<Range<usize>> {
        let item = items.get(place)?;
        let start = self.line_start(item.span.start)?;
        let lead = self.text.get(start..item.span.start)?;
        if self.format == Format::Yaml && lead.trim() == "-" {
            return Some(start..self.line_end(self.trimmed_end(item)?));
        }
        // Within brackets: with one comma.
        match (
            place.checked_sub(1).and_then(|it| items.get(it)),
            items.get(place.checked_add(1)?),
        ) {
            (Some(before), _) => Some(before.span.end..item.span.end),
            (None, Some(next)) => Some(item.span.start..next.span.start),
            (None, None) => Some(item.span.clone()),
        }
    }

    /// Returns where an entry ends, without the empty lines behind it.
    fn trimmed_end(&self, item: &Node) -> Option<usize> {
        let mut end = item.span.end;
        let mut nodes = vec![item];
        // The span of a block may stop short of, or go beyond, what it holds.
        if let Kind::Map(entries) = &item.kind {
            nodes.extend(entries.iter().map(|(_, node)| node));
            end = entries
                .iter()
                .map(|(key, node)| key.span.end.max(node.span.end))
                .max()?;
        }
        let text = self.text.get(..end)?;
        Some(text.trim_end().len())
    }

    fn line_start(&self, at: usize) -> Option<usize> {
        let before = self.text.get(..at)?;
        Some(
            before
                .rfind('\n')
                .map_or(0, |newline| newline.saturating_add(1)),
        )
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let length = rest
            .find('\n')
            .map_or(rest.len(), |newline| newline.saturating_add(1));
        at.saturating_add(length)
    }

    fn column(&self, key: &Key) -> Option<usize> {
        Some(
            key.span
                .start
                .saturating_sub(self.line_start(key.span.start)?),
        )
    }
}

fn is_section(node: &Node) -> bool {
    matches!(node.kind, Kind::Map(_) | Kind::List(_))
}

/// Tells whether nothing but what stands under a path is otherwise.
fn is_meant(before: &Settings, after: &Settings, path: &str) -> bool {
    let changes = compare(before, after);
    let within = |other: &str| {
        other == path
            || other
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    // A value that was the default is no change, and no harm.
    changes.iter().all(|change| within(&change.path))
}

#[cfg(test)]
mod tests;
