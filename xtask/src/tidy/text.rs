//! What a file must and must not say.
//!
//! In: one file. Out: the faults, each with its line. The rules are the table
//! `FORBIDDEN`. It must never judge a lock file, which no person writes.

use super::Source;

/// Text that may not stand in files of some kinds.
struct Forbidden {
    /// Kinds of file that the rule holds for, by the end of the name; empty: all.
    files: &'static [&'static str],
    /// The text. Split by `concat!`, so that this file keeps its own rules.
    text: &'static str,
    why: &'static str,
}

const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        files: &["rs"],
        text: concat!("#[", "ignore"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["rs"],
        text: concat!("#[", "allow("),
        why: "write #[expect(.., reason = \"..\")]",
    },
    Forbidden {
        files: &["rs"],
        text: concat!("#![", "allow("),
        why: "write #![expect(.., reason = \"..\")]",
    },
    Forbidden {
        files: &["py"],
        text: concat!("pytest", ".skip"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["py"],
        text: concat!("mark", ".skip"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["py"],
        text: concat!("mark", ".xfail"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["py"],
        text: concat!("import", "orskip"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["mjs", "js", "ts"],
        text: concat!("test", ".skip"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["mjs", "js", "ts"],
        text: concat!("skip", ":"),
        why: "no test is left out",
    },
    Forbidden {
        files: &["mjs", "js", "ts"],
        text: concat!("test", ".todo"),
        why: "no test is left out",
    },
    Forbidden {
        files: &[],
        text: concat!("/", "work/"),
        why: "a path of one machine",
    },
    Forbidden {
        files: &[],
        text: concat!("/", "root/"),
        why: "a path of one machine",
    },
    Forbidden {
        files: &[],
        text: concat!("..", "/shared"),
        why: "a path outside the repository",
    },
    Forbidden {
        files: &[],
        text: concat!("registry.", "npmjs"),
        why: "the host of a package registry",
    },
    Forbidden {
        files: &[],
        text: concat!("pypi", ".org"),
        why: "the host of a package registry",
    },
    Forbidden {
        files: &[],
        text: concat!("pythonhosted", ".org"),
        why: "the host of a package registry",
    },
    Forbidden {
        files: &[],
        text: concat!("static.crates", ".io"),
        why: "the host of a package registry",
    },
];

/// Files that a tool writes.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock"];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<String> {
    if WRITTEN_BY_TOOLS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if source.kind() == "rs" && !source.text.starts_with("//! ") {
        faults.push(format!(
            "{}:1: must open with `//!`: what it does, what it must never do",
            source.path
        ));
    }
    for rule in FORBIDDEN {
        if !rule.files.is_empty() && !rule.files.contains(&source.kind()) {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.contains(rule.text) {
                let number = number.saturating_add(1);
                faults.push(format!(
                    "{}:{number}: `{}`: {}",
                    source.path, rule.text, rule.why
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{FORBIDDEN, Source, check};

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn each_forbidden_text_is_found_in_each_kind_of_file() {
        for rule in FORBIDDEN {
            let ends = if rule.files.is_empty() {
                &["md", "rs", "py"]
            } else {
                rule.files
            };
            for end in ends {
                let text = format!("//! A file.\n{}\n", rule.text);
                let found = faults(&format!("a.{end}"), &text);
                assert!(
                    found
                        .iter()
                        .any(|fault| fault.starts_with(&format!("a.{end}:2: "))),
                    "{end} {}",
                    rule.text
                );
            }
        }
    }

    #[test]
    fn a_rule_for_one_kind_of_file_leaves_others_alone() {
        assert!(faults("a.md", concat!("#[", "ignore]")).is_empty());
        assert!(faults("Cargo.lock", concat!("static.crates", ".io")).is_empty());
    }

    #[test]
    fn rust_must_open_with_its_purpose() {
        assert_eq!(faults("a.rs", "use std::io;\n").len(), 1);
        assert!(faults("a.rs", "//! Does one thing.\n").is_empty());
    }
}
