//! The tables: on the terminal, and between the markers of docs/economics.md.
//!
//! In: the tallies of each way's days. Out: Markdown. Must never touch a line outside the markers,
//! nor print a price that is not known as a number.
use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use relay_core::{keys::Selection, price::Prices};

use super::{
    day::Kind,
    relay::{Setup, Shape},
    tally::{Sum, Tally},
    world::MODEL,
};

const BEGIN: &str = "<!-- economics:begin -->";
const END: &str = "<!-- economics:end -->";

const HEAD: &str = "\
| keys | way | affinity | $ a day | × ideal | cache read | to ideal | hottest, limits | hottest, all | 429 seen | other errors seen | lost | moves | their price | wait p50 | p95 | p99 |
|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// How far a way may be from the ideal.
const MOST_DOLLARS: f64 = 1.03;
const MOST_HEAT: f64 = 1.25;
const MOST_POINTS: f64 = 1.0;

/// The tables as they grow.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    goals: String,
    kind: &'static str,
    ideal: Option<Sum>,
}

fn name(setup: &Setup) -> String {
    let name = match setup.shape {
        Shape::Pool(Selection::Placed) => "pool, `placed`",
        Shape::Pool(Selection::LeastLoaded) => "pool, `least_loaded`",
        Shape::Pool(Selection::Weighted) => "pool, `weighted`",
        Shape::Pool(Selection::RoundRobin) => "pool, `round_robin`",
        Shape::Pool(Selection::Random) => "pool, `random`",
        Shape::Upstreams(kind) => return format!("upstreams, `{}`", kind.name()),
    };
    let patient = if setup.max_wait.is_zero() {
        ""
    } else {
        ", `max_wait_ms: 20000`"
    };
    format!("{name}{patient}")
}

impl Page {
    /// Starts with the date of the prices.
    pub(crate) fn new() -> Result<Self> {
        let prices = Prices::built_in()?;
        let (as_of, source) = (prices.as_of(), prices.source());
        Ok(Self {
            text: format!("Prices: {MODEL}, as of {as_of}; {source}.\n"),
            goals: String::from("\n| goal | with | reached | |\n|---|---|--:|---|\n"),
            kind: "",
            ideal: None,
        })
    }

    /// Begins the table of one kind of day.
    pub(crate) fn begin(&mut self, kind: Kind) {
        self.kind = kind.name;
        self.ideal = None;
        self.line(format_args!("\n### {}\n\n{HEAD}", kind.name));
    }

    /// Adds a way.
    pub(crate) fn row(&mut self, setup: &Setup, is_limited: bool, days: &[Tally]) {
        let sum = Sum::of(days);
        let ideal = self.ideal.get_or_insert_with(|| sum.clone()).clone();
        let (keys, way) = if is_limited {
            (setup.keys.to_string(), name(setup))
        } else {
            ("1".to_owned(), "ideal: no limits, no outage".to_owned())
        };
        let times = sum.times(&ideal);
        let [p50, p95, p99] = sum.waits;
        let points = sum.read_share - ideal.read_share;
        let affinity = if setup.affinity { "yes" } else { "no" };
        let dollars =
            |money: Option<f64>| money.map_or("unknown".to_owned(), |it| format!("{it:.2}"));
        let ratio = |times: Option<f64>| times.map_or("–".to_owned(), |it| format!("{it:.3}"));
        self.line(format_args!(
            "| {keys} | {way} | {affinity} | {} | {} | {:.2} % | {points:+.2} | {:.2} | {:.2} | {} | {} | {} | {} | {} | {:.1} s | {:.1} s | {:.1} s |\n",
            dollars(sum.dollars),
            ratio(times),
            sum.read_share,
            sum.hottest_counted,
            sum.hottest_carried,
            sum.limited,
            sum.failed,
            sum.lost,
            sum.moves,
            dollars(sum.moved),
            p50.as_secs_f64(),
            p95.as_secs_f64(),
            p99.as_secs_f64(),
        ));
        let is_default = setup.shape == Shape::Pool(Selection::Placed) && setup.max_wait.is_zero();
        if is_default && is_limited && setup.keys == super::KEYS {
            self.judge(&sum, times, -points);
        }
    }

    fn judge(&mut self, sum: &Sum, times: Option<f64>, points: f64) {
        let rows = [
            (
                "dollars ≤ 1.03 × ideal",
                times.unwrap_or(f64::MAX),
                MOST_DOLLARS,
            ),
            (
                "hottest key ≤ 1.25 × mean (limits)",
                sum.hottest_counted,
                MOST_HEAT,
            ),
            (
                "hottest key ≤ 1.25 × mean (all tokens)",
                sum.hottest_carried,
                MOST_HEAT,
            ),
            (
                "cache-read share within 1 point of ideal",
                points,
                MOST_POINTS,
            ),
        ];
        let kind = self.kind;
        for (goal, reached, most) in rows {
            let mark = mark(reached <= most);
            line(
                &mut self.goals,
                format_args!("| {goal} | {kind} | {reached:.3} | {mark} |\n"),
            );
        }
        let (lost, mark) = (sum.lost, mark(sum.lost == 0));
        line(
            &mut self.goals,
            format_args!("| nothing lost | {kind} | {lost} | {mark} |\n"),
        );
    }

    /// Returns the goals, and the tables.
    pub(crate) fn text(&self) -> String {
        let (head, tables) = self.text.split_once('\n').unwrap_or((&self.text, ""));
        format!("{head}\n{}{tables}", self.goals)
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        line(&mut self.text, text);
    }
}

fn mark(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

fn line(into: &mut String, text: std::fmt::Arguments<'_>) {
    into.push_str(&text.to_string());
}

/// Puts the tables between the markers of a page.
pub(crate) fn write(path: &Path, tables: &str) -> Result<()> {
    let page = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("{} has no line {BEGIN}", path.display()))?;
    let (_, behind) = rest
        .split_once(END)
        .with_context(|| format!("{} has no line {END}", path.display()))?;
    let page = format!("{before}{BEGIN}\n{tables}{END}{behind}");
    fs::write(path, page).with_context(|| format!("writing {}", path.display()))
}
