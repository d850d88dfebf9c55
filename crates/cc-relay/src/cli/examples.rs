//! The examples at the end of each command's help.

pub(super) const ROOT_EXAMPLES: &str = "\
Examples:
  cc-relay serve                 run it; no configuration file is needed
  cc-relay config cc init        point Claude Code at it   (undo: config cc remove)
  cc-relay demo                  see it work, without an account
  cc-relay doctor                find out what is wrong

Most flags have a twin in the environment: --listen is CC_RELAY_LISTEN.
Exit codes: 0 done, 1 failed, 2 usage, 3 degraded, 4 no provider, 69 relay not reachable,
73 cannot write, 75 try later, 78 configuration not valid.";

pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  cc-relay serve
  cc-relay serve --listen 127.0.0.1:0
  cc-relay serve --history
  cc-relay serve --tui
  cc-relay serve -c /etc/cc-relay/config.yaml";

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  cc-relay demo
  cc-relay demo --for 30s";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  cc-relay status
  cc-relay status --addr 127.0.0.1:9000
  cc-relay status --json | jq .data.state

Exit codes: 0 healthy, 3 degraded or draining, 4 no usable provider, 69 not reachable.";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  cc-relay doctor
  cc-relay doctor --json

Nothing is changed and no tokens are spent. Exit code 1 when an error was found.";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  cc-relay completions bash > ~/.local/share/bash-completion/completions/cc-relay
  cc-relay completions zsh > \"${fpath[1]}/_cc-relay\"
  cc-relay completions fish > ~/.config/fish/completions/cc-relay.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  cc-relay man | man -l -
  cc-relay man --out ~/.local/share/man/man1";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  cc-relay config init
  cc-relay config init --yes --format toml
  cc-relay config init -o ./relay.yaml";

pub(super) const VALIDATE_EXAMPLES: &str = "\
Examples:
  cc-relay config validate
  cc-relay config validate ./relay.yaml --json";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  cc-relay config diff
  cc-relay config diff ./new.yaml
  cc-relay config diff ./new.yaml --json | jq .data.changes

Nothing is changed. Exit code 0 whether or not something is different.";

pub(super) const CC_INIT_EXAMPLES: &str = "\
Examples:
  cc-relay config cc init
  cc-relay config cc init --scope local --url http://127.0.0.1:9000
  cc-relay config cc init --dry-run
  RELAY_KEY=… cc-relay config cc init --token RELAY_KEY

Your login stays as it is unless --token or --placeholder is given.";

pub(super) const CC_REMOVE_EXAMPLES: &str = "\
Examples:
  cc-relay config cc remove
  cc-relay config cc remove --scope local --yes
  cc-relay config cc remove --dry-run

The file is as it was before `config cc init`, byte for byte, unless somebody wrote to it since.";

pub(super) const CC_STATUS_EXAMPLES: &str = "\
Examples:
  cc-relay config cc status
  cc-relay config cc status --json | jq .data";

pub(super) const CC_EXAMPLES: &str = "\
Examples:
  cc-relay config cc init
  cc-relay config cc status
  cc-relay config cc remove";

pub(super) const CONFIG_EXAMPLES: &str = "\
Examples:
  cc-relay config init
  cc-relay config validate ./relay.yaml
  cc-relay config set routing.strategy least_loaded
  cc-relay config cc init";

pub(super) const SCHEMA_EXAMPLES: &str = "\
Examples:
  cc-relay config schema > cc-relay.schema.json";

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  cc-relay config show
  cc-relay config show -c ./relay.yaml";

pub(super) const VERSION_EXAMPLES: &str = "\
Examples:
  cc-relay version
  cc-relay version --json | jq .data.version";
