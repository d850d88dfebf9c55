//! In which order a list is shown.
//!
//! The first order of each list is that in which its rows come. Another one is brought up to date at
//! most every two seconds, so that rows can be read; what came since stands last.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use relay_api::v1;

use super::lists::{key_name, row_of};
use super::{Place, RESORT, State};

/// How many lists there are.
pub(super) const LISTS: usize = 4;

/// Lists that can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Providers,
    Requests,
    Sessions,
    Keys,
}

impl List {
    const ALL: [Self; LISTS] = [Self::Providers, Self::Requests, Self::Sessions, Self::Keys];

    const fn index(self) -> usize {
        match self {
            Self::Providers => 0,
            Self::Requests => 1,
            Self::Sessions => 2,
            Self::Keys => 3,
        }
    }

    /// What it can be sorted by; the first is the order in which rows come.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Providers => &["file", "rate", "errors", "TTFE", "cost", "name"],
            Self::Requests => &["time", "total", "TTFE", "cost", "tokens", "status", "model"],
            Self::Sessions => &["last use", "cost", "requests", "cache", "age", "name"],
            Self::Keys => &["name", "use", "wait"],
        }
    }

    const fn of(place: Place) -> Option<Self> {
        match place {
            Place::Providers => Some(Self::Providers),
            Place::Recent | Place::Requests | Place::Request => Some(Self::Requests),
            Place::Sessions => Some(Self::Sessions),
            Place::Keys => Some(Self::Keys),
            Place::Events | Place::Config | Place::Reader => None,
        }
    }
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sort {
    column: usize,
    reversed: bool,
}

/// The order of a list's rows, and when it was made.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    places: HashMap<String, usize>,
    at: Duration,
}

/// What a row is compared by: the largest number first, the first letter first, unknown last.
enum Rank {
    Number(Option<u64>),
    Rate(f64),
    Text(String),
}

impl Rank {
    fn compare(&self, other: &Self, reversed: bool) -> Ordering {
        let turned = |order: Ordering| if reversed { order.reverse() } else { order };
        match (self, other) {
            (Self::Number(Some(one)), Self::Number(Some(two))) => turned(two.cmp(one)),
            (Self::Number(one), Self::Number(two)) => two.is_some().cmp(&one.is_some()),
            (Self::Rate(one), Self::Rate(two)) => turned(two.total_cmp(one)),
            (Self::Text(one), Self::Text(two)) => turned(one.cmp(two)),
            // A column has one kind.
            (Self::Number(_) | Self::Rate(_) | Self::Text(_), _) => Ordering::Equal,
        }
    }
}

impl State {
    fn sort_of(&self, list: List) -> Sort {
        self.sorts.get(list.index()).copied().unwrap_or_default()
    }

    /// Tells whether a list is in another order than that in which its rows come.
    pub(crate) fn is_sorted(&self, list: List) -> bool {
        let sort = self.sort_of(list);
        sort.column > 0 || sort.reversed
    }

    /// Says what a list is sorted by.
    pub(crate) fn order_of(&self, list: List) -> String {
        let sort = self.sort_of(list);
        let column = list.columns().get(sort.column).copied().unwrap_or_default();
        let reversed = if sort.reversed { ", reversed" } else { "" };
        format!("by {column}{reversed}")
    }

    /// Sorts the list by its next column, or the other way around.
    pub(super) fn sort(&mut self, turn: bool) {
        let Some(list) = List::of(self.location()) else {
            return;
        };
        // What is meant is the row that is selected, also if none was chosen.
        self.selected = self.row();
        if let Some(sort) = self.sorts.get_mut(list.index()) {
            if turn {
                sort.reversed = !sort.reversed;
            } else {
                let next = sort.column.saturating_add(1);
                sort.column = if next < list.columns().len() { next } else { 0 };
                sort.reversed = false;
            }
        }
        self.arrange(list);
    }

    /// Brings the lists into their order, where that is due.
    pub(super) fn settle(&mut self) {
        for list in List::ALL {
            let order = self.orders.get(list.index());
            let at = order.map_or(Duration::ZERO, |order| order.at);
            let is_sorted = self.sort_of(list).column > 0;
            if is_sorted && self.now.saturating_sub(at) >= RESORT {
                self.arrange(list);
            }
        }
    }

    fn arrange(&mut self, list: List) {
        let sort = self.sort_of(list);
        let mut rows = self.ranks(list, sort.column);
        rows.sort_by(|one, two| one.0.compare(&two.0, sort.reversed));
        let names = rows.into_iter().map(|(_, name)| name);
        if let Some(order) = self.orders.get_mut(list.index()) {
            order.places = names.zip(0..).collect();
            order.at = self.now;
        }
    }

    /// Puts rows into their list's order.
    pub(super) fn in_order<T>(
        &self,
        list: List,
        mut rows: Vec<T>,
        name: impl Fn(&T) -> String,
    ) -> Vec<T> {
        let sort = self.sort_of(list);
        if sort.column == 0 {
            if sort.reversed {
                rows.reverse();
            }
            return rows;
        }
        if let Some(order) = self.orders.get(list.index()) {
            rows.sort_by_cached_key(|row| {
                order.places.get(&name(row)).copied().unwrap_or(usize::MAX)
            });
        }
        rows
    }

    fn ranks(&self, list: List, column: usize) -> Vec<(Rank, String)> {
        match list {
            List::Providers => {
                let providers = self.stats.iter().flat_map(|stats| &stats.providers);
                providers.map(|it| provider(it, column)).collect()
            }
            List::Requests => {
                let requests = self.requests.iter();
                requests
                    .map(|it| (request(it, column), row_of(it)))
                    .collect()
            }
            List::Sessions => {
                let sessions = self.sessions.iter();
                sessions
                    .map(|it| (session(it, column), it.id.clone()))
                    .collect()
            }
            List::Keys => {
                let keys = self.stats.iter().flat_map(|stats| &stats.keys);
                keys.map(|it| (key(it, column), key_name(it))).collect()
            }
        }
    }
}

fn provider(stats: &v1::ProviderStats, column: usize) -> (Rank, String) {
    let name = stats.provider.as_ref().map_or("", |it| it.name.as_str());
    let traffic = stats.traffic.clone().unwrap_or_default();
    let rank = match column {
        1 => Rank::Rate(traffic.requests_per_minute),
        2 => Rank::Number(
            traffic
                .errors
                .saturating_mul(1_000)
                .checked_div(traffic.requests),
        ),
        3 => Rank::Number(traffic.time_to_first_event.and_then(|it| it.p95_us)),
        4 => Rank::Number(Some(traffic.cost_nano_usd)),
        _ => Rank::Text(name.to_owned()),
    };
    (rank, name.to_owned())
}

fn request(it: &v1::Request, column: usize) -> Rank {
    let tokens = it.tokens.unwrap_or_default();
    let tokens = [
        tokens.input,
        tokens.cache_read,
        tokens.cache_write,
        tokens.output,
    ];
    let tokens = tokens.into_iter().flatten().reduce(u64::saturating_add);
    match column {
        1 => Rank::Number(Some(it.duration_us)),
        2 => Rank::Number(it.time_to_first_event_us),
        3 => Rank::Number(it.cost_nano_usd),
        4 => Rank::Number(tokens),
        5 => Rank::Number(it.status.map(u64::from)),
        _ => Rank::Text(it.model.clone()),
    }
}

fn session(it: &v1::Session, column: usize) -> Rank {
    let sums = it.sums.unwrap_or_default();
    let input = [sums.input, sums.cache_read, sums.cache_write];
    let input = input.into_iter().fold(0, u64::saturating_add);
    match column {
        1 => Rank::Number(Some(sums.cost_nano_usd)),
        2 => Rank::Number(Some(sums.requests)),
        3 => Rank::Number(sums.cache_read.saturating_mul(1_000).checked_div(input)),
        // The oldest first.
        4 => Rank::Number(u64::MAX.checked_sub(it.first_unix_ms)),
        _ => Rank::Text(it.id.clone()),
    }
}

fn key(it: &v1::Key, column: usize) -> Rank {
    match column {
        1 => Rank::Number(Some(100_u64.saturating_sub(it.capacity_percent.into()))),
        _ => Rank::Number(it.cools_for_ms),
    }
}
