//! The text that `serve` shows a person at its start.
//!
//! In: a small [`Banner`]. Out: one string with a line end, styled if wanted. Secrets come in
//! already masked; on anything but a terminal it is not shown at all.

use crate::command::DEFAULT_ADDRESS;
use crate::output::{COPY, GOOD, STRONG, WARN, paint};

/// The most warnings that are shown; the rest is counted.
const MAX_WARNINGS: usize = 5;

/// What the banner tells.
#[derive(Debug, Clone, Default)]
pub struct Banner {
    /// The program's version.
    pub version: String,
    /// The configuration file as shown to people, and the first digits of its digest.
    pub config: Option<(String, String)>,
    /// The relay's address as a URL.
    pub url: String,
    /// The providers, in the order in which they are tried.
    pub providers: Vec<Provider>,
    /// What should be mended.
    pub warnings: Vec<Warning>,
    /// The Claude Code settings file that already points here, as shown to people.
    pub claude_settings: Option<String>,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
}

/// One provider's line.
#[derive(Debug, Clone, Default)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Where its credentials come from, masked: `2 keys  main …a91f`, or
    /// `credentials: whatever the client sends`.
    pub credentials: String,
    /// The models that it serves, or empty.
    pub models: String,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// One warning and what to do about it.
#[derive(Debug, Clone)]
pub struct Warning {
    /// What is not right.
    pub message: String,
    /// What mends it.
    pub fix: String,
}

impl Banner {
    /// Returns the text, with styles if `color`.
    pub fn render(&self, color: bool) -> String {
        let styled = self.styled();
        if color {
            styled
        } else {
            anstream::adapter::strip_str(&styled).to_string()
        }
    }

    fn styled(&self) -> String {
        let mut text = String::new();
        let name = paint(STRONG, &format!("cc-relay {}", self.version));
        let head = match &self.config {
            Some((path, digest)) => format!("{name}, {path} ({digest})"),
            None => format!("{name}, no config file: your own Claude login is passed on"),
        };
        let url = paint(COPY, &self.url);
        line(&mut text, &head);
        line(&mut text, "");
        line(&mut text, &format!("  relay      {url}"));
        self.provider_lines(&mut text);
        line(&mut text, "");
        if let Some(file) = &self.claude_settings {
            line(
                &mut text,
                &format!("  Claude Code already points here ({file})."),
            );
        } else {
            line(&mut text, "  Point Claude Code here, for this shell:");
            let export = format!("export ANTHROPIC_BASE_URL={}", self.url);
            line(&mut text, &format!("    {}", paint(COPY, &export)));
            // The usual address is what that command writes by itself.
            let usual = format!("http://{DEFAULT_ADDRESS}") == self.url;
            let flag = if usual {
                String::new()
            } else {
                format!(" --url {}", self.url)
            };
            let words = format!("  or for good:   cc-relay config cc init{flag}");
            line(&mut text, &format!("{words}     (undo: config cc remove)"));
        }
        line(&mut text, "  How it is:     cc-relay status");
        if self.config.is_none() {
            line(&mut text, "  Your own settings:   cc-relay config init");
        }
        self.warning_lines(&mut text);
        line(&mut text, "  ctrl-c finishes running requests, then stops.");
        text
    }

    fn provider_lines(&self, text: &mut String) {
        let names = self
            .providers
            .iter()
            .map(|p| p.name.chars().count())
            .max()
            .unwrap_or(0);
        let wide = self
            .providers
            .iter()
            .map(|p| p.credentials.chars().count())
            .max()
            .unwrap_or(0);
        for (index, provider) in self.providers.iter().enumerate() {
            let title = if index == 0 { "provider" } else { "" };
            let symbol = match (provider.enabled, self.ascii) {
                (true, false) => paint(GOOD, "●"),
                (true, true) => paint(GOOD, "*"),
                (false, false) => "○".to_owned(),
                (false, true) => "o".to_owned(),
            };
            let Provider {
                name,
                credentials,
                models,
                ..
            } = provider;
            let row =
                format!("  {title:<10} {symbol} {name:<names$}   {credentials:<wide$}   {models}");
            line(text, row.trim_end());
        }
    }

    fn warning_lines(&self, text: &mut String) {
        if self.warnings.is_empty() {
            return;
        }
        line(text, "");
        for warning in self.warnings.iter().take(MAX_WARNINGS) {
            line(text, &format!("  {} {}", paint(WARN, "!"), warning.message));
            line(text, &format!("    fix: {}", warning.fix));
        }
        let more = self.warnings.len().saturating_sub(MAX_WARNINGS);
        if more > 0 {
            line(text, &format!("    +{more} more: cc-relay doctor"));
        }
        line(text, "");
    }
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, credentials: &str, models: &str, enabled: bool) -> Provider {
        Provider {
            name: name.to_owned(),
            credentials: credentials.to_owned(),
            models: models.to_owned(),
            enabled,
        }
    }

    #[test]
    fn without_a_file_it_says_how_to_begin() {
        let banner = Banner {
            version: "0.1.0".to_owned(),
            url: "http://127.0.0.1:8787".to_owned(),
            providers: vec![provider(
                "anthropic",
                "credentials: whatever the client sends",
                "",
                true,
            )],
            ..Banner::default()
        };
        insta::assert_snapshot!(banner.render(false));
        let elsewhere = Banner {
            url: "http://127.0.0.1:9000".to_owned(),
            ..banner.clone()
        };
        let words = "config cc init --url http://127.0.0.1:9000 ";
        assert!(elsewhere.render(false).contains(words));
        assert!(banner.render(true).contains("\u{1b}["));
    }

    #[test]
    fn five_warnings_are_shown_and_the_rest_is_counted() {
        let warning = |number: usize| Warning {
            message: format!("thing {number} is readable by others"),
            fix: format!("chmod 600 thing{number}"),
        };
        let banner = Banner {
            version: "0.1.0".to_owned(),
            config: Some((
                "~/.config/cc-relay/config.yaml".to_owned(),
                "b01d77".to_owned(),
            )),
            url: "http://127.0.0.1:8787".to_owned(),
            providers: vec![
                provider("anthropic", "1 key  main …a91f", "claude-*", true),
                provider("ollama", "-", "", false),
            ],
            warnings: (1..=7).map(warning).collect(),
            claude_settings: Some("~/.claude/settings.json".to_owned()),
            ascii: true,
        };
        insta::assert_snapshot!(banner.render(false));
    }
}
