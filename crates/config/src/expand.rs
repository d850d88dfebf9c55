//! `${VAR}`, `${file:PATH}` and `${keychain:SERVICE/ACCOUNT}` in a text value.
//!
//! In: a text and an environment. Out: the text with each reference replaced, or every reference
//! that could not be. `${VAR}` must be set, `${VAR:-default}` takes the default if the variable is
//! unset or empty; `${file:PATH}` is what a file holds, without the line end after it, as secret
//! stores mount it; `${keychain:SERVICE/ACCOUNT}` is an entry of the operating system's keychain;
//! `$${` stands for `${`. It must never expand what it put in, nor say a value.

use std::path::{Path, PathBuf};

use crate::load::Env;

/// A text after expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The result.
    pub(crate) text: String,
    /// Whether any of it came from a reference.
    pub(crate) referenced: bool,
    /// Whether a reference with a default gave nothing: `${VAR:-}` means "leave it out".
    pub(crate) defaulted: bool,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// Why a reference could not be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The variable is not set. Holds the reference as written and its name.
    Missing { reference: String, name: String },
    /// The file cannot be read. Holds the reference as written, and why not.
    Unreadable { reference: String, why: String },
    /// The keychain does not give the entry. Holds the reference as written, why not, and what to
    /// do about it.
    Locked {
        reference: String,
        why: String,
        help: String,
    },
    /// The reference is not one. Holds the start of it, at most as far as the brace.
    Malformed { reference: String },
}

/// Expands every reference in a text.
pub(crate) fn expand(text: &str, env: &dyn Env) -> Result<Expanded, Vec<Problem>> {
    let mut out = Expanded::default();
    let mut problems = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            out.text.push_str(escaped);
            out.text.push_str("${");
            rest = after;
            continue;
        }
        out.text.push_str(before);
        out.referenced = true;
        let Some((inside, tail)) = after.split_once('}') else {
            problems.push(Problem::Malformed {
                reference: "${".to_owned(),
            });
            return Err(problems);
        };
        let resolved = match inside.split_once(':') {
            Some(("file", path)) => read(path, env).map(|(path, text)| {
                out.files.push(path);
                text
            }),
            Some(("keychain", entry)) => unlock(entry, env),
            _ => resolve(inside, env),
        };
        match resolved {
            Ok(value) => {
                out.defaulted |= value.is_empty() && inside.contains(":-");
                out.text.push_str(&value);
            }
            Err(problem) => problems.push(problem),
        }
        rest = tail;
    }
    out.text.push_str(rest);
    if problems.is_empty() {
        Ok(out)
    } else {
        Err(problems)
    }
}

fn read(path: &str, env: &dyn Env) -> Result<(PathBuf, String), Problem> {
    let unreadable = |why: String| Problem::Unreadable {
        reference: format!("${{file:{path}}}"),
        why,
    };
    let place = match (path.strip_prefix("~/"), env.var("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    };
    if !place.is_absolute() {
        return Err(unreadable(
            "its path does not begin with / or ~/".to_owned(),
        ));
    }
    match env.file(&place) {
        Ok(text) => Ok((place, text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn unlock(entry: &str, env: &dyn Env) -> Result<String, Problem> {
    let locked = |why: String, help: String| Problem::Locked {
        reference: format!("${{keychain:{entry}}}"),
        why,
        help,
    };
    let named = entry.rsplit_once('/');
    let Some((service, account)) = named.filter(|(a, b)| !a.is_empty() && !b.is_empty()) else {
        return Err(locked(
            "it names no entry".to_owned(),
            "write ${keychain:SERVICE/ACCOUNT}".to_owned(),
        ));
    };
    env.keychain(service, account)
        .map_err(|refused| locked(refused.to_string(), refused.help(service, account)))
}

fn resolve(inside: &str, env: &dyn Env) -> Result<String, Problem> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(Problem::Malformed {
            reference: "${".to_owned(),
        });
    }
    match (env.var(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let reference = format!("${{{name}}}");
            Err(Problem::Missing {
                reference,
                name: name.to_owned(),
            })
        }
    }
}

/// Tells whether a text can name a variable: letters, digits and `_`, no digit first.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::keychain::Refused;

    fn env() -> HashMap<String, String> {
        [("A", "one"), ("EMPTY", ""), ("NESTED", "${A}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn text(input: &str) -> String {
        expand(input, &env()).unwrap().text
    }

    #[test]
    fn references_defaults_and_escapes() {
        let table = [
            ("plain $A $", "plain $A $"),
            ("${A}", "one"),
            ("<${A}-${A}>", "<one-one>"),
            ("${NONE:-two}", "two"),
            ("${A:-two}", "one"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY}", ""),
            ("${NONE:-}", ""),
            ("${NONE:-http://h:1/p}", "http://h:1/p"),
            ("$${A}", "${A}"),
            ("$${A} ${A}", "${A} one"),
            ("${NESTED}", "${A}"),
        ];
        for (input, want) in table {
            assert_eq!(text(input), want, "{input}");
        }
    }

    #[test]
    fn says_where_a_text_came_from() {
        assert!(!expand("literal", &env()).unwrap().referenced);
        assert!(!expand("$${A}", &env()).unwrap().referenced);
        let skipped = expand("${NONE:-}", &env()).unwrap();
        assert!(skipped.referenced && skipped.defaulted);
        assert!(!expand("${EMPTY}", &env()).unwrap().defaulted);
    }

    #[test]
    fn names_every_missing_variable() {
        let problems = expand("${X1} ${A} ${X2}", &env()).unwrap_err();
        let name = |problem: &Problem| match problem {
            Problem::Missing { name, .. } => name.clone(),
            Problem::Malformed { .. } | Problem::Unreadable { .. } | Problem::Locked { .. } => {
                String::new()
            }
        };
        assert_eq!(problems.iter().map(name).collect::<Vec<_>>(), ["X1", "X2"]);
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "sk-from-a-file\r\n").unwrap();
        let text = format!("<${{file:{}}}>", file.display());
        let expanded = expand(&text, &env()).unwrap();
        assert_eq!(expanded.text, "<sk-from-a-file>");
        assert!(expanded.referenced);
        assert_eq!(expanded.files, [file]);
        let home: HashMap<String, String> =
            [("HOME".to_owned(), folder.path().display().to_string())].into();
        assert_eq!(
            expand("${file:~/key}", &home).unwrap().text,
            "sk-from-a-file"
        );
        for missing in ["${file:/nonexistent/key}", "${file:key}", "${file:}"] {
            let problems = expand(missing, &env()).unwrap_err();
            assert!(
                matches!(&problems[..], [Problem::Unreadable { reference, .. }] if reference == missing),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn an_entry_of_the_keychain_is_named_by_service_and_account() {
        struct Keychain;
        impl Env for Keychain {
            fn var(&self, _: &str) -> Option<String> {
                None
            }
            fn keychain(&self, service: &str, account: &str) -> Result<String, Refused> {
                match (service, account) {
                    ("anthropic", "work") => Ok("sk-from-the-keychain".to_owned()),
                    ("https://api.example", "me") => Ok("sk-of-a-url".to_owned()),
                    _ => Err(Refused::Missing),
                }
            }
        }
        let expanded = expand("<${keychain:anthropic/work}>", &Keychain).unwrap();
        assert_eq!(expanded.text, "<sk-from-the-keychain>");
        assert!(expanded.referenced && expanded.files.is_empty());
        let url = expand("${keychain:https://api.example/me}", &Keychain).unwrap();
        assert_eq!(url.text, "sk-of-a-url");
        for missing in [
            "${keychain:anthropic/home}",
            "${keychain:anthropic}",
            "${keychain:}",
            "${keychain:/a}",
            "${keychain:a/}",
        ] {
            let problems = expand(missing, &Keychain).unwrap_err();
            assert!(
                matches!(&problems[..], [Problem::Locked { reference, help, .. }]
                    if reference == missing && !help.is_empty()),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for input in [
            "${",
            "${A",
            "${}",
            "${1A}",
            "${A B}",
            "${:-x}",
            "${sk-secret}",
            "${files:/a}",
        ] {
            let problems = expand(input, &env()).unwrap_err();
            assert!(
                matches!(problems[..], [Problem::Malformed { .. }]),
                "{input}"
            );
            assert!(!format!("{problems:?}").contains("secret"));
        }
    }
}
