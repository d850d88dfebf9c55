//! Any text is a plan or a list of faults, and no fault shows what a variable holds.
//!
//! In: any text, taken as YAML and as TOML. Out: nothing, or a crash. It must never depend on the
//! environment of the process: each variable that a text names has the same made-up value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_config::{Env, Format, parse, show};

const CREDENTIAL: &str = "made-up-credential-0123456789";

struct Always;

impl Env for Always {
    fn var(&self, _: &str) -> Option<String> {
        Some(CREDENTIAL.to_owned())
    }
}

fuzz_target!(|text: &str| {
    if text.contains(CREDENTIAL) {
        return;
    }
    for format in [Format::Yaml, Format::Toml] {
        match parse("fuzz", text, format, &Always) {
            Ok(plan) => drop(show(&plan)),
            Err(faults) => {
                let shown = faults.render(false);
                assert!(!shown.is_empty(), "a refusal says why");
                assert!(
                    !shown.contains(CREDENTIAL),
                    "a fault shows a variable:\n{shown}"
                );
            }
        }
    }
});
