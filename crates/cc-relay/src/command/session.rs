//! `session`: what one session used, agent by agent.
//!
//! In: the history, and how a session's name begins. Out: its agents as a tree, each below the one
//! that started it, with what they used and what it cost; the whole of it first.

use std::path::PathBuf;

use clap::Args;
use relay_store::{AgentSums, Sums, session};
use serde_json::json;

use crate::command::completions::names;
use crate::command::{Context, requests, usage};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log::readable;
use crate::output::{STRONG, paint};

/// The end of the help.
pub const EXAMPLES: &str = "\
Examples:
  cc-relay session 4f1c9a
  cc-relay session 4f1c9a --json | jq '.data.agents[].cost'

The history has it: cc-relay serve --history keeps one.";

/// Agents deeper than that stand as deep: no tree of a client's making is drawn without end.
const DEEPEST: usize = 16;

/// Flags of `session`.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// Its name, or how that begins
    #[arg(value_name = "ID", add = names::session())]
    pub name: String,
    /// The history's file [default: the one in the configuration, or ~/.local/state/cc-relay/relay.db]
    #[arg(long, value_name = "FILE", env = "CC_RELAY_HISTORY", hide_env = true)]
    pub history: Option<PathBuf>,
}

/// Prints what a session used.
///
/// # Errors
/// Exit 1 when no session of that name is kept, or several are.
pub fn run(context: &mut Context, arguments: &SessionArgs) -> Result<Exit, Failure> {
    let path = requests::history(context, arguments.history.as_deref())?;
    let agents = session(&path, &arguments.name);
    let agents = agents.map_err(|error| requests::unreadable(path.display(), &error))?;
    let name = readable(&arguments.name);
    let Some(first) = agents.first() else {
        let message = format!("no session {name} is kept");
        return Err(Failure::new(Exit::Failed, "no_session", message)
            .help("cc-relay usage --by session lists them"));
    };
    if agents.iter().any(|agent| agent.session != first.session) {
        let message = format!("the names of several sessions begin with {name}");
        return Err(Failure::new(Exit::Failed, "ambiguous", message).help("give more of the name"));
    }
    let mut whole = Sums::default();
    for agent in &agents {
        whole.add(&agent.sums);
    }
    if context.out.is_json() {
        let data = json!({ "session": first.session, "sums": whole, "agents": agents });
        context.out.data(data, &[])?;
        return Ok(Exit::Done);
    }
    let title = paint(STRONG, &readable(&first.session));
    context.out.line(&format!("{title}  {}", said(&whole)))?;
    let lines = tree(&agents, context.env.ascii_only());
    let width = lines.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (name, sums) in lines {
        context
            .out
            .line(&format!("{name:width$}  {}", said(sums)))?;
    }
    Ok(Exit::Done)
}

/// Returns a line for each agent, below the one that started it. One whose parent is not there, or
/// that would be its own, stands below the main conversation.
fn tree(agents: &[AgentSums], ascii: bool) -> Vec<(String, &Sums)> {
    let mut lines = Vec::new();
    let mut drawn = vec![false; agents.len()];
    let known = |name: &str| agents.iter().any(|agent| agent.sums.name == name);
    let is_top = |agent: &AgentSums| {
        agent.parent.is_empty() || !known(&agent.parent) || agent.parent == agent.sums.name
    };
    for (agent, drawn) in agents.iter().zip(&mut drawn) {
        if agent.sums.name.is_empty() {
            *drawn = true;
            lines.push(("main".to_owned(), &agent.sums));
        }
    }
    let tops: Vec<usize> = (0..agents.len())
        .filter(|at| agents.get(*at).is_some_and(is_top))
        .collect();
    let mut open: Vec<(usize, usize)> = tops.into_iter().rev().map(|at| (at, 1)).collect();
    loop {
        // Whoever stands in a circle is drawn last.
        let next = open
            .pop()
            .or_else(|| Some((drawn.iter().position(|drawn| !drawn)?, 1)));
        let Some((at, depth)) = next else {
            return lines;
        };
        let (Some(agent), Some(slot)) = (agents.get(at), drawn.get_mut(at)) else {
            return lines;
        };
        if std::mem::replace(slot, true) {
            continue;
        }
        let branch = if ascii { "`- " } else { "└─ " };
        let indent = "   ".repeat(depth.min(DEEPEST).saturating_sub(1));
        let name = format!("{indent}{branch}{}", readable(&agent.sums.name));
        lines.push((name, &agent.sums));
        let children = (0..agents.len()).rev().filter(|child| {
            let child = agents.get(*child);
            child.is_some_and(|child| child.parent == agent.sums.name && !is_top(child))
        });
        open.extend(children.map(|child| (child, depth.saturating_add(1))));
    }
}

fn said(sums: &Sums) -> String {
    let share = requests::cache_share(sums.input, sums.cache_read, sums.cache_write);
    let mut parts = vec![usage::requests(sums.requests), usage::cost_words(sums)];
    parts.extend(share.map(|share| format!("cache={share}%")));
    parts.push(format!("out={}", sums.output));
    if sums.failed > 0 {
        parts.push(format!("failed={}", sums.failed));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, parent: &str) -> AgentSums {
        AgentSums {
            session: "s".to_owned(),
            parent: parent.to_owned(),
            sums: Sums {
                name: name.to_owned(),
                ..Sums::default()
            },
        }
    }

    #[test]
    fn each_agent_stands_once_below_who_started_it() {
        let agents = [
            agent("a", ""),
            agent("", ""),
            agent("b", "a"),
            agent("c", "b"),
            agent("d", "a"),
            agent("lost", "nobody"),
            agent("own", "own"),
            agent("x", "y"),
            agent("y", "x"),
        ];
        let lines: Vec<String> = tree(&agents, true).into_iter().map(|line| line.0).collect();
        let want = [
            "main",
            "`- a",
            "   `- b",
            "      `- c",
            "   `- d",
            "`- lost",
            "`- own",
            "`- x",
            "   `- y",
        ];
        assert_eq!(lines, want);
    }
}
