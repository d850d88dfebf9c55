# Short names for what CI runs. `just` alone lists them.

default:
    @just --list

# Every test: crates, SDKs, Claude Code.
test *args:
    cargo xtask test {{ args }}

# What a change must pass before it is sent.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo xtask tidy
    cargo test --workspace --locked

# All that CI runs, with what it needs installed (Debian 12).
ci:
    .ci/run

# The rules that no compiler checks.
tidy:
    cargo xtask tidy

# Lines covered, for each crate.
coverage *args:
    cargo xtask coverage {{ args }}

# The relay at work, without an account.
demo:
    cargo run --release -- demo
