//! Whether links between the repository's pages lead somewhere.
//!
//! In: one page, and the names and texts of all files. Out: the links that
//! lead nowhere. It must never ask the network: links to other sites are not
//! checked.

use super::{Source, kind};

/// What a link to elsewhere begins with.
const ELSEWHERE: &[&str] = &["http://", "https://", "mailto:"];

/// What stands before a link, and the character that ends it.
const OPENINGS: &[(&str, char)] = &[
    ("](", ')'),
    ("src=\"", '"'),
    ("srcset=\"", '"'),
    ("href=\"", '"'),
];

/// Checks one page; other files have no links.
pub(super) fn check(source: &Source, names: &[String], sources: &[Source]) -> Vec<String> {
    if source.kind() != "md" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut in_code = false;
    for (number, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for link in links(line) {
            if let Some(why) = broken(&source.path, &link, names, sources) {
                faults.push(format!(
                    "{}:{}: link to {link}: {why}",
                    source.path,
                    number.saturating_add(1)
                ));
            }
        }
    }
    faults
}

/// Returns the targets of all links on a line.
fn links(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (opening, closing) in OPENINGS {
        for rest in line.split(opening).skip(1) {
            if let Some((link, _)) = rest.split_once(*closing) {
                let without_title = link.split_whitespace().next().unwrap_or_default();
                found.push(without_title.to_owned());
            }
        }
    }
    found
}

fn broken(page: &str, link: &str, names: &[String], sources: &[Source]) -> Option<String> {
    if ELSEWHERE.iter().any(|start| link.starts_with(start)) {
        return None;
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.to_owned()
    } else {
        resolve(page, path)?
    };
    let folder = format!("{}/", target.trim_end_matches('/'));
    let exists = names
        .iter()
        .any(|name| *name == target || name.starts_with(&folder));
    if !exists {
        return Some("no such file".to_owned());
    }
    if fragment.is_empty() || kind(&target) != "md" {
        return None;
    }
    let text = &sources.iter().find(|source| source.path == target)?.text;
    let found = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line) == fragment);
    (!found).then(|| format!("{target} has no such heading"))
}

/// Returns the path from the root; one that leaves the repository leads to a name that is not there.
fn resolve(page: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop()?;
    for part in path.split('/') {
        if part == ".." && parts.pop().is_none() {
            return Some("..".to_owned());
        }
        if !matches!(part, "." | ".." | "") {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// Returns the anchor that a heading gets when the page is shown.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    fn faults(text: &str) -> Vec<String> {
        let page = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let sources = [
            page("docs/a.md", text),
            page("docs/b.md", "# Two words, `code`\n"),
        ];
        let names: Vec<String> = ["docs/a.md", "docs/b.md", "README.md", "docs/assets/x.svg"]
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        check(&sources[0], &names, &sources)
    }

    #[test]
    fn links_that_lead_somewhere_are_no_fault() {
        for good in [
            "[b](b.md) and [readme](../README.md)",
            "[b](b.md#two-words-code)",
            "<img src=\"assets/x.svg\"> [folder](assets/)",
            "[site](https://example.com/nothing)",
            "```\n[not a link](nowhere.md)\n```",
        ] {
            assert_eq!(faults(good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_faults() {
        for bad in [
            "[c](c.md)",
            "[b](b.md#other)",
            "[here](#nothing)",
            "[out](../../secret.md)",
            "<source srcset=\"assets/dark.svg\">",
        ] {
            assert_eq!(faults(bad).len(), 1, "{bad}");
        }
    }
}
