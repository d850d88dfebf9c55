//! How long a file may be.
//!
//! In: one file. Out: its fault, if it is too long and gives no reason. Lines
//! of tests do not count. It must never count differently from the coverage
//! table, which leaves out the same lines.

use super::{Source, kind};

/// Lines a file of code may have without its tests.
const CODE_LINES: usize = 400;

/// How a file says why it is longer.
const REASON: &str = "//! Longer than 400 lines because ";

/// Pages that must stay short, and how short.
const PAGES: &[(&str, usize)] = &[("README.md", 200)];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (page, most) in PAGES {
        let lines = source.text.lines().count();
        if source.path == *page && lines >= *most {
            faults.push(format!("{page}: {lines} lines; it must stay under {most}"));
        }
    }
    if !is_code(&source.path) {
        return faults;
    }
    let lines = lines_without_tests(&source.text);
    if lines > CODE_LINES && !source.text.lines().any(|line| line.starts_with(REASON)) {
        faults.push(format!(
            "{}: {lines} lines without tests; split it, or write `{REASON}...` at its top",
            source.path
        ));
    }
    faults
}

/// Returns whether the file is Rust that ships, rather than tests.
fn is_code(path: &str) -> bool {
    let in_tests = path
        .split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
    kind(path) == "rs" && !in_tests
}

/// Returns how many lines come before the tests that end a file.
pub(crate) fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let next = lines.peek().map_or("", |(_, next)| next);
        if line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{') {
            return number;
        }
    }
    text.lines().count()
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    fn file(path: &str, text: String) -> Source {
        Source {
            path: path.to_owned(),
            text,
        }
    }

    #[test]
    fn a_long_file_is_a_fault_unless_it_says_why() {
        let long = "let a = 1;\n".repeat(401);
        assert_eq!(check(&file("crates/a/src/a.rs", long.clone())).len(), 1);
        let reasoned = format!("//! Longer than 400 lines because it is one table.\n{long}");
        assert!(check(&file("crates/a/src/a.rs", reasoned)).is_empty());
    }

    #[test]
    fn tests_do_not_count() {
        let long = "let a = 1;\n".repeat(401);
        let inline = format!("let b = 1;\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(check(&file("crates/a/src/a.rs", inline)).is_empty());
        assert!(check(&file("crates/a/src/a/tests.rs", long.clone())).is_empty());
        assert!(check(&file("crates/a/tests/it/main.rs", long)).is_empty());
    }

    #[test]
    fn a_long_readme_is_a_fault() {
        assert_eq!(check(&file("README.md", "line\n".repeat(200))).len(), 1);
        assert!(check(&file("README.md", "line\n".repeat(199))).is_empty());
    }
}
