//! The questions of `config init`.
//!
//! In: what was found on this machine, and answers typed at a terminal. Out: what is wanted. Each
//! question has an answer that Enter takes; an answer that makes no sense is asked for again.

use std::net::SocketAddr;

use relay_config::StrategyPlan;

use super::file::{Answers, Chosen};
use super::usual_address;
use super::vendor::{Found, Vendor};
use crate::ask;
use crate::command::{Context, DEFAULT_ADDRESS};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{GOOD, paint};

/// The flag that answers all of it.
const FLAG: &str = "--yes";

/// Says how it goes.
///
/// # Errors
/// Exit 2 where nobody can answer.
pub(super) fn greet(context: &mut Context) -> Result<(), Failure> {
    if !context.ask.interactive() {
        let message = "this asks a few questions, and there is no terminal to ask on";
        return Err(Failure::new(Exit::Usage, "no_terminal", message).help(format!("pass {FLAG}")));
    }
    context
        .out
        .note("Answers in [ ] are taken by Enter. Nothing is written before the end.");
    Ok(())
}

/// Asks everything.
///
/// # Errors
/// When an answer cannot be read, or there is none any more.
pub(super) fn ask(context: &mut Context, found: &[Found]) -> Result<Answers, Failure> {
    let listen = listen(context)?;
    let mut providers = Vec::new();
    for one in wanted(context, found)? {
        providers.push(chosen(context, one)?);
    }
    let strategy = if providers.len() > 1 {
        strategy(context)?
    } else {
        None
    };
    Ok(Answers {
        listen,
        providers,
        strategy,
    })
}

fn listen(context: &mut Context) -> Result<SocketAddr, Failure> {
    loop {
        let question = format!("Where should the relay listen? [{DEFAULT_ADDRESS}] ");
        let answer = text(context, &question)?;
        match answer.as_str() {
            "" => return Ok(usual_address()),
            text => match text.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => return Ok(address),
                Ok(_) => context.out.note_always(
                    "That is more than this machine and needs authentication: set it in the file afterwards.",
                ),
                Err(_) => context.out.note_always("Please write an address and a port."),
            },
        }
    }
}

/// Asks which providers are wanted, by name or number.
fn wanted<'a>(context: &mut Context, found: &'a [Found]) -> Result<Vec<&'a Found>, Failure> {
    context
        .out
        .note_always("Which providers, the first one first?");
    for (number, one) in (1..).zip(found) {
        let name = format!("{:<11}", one.vendor.name);
        let name = if one.is_ready() {
            paint(GOOD, &name)
        } else {
            name
        };
        context
            .out
            .note_always(&format!("  {number:>2} {name} {}", one.says()));
    }
    let ready: Vec<&Found> = found.iter().filter(|it| it.is_ready()).collect();
    let usual: Vec<&str> = ready.iter().map(|it| it.vendor.name).collect();
    let question = format!("Names or numbers [{}] ", usual.join(" "));
    loop {
        let answer = text(context, &question)?;
        if answer.is_empty() {
            return Ok(ready);
        }
        let mut picked: Vec<&Found> = Vec::new();
        let mut unknown = None;
        for word in answer.split([' ', ',']).filter(|it| !it.is_empty()) {
            let by_number = word.parse::<usize>().ok().and_then(|it| it.checked_sub(1));
            let by_number = by_number.and_then(|at| found.get(at));
            let one = by_number.or_else(|| found.iter().find(|it| it.vendor.name == word));
            match one {
                Some(one) if picked.iter().all(|it| it.vendor != one.vendor) => picked.push(one),
                Some(_) => {}
                None => unknown = Some(word.to_owned()),
            }
        }
        match unknown {
            Some(word) => context
                .out
                .note_always(&format!("`{word}` is none of them.")),
            None if picked.is_empty() => context.out.note_always("Please name one at least."),
            None => return Ok(picked),
        }
    }
}

/// Asks what a provider needs.
fn chosen(context: &mut Context, found: &Found) -> Result<Chosen, Failure> {
    let vendor = found.vendor;
    let keys = keys(context, found)?;
    let mut settings: Vec<(&str, String)> = Vec::new();
    settings.extend(found.base_url.clone().map(|url| ("base_url", url)));
    for (name, variables) in vendor.settings {
        let known = variables.iter().find_map(|it| context.env.get(it));
        let known = known.map(str::to_owned);
        let value = needed(context, vendor, name, known.as_deref())?;
        settings.push((*name, value));
    }
    let model = match vendor.model {
        None => None,
        Some(usual) => {
            let usual = found
                .models
                .first()
                .map_or(usual, String::as_str)
                .to_owned();
            let question = format!(
                "{} has no Claude models. Asked for claude-*, send: [{usual}] ",
                vendor.name
            );
            let answer = text(context, &question)?;
            Some(if answer.is_empty() { usual } else { answer })
        }
    };
    Ok(Chosen {
        vendor,
        keys,
        model,
        settings,
    })
}

/// Asks about each variable that was found; a vendor that needs a key is asked for a name.
fn keys(context: &mut Context, found: &Found) -> Result<Vec<String>, Failure> {
    let vendor = found.vendor;
    let mut keys = Vec::new();
    for name in &found.keys {
        let question = if vendor.name == "anthropic" {
            format!("Use {name} for clients that bring no credential of their own?")
        } else {
            format!("Use {name} for {}?", vendor.name)
        };
        if ask::confirm(context, &question, true, FLAG)? {
            keys.push(name.clone());
        }
    }
    let needs_key = vendor.model.is_some() && vendor.name != "ollama";
    while needs_key && keys.is_empty() {
        let question = format!(
            "Which environment variable will hold the key for {}? ",
            vendor.name
        );
        let name = text(context, &question)?;
        let good =
            |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        if !name.is_empty()
            && name.chars().all(good)
            && !name.starts_with(|it: char| it.is_ascii_digit())
        {
            keys.push(name);
        } else {
            // What was typed may be the key itself, so it is not repeated.
            context.out.note_always(
                "Please write the name of a variable, such as ZAI_API_KEY; not the key itself.",
            );
        }
    }
    Ok(keys)
}

fn needed(
    context: &mut Context,
    vendor: &Vendor,
    name: &str,
    known: Option<&str>,
) -> Result<String, Failure> {
    loop {
        let usual = known.map(|it| format!(" [{it}]")).unwrap_or_default();
        let answer = text(context, &format!("{}: {name}?{usual} ", vendor.name))?;
        match (answer.is_empty(), known) {
            (false, _) => return Ok(answer),
            (true, Some(known)) => return Ok(known.to_owned()),
            (true, None) => context.out.note_always("It does not work without."),
        }
    }
}

fn strategy(context: &mut Context) -> Result<Option<(&'static str, &'static str)>, Failure> {
    context.out.note_always(
        "When should traffic go elsewhere? (A session stays where its cache is warm.)",
    );
    // By the name of the model needs rules, which belong into the file.
    let all = StrategyPlan::ALL.into_iter();
    let all: Vec<StrategyPlan> = all.filter(|it| *it != StrategyPlan::Model).collect();
    for (number, one) in (1..).zip(&all) {
        let line = format!("  {number} {:<21} {}", one.as_str(), one.description());
        context.out.note_always(&line);
    }
    loop {
        let answer = text(context, "Name or number [failover] ")?;
        if answer.is_empty() {
            return Ok(None);
        }
        let by_number = answer
            .parse::<usize>()
            .ok()
            .and_then(|it| it.checked_sub(1));
        let by_number = by_number.and_then(|at| all.get(at));
        let one = by_number.or_else(|| all.iter().find(|it| it.as_str() == answer));
        match one {
            Some(one) => return Ok(Some((one.as_str(), one.description()))),
            None => context.out.note_always("That is none of them."),
        }
    }
}

/// Asks for a line. The end of input ends it all: nothing is written.
fn text(context: &mut Context, question: &str) -> Result<String, Failure> {
    let answer = ask::text(context, question, FLAG)?;
    let answer = answer.map(|it| it.trim().to_owned());
    answer.ok_or_else(|| Failure::new(Exit::Failed, "declined", "nothing was written"))
}
