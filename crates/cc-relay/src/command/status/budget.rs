//! Budgets in `/health` and on the screen of `status`.
//!
//! In: what the relay says of a budget. Out: a line. It names nobody.

use serde::{Deserialize, Serialize};

use super::uptime;
use crate::output::{BAD, WARN, paint};

/// One budget in `/health`.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Budget {
    /// Its name.
    pub name: Option<String>,
    /// Whose spending it bounds.
    pub per: Option<String>,
    /// How long it lasts.
    pub period: Option<String>,
    /// Dollars or tokens, as people read them.
    pub limit: Option<String>,
    /// What the one that has spent most has spent.
    pub most: Option<String>,
    /// The same in percent of the limit.
    pub most_percent: Option<u64>,
    /// Those who have spent something.
    pub subjects: Option<u64>,
    /// Those who have spent all.
    pub spent_subjects: Option<u64>,
    /// Requests refused since the relay's start.
    pub refusals: Option<u64>,
    /// When it begins anew.
    pub anew_in_s: Option<f64>,
}

impl Budget {
    /// Says how it stands.
    pub(super) fn line(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (name, limit) = (text(&self.name), text(&self.limit));
        let (per, period) = (text(&self.per), text(&self.period));
        let percent = self.most_percent.unwrap_or(0);
        let share = match percent {
            0..80 => format!("{percent}%"),
            80..100 => paint(WARN, &format!("{percent}%")),
            _ => paint(BAD, &format!("{percent}%")),
        };
        let whose = match per.as_str() {
            "all" => String::new(),
            each => format!(" per {each}"),
        };
        let mut line = format!("  budget {name}   {share} of {limit} a {period}{whose}");
        if let Some(seconds) = self.anew_in_s {
            line = format!("{line}   anew in {}", uptime(seconds));
        }
        if let Some(refusals) = self.refusals.filter(|count| *count > 0) {
            line = format!("{line}   {refusals} refused");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_stands() {
        let json = r#"{"name":"team","per":"client_key","period":"month","limit":"$25.0000",
            "most":"$5.0000","most_percent":20,"subjects":3,"spent_subjects":0,"refusals":2,
            "anew_in_s":370800}"#;
        let budget: Budget = serde_json::from_str(json).unwrap();
        let line =
            "  budget team   20% of $25.0000 a month per client_key   anew in 4d07h   2 refused";
        assert_eq!(budget.line(), line);
    }
}
