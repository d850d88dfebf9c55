//! Which keys of a large pool are worth a look: what keeps a choice short where nearly all are spent.
//!
//! In: until when a key surely cannot serve a request of some size. Out: the next key that might,
//! and the soonest that will. It must never pass over a key that may serve: whoever may serve
//! sooner than was thought is told so ([`Field::wake`]), and is then looked at again.
//!
//! Keys of one account stand side by side, and in it those of one workspace. What is known stands
//! in two [`Tree`]s for each [`Grade`] of requests: one over the keys, one over the stretches that
//! they form, so that spent accounts are passed over as a whole, however many there are.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::key::Key;
use super::tree::{Size, Tree};
use super::{Ask, ModelClass};

/// Pools of more keys have a field; in a smaller one every key is looked at as soon.
pub(super) const LARGE: usize = 64;

/// Accounts of more keys are a stretch of their own, and are judged once for all of them; the limits
/// of a smaller one are part of what is known of each of its keys.
const LARGE_ACCOUNT: usize = 8;

/// Grades that are remembered.
const MOST_GRADES: usize = 32;

/// Keys that may stand apart because their account or workspace turned out to be another: each is
/// looked at every time. Beyond, all are laid out anew.
const MOST_ASTRAY: usize = 64;

/// What a request needs of the keys of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) size: Size,
    grade: Grade,
}

/// Requests that are alike: what is known for one is of use to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grade {
    class: ModelClass,
    /// Whether keys that were refused count too.
    anyway: bool,
    /// Powers of two, rounded down; `None` for nothing.
    input: Option<u32>,
    output: Option<u32>,
}

impl Query {
    /// Returns what a request needs of keys that have its prefix cached, or have not.
    pub(super) fn of(ask: &Ask<'_>, cached: bool) -> Self {
        let cached = if cached { ask.cached_tokens } else { 0 };
        let size = Size {
            input: ask.input_tokens.saturating_sub(cached),
            output: ask.output_tokens,
        };
        Self {
            size,
            grade: Grade {
                class: ask.class,
                anyway: ask.anyway,
                input: size.input.checked_ilog2(),
                output: size.output.checked_ilog2(),
            },
        }
    }

    pub(super) fn class(&self) -> ModelClass {
        self.grade.class
    }

    pub(super) fn anyway(&self) -> bool {
        self.grade.anyway
    }
}

/// Whose a key is: the number of its account, and its workspace.
pub(super) type Owner = (usize, Option<Arc<str>>);

/// Which keys count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Among<'a> {
    All,
    Account(usize),
    Workspace(&'a Owner),
}

impl Among<'_> {
    pub(super) fn includes(&self, key: &Key) -> bool {
        match *self {
            Self::All => true,
            Self::Account(account) => key.account == account,
            Self::Workspace((account, workspace)) => {
                key.account == *account && key.workspace == *workspace
            }
        }
    }
}

/// Keys that are judged as one.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    /// Their positions.
    pub(super) keys: Range<usize>,
    /// Their account; `None` for those of small ones.
    pub(super) account: Option<usize>,
}

/// What is known for one grade.
#[derive(Debug)]
pub(super) struct Known {
    grade: Grade,
    /// By position.
    pub(super) keys: Tree,
    /// By number.
    pub(super) stretches: Tree,
}

/// The keys of one priority, side by side by account, with what is known of when they can serve.
#[derive(Debug)]
pub(super) struct Field {
    /// The place in the pool of each key.
    keys: Vec<usize>,
    positions: HashMap<usize, usize>,
    /// By position.
    stretches: Vec<Stretch>,
    accounts: HashMap<usize, Range<usize>>,
    workspaces: HashMap<Owner, Range<usize>>,
    /// Used last at the end.
    known: Vec<Known>,
    /// Places in the pool of keys that do not stand where they belong, and where they stood.
    astray: Vec<(usize, usize)>,
}

impl Field {
    /// Puts keys side by side, given as their place in the pool and whose they are.
    pub(super) fn new(keys: impl Iterator<Item = (usize, Owner)>) -> Self {
        let mut by_account: HashMap<_, Vec<_>> = HashMap::new();
        for (place, (account, workspace)) in keys {
            let group = by_account.entry(account).or_default();
            group.push((workspace, place));
        }
        let mut groups: Vec<_> = by_account.into_iter().collect();
        groups.sort_unstable_by_key(|(account, keys)| (keys.len() > LARGE_ACCOUNT, *account));
        let mut field = Self {
            keys: Vec::new(),
            positions: HashMap::new(),
            stretches: Vec::new(),
            accounts: HashMap::new(),
            workspaces: HashMap::new(),
            known: Vec::new(),
            astray: Vec::new(),
        };
        for (account, mut group) in groups {
            group.sort_unstable();
            let from = field.keys.len();
            for (workspace, place) in group {
                let at = field.keys.len();
                let owner = (account, workspace);
                field.workspaces.entry(owner).or_insert(at..at).end = at.saturating_add(1);
                field.positions.insert(place, at);
                field.keys.push(place);
            }
            field.stand(account, from..field.keys.len());
        }
        field
    }

    /// Makes the keys of an account a stretch, or part of that of all small ones.
    fn stand(&mut self, account: usize, keys: Range<usize>) {
        let account_of = (keys.len() > LARGE_ACCOUNT).then_some(account);
        match self.stretches.first_mut() {
            Some(first) if account_of.is_none() => first.keys.end = keys.end,
            _ => self.stretches.push(Stretch {
                keys: keys.clone(),
                account: account_of,
            }),
        }
        self.accounts.insert(account, keys);
    }

    /// Tells whether so many keys do not stand where they belong that it pays to lay them out anew.
    pub(super) fn is_stale(&self) -> bool {
        self.astray.len() > MOST_ASTRAY
    }

    /// Returns where there is nobody any more: behind the keys, and behind those astray.
    pub(super) fn end(&self) -> usize {
        self.keys.len().saturating_add(self.astray.len())
    }

    /// Returns the place in the pool of the key at a position.
    pub(super) fn place(&self, position: usize) -> Option<usize> {
        let behind = position.checked_sub(self.keys.len());
        match behind {
            Some(behind) => self.astray.get(behind).map(|(place, _)| *place),
            None => self.keys.get(position).copied(),
        }
    }

    /// Returns the position of a key.
    pub(super) fn position(&self, place: usize) -> Option<usize> {
        let known = self.positions.get(&place).copied();
        known.or_else(|| {
            let behind = self.astray.iter().position(|(astray, _)| *astray == place);
            Some(self.keys.len().saturating_add(behind?))
        })
    }

    /// Returns the positions of those that count and stand where they belong.
    pub(super) fn standing(&self, among: Among<'_>) -> Range<usize> {
        let range = match among {
            Among::All => return 0..self.keys.len(),
            Among::Account(account) => self.accounts.get(&account),
            Among::Workspace(owner) => self.workspaces.get(owner),
        };
        range.cloned().unwrap_or(0..0)
    }

    /// Returns the positions of those astray.
    pub(super) fn astray(&self) -> Range<usize> {
        self.keys.len()..self.end()
    }

    /// Returns the number of the stretch that a position is in.
    pub(super) fn stretch_of(&self, position: usize) -> usize {
        let behind = self
            .stretches
            .partition_point(|stretch| stretch.keys.start <= position);
        behind.saturating_sub(1)
    }

    /// Returns a stretch.
    pub(super) fn stretch(&self, number: usize) -> Option<Stretch> {
        self.stretches.get(number).cloned()
    }

    /// Returns the numbers of the stretches that a range of positions touches.
    pub(super) fn stretches_of(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let last = self.stretch_of(range.end.saturating_sub(1));
        self.stretch_of(range.start)..last.saturating_add(1)
    }

    /// Takes out what is known for requests of a grade; it has to be given back.
    pub(super) fn take_known(&mut self, query: &Query) -> Known {
        let at = self.known.iter().rposition(|it| it.grade == query.grade);
        at.map_or_else(
            || {
                let mut keys = Tree::new(self.keys.len());
                for (_, position) in &self.astray {
                    keys.leave(*position);
                }
                Known {
                    grade: query.grade,
                    keys,
                    stretches: Tree::new(self.stretches.len()),
                }
            },
            |at| self.known.remove(at),
        )
    }

    /// Takes back what is known; that which was not used for longest makes room.
    pub(super) fn give_back(&mut self, known: Known) {
        if self.known.len() >= MOST_GRADES {
            self.known.remove(0);
        }
        self.known.push(known);
    }

    /// Notes that a key may serve sooner than was thought.
    pub(super) fn wake(&mut self, place: usize) {
        if let Some(position) = self.positions.get(&place).copied() {
            let stretch = self.stretch_of(position);
            for known in &mut self.known {
                known.keys.forget(position);
                known.stretches.forget(stretch);
            }
        }
    }

    /// Notes that an account may serve sooner than was thought.
    pub(super) fn wake_account(&mut self, account: usize) {
        let range = self.standing(Among::Account(account));
        let stretch = self.stretch_of(range.start);
        let own = self.stretch(stretch).and_then(|it| it.account).is_some();
        for known in &mut self.known {
            if !range.is_empty() {
                known.stretches.forget(stretch);
            }
            // The limits of a large one are not part of what is known of its keys.
            for position in range.clone().take_while(|_| !own) {
                known.keys.forget(position);
            }
        }
    }

    /// Notes that a key belongs elsewhere.
    pub(super) fn lead_astray(&mut self, place: usize) {
        // Enough to lay out anew: which they are does not matter then.
        if self.is_stale() {
            return;
        }
        if let Some(position) = self.positions.remove(&place) {
            self.astray.push((place, position));
            for known in &mut self.known {
                known.keys.leave(position);
            }
        }
    }
}
