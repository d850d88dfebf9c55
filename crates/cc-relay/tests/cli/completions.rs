//! A word completed by a real shell, `bash`, beside a running relay and without one.

use std::path::Path;
use std::process::Command;

use relay_sim::Sim;

use crate::reload::Served;
use crate::support::Home;

/// What bash offers for the last of these words, sourced from the script that the program prints.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_cc-relay"));
    let folder = program.parent().unwrap().display().to_string();
    let quoted: Vec<String> = words.iter().map(|it| format!("'{it}'")).collect();
    let last = words.len() - 1;
    let script = format!(
        "source <(cc-relay completions bash)\n\
         COMP_WORDS=({}); COMP_CWORD={last}; COMP_TYPE=9\n\
         _clap_complete_cc_relay cc-relay '{}' ''\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words[last]
    );
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-c", &script])
        .env_clear()
        .env("HOME", home.path(""))
        .env(
            "PATH",
            format!("{folder}:{}", std::env::var("PATH").unwrap()),
        );
    if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
        command.env("LLVM_PROFILE_FILE", profile);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().map(|it| it.trim().to_owned());
    // Options follow the names.
    lines
        .filter(|it| !it.is_empty() && !it.starts_with('-'))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_running_relay_are_completed() {
    let home = Home::new();
    let sim = Sim::builder().start().await.unwrap();
    let provider = |name: &str| {
        format!(
            "  - {{name: {name}, type: anthropic, base_url: '{}', accepts_client_credential: false, keys: [{{key: sk-ant-{name}-00000001, name: {name}-main}}, {{key: sk-ant-{name}-00000002, name: {name}-spare}}]}}\n",
            sim.base_url()
        )
    };
    let config = format!(
        "server: {{listen: '127.0.0.1:0'}}\nrouting: {{model_lists: false}}\nproviders:\n{}{}",
        provider("first"),
        provider("second")
    );
    let file = home.write("relay.yaml", &config);
    let served = Served::start(&home, "relay.yaml");
    let asked = |words: &[&str]| {
        let mut all = vec!["cc-relay"];
        all.extend(words);
        offered(&home, &all)
    };
    let at = served.address.as_str();
    let provider = ["provider", "disable", "--addr", at, ""];
    assert_eq!(asked(&provider), ["first", "second"]);
    let begun = ["provider", "disable", "--addr", at, "se"];
    assert_eq!(asked(&begun), ["second"]);
    // A key of the provider that stands before it, and no other.
    let key = ["key", "remove", "--addr", at, "second", "second-"];
    assert_eq!(asked(&key), ["second-main", "second-spare"]);
    let strategies = asked(&["routing", "set", "--addr", at, ""]);
    assert!(
        strategies.contains(&"failover".to_owned()),
        "{strategies:?}"
    );
    // One that was added while it runs is there too: it is the relay that is asked.
    home.run_with(
        &[
            "key",
            "add",
            "second",
            "second-third",
            "--env",
            "ADDED",
            "--yes",
            "--addr",
            at,
        ],
        &[("ADDED", "sk-ant-added-0001")],
    )
    .expect(0);
    let key = ["key", "remove", "--addr", at, "second", "second-"];
    assert_eq!(asked(&key), ["second-main", "second-spare", "second-third"]);

    // Without a relay the file is read.
    drop(served);
    let file = file.to_str().unwrap();
    let provider = ["-c", file, "provider", "enable", ""];
    assert_eq!(asked(&provider), ["first", "second"]);
    // Commands and options come from the program itself.
    assert_eq!(asked(&["compl"]), ["completions"]);
}
