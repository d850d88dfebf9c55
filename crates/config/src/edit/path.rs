//! Paths of settings, and what stands there: `providers[zai].keys[k1].weight`.

use crate::tree::{Key, Kind, Node};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// The entry of a list that has this name.
    Named(String),
}

/// Reads `a.b[c].d`.
pub(super) fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (name, behind) = inner.split_once(']')?;
            steps.push(Step::Named(name.to_owned()));
            rest = behind;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at_checked(end)?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                return None;
            }
            steps.push(Step::Key(name.to_owned()));
            rest = behind;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

pub(super) fn find<'a>(tree: &'a Node, path: &[Step]) -> Option<&'a Node> {
    path.iter()
        .try_fold(tree, |node, step| match (step, &node.kind) {
            (Step::Key(name), _) => child(node, name).map(|(_, node)| node),
            (Step::Named(name), Kind::List(items)) => {
                items.iter().find(|item| is_named(item, name))
            }
            (Step::Named(_), _) => None,
        })
}

pub(super) fn child<'a>(node: &'a Node, name: &str) -> Option<(&'a Key, &'a Node)> {
    let Kind::Map(entries) = &node.kind else {
        return None;
    };
    entries
        .iter()
        .find(|(key, _)| key.name == name)
        .map(|(key, node)| (key, node))
}

pub(super) fn is_named(node: &Node, name: &str) -> bool {
    let found = child(node, "name").map(|(_, node)| &node.kind);
    matches!(found, Some(Kind::Text(text)) if text == name)
}
