//! `config cc status`: where Claude Code sends its requests, and which setting decides.
//!
//! In: all settings files and the environment. Out: per scope what is set, who wins, and whether the
//! relay answers there. It changes nothing.

use serde_json::json;

use crate::cli::CcStatusArgs;
use crate::command::{Context, block_on, status};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, GOOD, STRONG, WARN, paint};
use crate::settings::AUTH_TOKEN;
use crate::settings::places::{ANTHROPIC, Place, places, switches, winner};

/// Whether the relay answers at the address that won.
enum Answer {
    /// It does.
    Yes(status::State),
    /// Something else, or nothing, does.
    No(String),
    /// It was not asked, for this reason.
    NotAsked(&'static str),
}

fn ask(context: &Context, url: Option<&str>) -> Result<Answer, Failure> {
    let Some(url) = url else {
        return Ok(Answer::NotAsked("nothing points at a relay"));
    };
    let endpoint = status::endpoint(context, Some(url));
    Ok(match block_on(status::ask(&endpoint))? {
        Ok(health) => Answer::Yes(health.state()),
        Err(failure) => Answer::No(failure.message().to_owned()),
    })
}

/// Prints where Claude Code sends its requests.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, arguments: &CcStatusArgs) -> Result<Exit, Failure> {
    let mut places = places(&context.env, &context.cwd);
    if let Some(scope) = arguments.scope {
        places.retain(|place| place.scope == scope.name());
    }
    let winner = winner(&places).cloned();
    let answer = ask(
        context,
        winner.as_ref().and_then(|place| place.raw_url.as_deref()),
    )?;
    if context.out.is_json() {
        let (answers, reason) = match &answer {
            Answer::Yes(_) => (Some(true), None),
            Answer::No(reason) => (Some(false), Some(reason.as_str())),
            Answer::NotAsked(reason) => (None, Some(*reason)),
        };
        let data = json!({
            "places": places,
            "winner": winner.as_ref().map(|place| place.scope),
            "base_url": winner.as_ref().and_then(|place| place.base_url.clone()),
            "relay_answers": answers,
            "reason": reason,
        });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    print(context, &places, winner.as_ref(), &answer)?;
    Ok(Exit::Done)
}

fn print(
    context: &mut Context,
    places: &[Place],
    winner: Option<&Place>,
    answer: &Answer,
) -> Result<(), Failure> {
    let ascii = context.env.ascii_only();
    let width = places
        .iter()
        .filter_map(|p| p.file.as_deref())
        .map(|f| f.chars().count())
        .max()
        .unwrap_or(0);
    for place in places {
        let wins = winner.is_some_and(|winner| winner.scope == place.scope);
        let sign = match (wins, ascii) {
            (true, false) => "▸",
            (true, true) => ">",
            (false, _) => " ",
        };
        let file = place.file.as_deref().unwrap_or("environment");
        let mut words = match (&place.fault, &place.base_url) {
            (Some(fault), _) => paint(BAD, fault),
            (None, Some(url)) if wins => paint(STRONG, url),
            (None, Some(url)) => format!("{url}   (overruled)"),
            (None, None) => "-".to_owned(),
        };
        if place.has_token {
            words = format!("{words}   {AUTH_TOKEN} is set");
        }
        context.out.line(&format!(
            "{sign} {:<8} {file:<width$}   {words}",
            place.scope
        ))?;
    }
    let url = winner
        .and_then(|place| place.base_url.as_deref())
        .unwrap_or(ANTHROPIC);
    let scope = winner.map_or("nothing is set", |place| place.scope);
    context.out.line(&format!(
        "Claude Code sends its requests to {url} ({scope})."
    ))?;
    if winner.is_some() {
        tell_switches(context, places)?;
    }
    let (good, bad, unsure) = if ascii {
        ("ok", "X", "-")
    } else {
        ("✔", "✖", "-")
    };
    let verdict = match answer {
        Answer::Yes(status::State::Healthy) => {
            format!("{} the relay answers there", paint(GOOD, good))
        }
        Answer::Yes(_) => format!(
            "{} the relay answers there, not healthy: cc-relay status",
            paint(WARN, "!")
        ),
        Answer::No(reason) => format!("{} {reason}", paint(BAD, bad)),
        Answer::NotAsked(reason) => format!("{unsure} {reason}"),
    };
    context.out.line(&verdict)
}

/// Tells what of Claude Code is on behind a custom URL, and what is not.
fn tell_switches(context: &mut Context, places: &[Place]) -> Result<(), Failure> {
    for (wanted, words) in [(true, "on there:  "), (false, "off there: ")] {
        let those: Vec<&str> = switches(places)
            .filter(|(_, is_on)| *is_on == wanted)
            .map(|(switch, _)| switch.what)
            .collect();
        if !those.is_empty() {
            let fix = if wanted {
                ""
            } else {
                "   (cc-relay config cc init)"
            };
            context
                .out
                .line(&format!("  {words}{}{fix}", those.join(", ")))?;
        }
    }
    Ok(())
}
