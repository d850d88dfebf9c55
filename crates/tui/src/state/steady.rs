//! Keeps words still: a provider that is slow for a moment does not flicker.
//!
//! In: what the relay says of each provider, and when. Out: what is shown of it.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_api::v1::{ProviderState, ProviderStats};

/// How long another word has to hold before it is shown.
const HOLDS: Duration = Duration::from_secs(2);

/// What is shown of each provider, and what may come.
#[derive(Debug, Clone, Default)]
pub(super) struct Steady(BTreeMap<String, (ProviderState, Option<Duration>)>);

impl Steady {
    /// Puts what is shown in the place of what was said.
    pub(super) fn hold(&mut self, providers: &mut [ProviderStats], now: Duration) {
        let mut shown = BTreeMap::new();
        for provider in providers.iter_mut().filter_map(|it| it.provider.as_mut()) {
            let said = provider.state();
            let (word, since) = match self.0.get(&provider.name) {
                Some((word, since)) if wavers(*word, said) => {
                    let since = since.unwrap_or(now);
                    if now.saturating_sub(since) >= HOLDS {
                        (said, None)
                    } else {
                        (*word, Some(since))
                    }
                }
                _ => (said, None),
            };
            provider.set_state(word);
            shown.insert(provider.name.clone(), (word, since));
        }
        self.0 = shown;
    }
}

/// Tells whether one word may be followed by the other again at once. A circuit that opens, or a
/// switch, is a fact and shown as it comes.
fn wavers(shown: ProviderState, said: ProviderState) -> bool {
    matches!(
        (shown, said),
        (ProviderState::Up, ProviderState::Slow) | (ProviderState::Slow, ProviderState::Up)
    )
}

#[cfg(test)]
mod tests {
    use relay_api::v1::Provider;
    use relay_api::v1::ProviderState::{Open, Slow, Up};

    use super::*;

    #[test]
    fn a_word_changes_when_another_has_held_for_two_seconds() {
        let mut steady = Steady::default();
        let mut shown = |state: ProviderState, at: u64| {
            let provider = Provider {
                name: "zai".into(),
                state: state.into(),
                ..Provider::default()
            };
            let mut all = [ProviderStats {
                provider: Some(provider),
                ..ProviderStats::default()
            }];
            steady.hold(&mut all, Duration::from_secs(at));
            all[0].provider.as_ref().unwrap().state()
        };
        for (said, at, word) in [
            (Up, 0, Up),
            (Slow, 1, Up),
            (Up, 2, Up),
            (Slow, 3, Up),
            (Slow, 4, Up),
            (Slow, 5, Slow),
            (Up, 6, Slow),
            (Open, 7, Open),
            (Up, 8, Up),
        ] {
            assert_eq!(shown(said, at), word, "at {at}");
        }
    }
}
