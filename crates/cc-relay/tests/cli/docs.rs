//! `docs/cli.md` says what the program does.

use crate::help::{commands, help};
use crate::support::Home;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_option_of_the_help_is_on_the_page() {
    let home = Home::new();
    let page = page();
    for command in commands(&home) {
        let help = help(&home, &command);
        let options = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'));
        for option in options.flat_map(|line| line.split([' ', ',', '.'])) {
            let skipped = ["--help", "--version"].contains(&option);
            if option.starts_with("--") && option.len() > 2 && !skipped {
                assert!(
                    page.contains(option),
                    "{option} of {command:?} is not on the page"
                );
            }
        }
    }
}

#[test]
fn every_command_line_of_the_page_is_understood() {
    let home = Home::new();
    let page = page();
    let lines = page
        .lines()
        .filter_map(|line| line.strip_prefix("$ cc-relay "));
    for line in lines {
        let line = line.split(['#', '|', '>']).next().unwrap();
        let words: Vec<&str> = line
            .split_whitespace()
            .filter(|word| !word.contains('~'))
            .collect();
        let words = match words.as_slice() {
            [rest @ .., "--out"] => rest,
            all => all,
        };
        let ran = home.run(&[words, &["--help"]].concat());
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
    }
}

#[test]
fn every_exit_code_is_on_the_page() {
    let page = page();
    for code in [0, 1, 2, 3, 4, 69, 73, 75, 78] {
        assert!(page.contains(&format!("| {code} |")), "{code}");
    }
}
