//! Every command there is, found by reading the help as a person does: from the root, down each list.

use crate::support::Home;

/// Returns the words of every command, groups among them; the first is the program itself.
pub(crate) fn commands(home: &Home) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut place = 0;
    while let Some(words) = found.get(place).cloned() {
        let help = help(home, &words);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            // A description that goes on in a further line stands further to the right.
            let name = line.strip_prefix("  ").filter(|it| !it.starts_with(' '));
            let name = name.and_then(|it| it.split_whitespace().next());
            found.extend(name.map(|name| [words.clone(), vec![name.to_owned()]].concat()));
        }
        place += 1;
    }
    found
}

pub(crate) fn help(home: &Home, words: &[String]) -> String {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push("--help");
    let ran = home.run(&words).expect(0);
    assert_eq!(ran.stderr, "", "{words:?}");
    ran.stdout
}

#[test]
fn every_command_shows_an_example_of_itself() {
    let home = Home::new();
    let commands = commands(&home);
    // Were the lists read wrongly, nothing would be found and nothing missed.
    for known in ["serve", "config cc init", "provider disable", "version"] {
        let known: Vec<&str> = known.split(' ').collect();
        assert!(commands.iter().any(|it| *it == known), "{known:?}");
    }
    let without: Vec<String> = commands
        .iter()
        .map(|words| [&["cc-relay".to_owned()][..], words].concat().join(" "))
        .zip(&commands)
        .filter(|(line, words)| {
            let help = help(&home, words);
            let examples = help
                .split_once("\nExamples:\n")
                .map_or("", |(_, rest)| rest);
            // Behind a variable or a pipe it counts as well.
            !examples.lines().any(|example| example.contains(line))
        })
        .map(|(line, _)| line)
        .collect();
    assert!(without.is_empty(), "no example of themselves: {without:?}");
}
