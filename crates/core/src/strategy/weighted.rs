//! In turn by weight, evenly spread: the smooth weighted round robin of nginx
//! (<https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1>).

use std::cmp::Reverse;

use parking_lot::Mutex;

use super::{Contender, Strategy};
use crate::snapshot::TargetId;

/// At each turn everybody gains its weight; whoever has most goes first and pays the sum.
#[derive(Debug, Default)]
pub(super) struct Weighted(Mutex<Vec<(TargetId, i64)>>);

impl Strategy for Weighted {
    fn order(&self, _asked: Option<&str>, contenders: &mut [Contender<'_>], _seed: u64) {
        let mut balances = self.0.lock();
        for contender in contenders.iter() {
            let weight = i64::from(contender.weight);
            match balances.iter_mut().find(|(id, _)| id == contender.id) {
                Some((_, balance)) => *balance = balance.saturating_add(weight),
                None => balances.push((contender.id.clone(), weight)),
            }
        }
        let balance = |id: &TargetId| {
            let found = balances.iter().find(|(other, _)| other == id);
            found.map_or(0, |(_, balance)| *balance)
        };
        // A stable sort: of equals the first in the config file.
        contenders.sort_by_key(|contender| Reverse(balance(contender.id)));
        let sum: i64 = contenders.iter().map(|it| i64::from(it.weight)).sum();
        if let Some(first) = contenders.first()
            && let Some((_, balance)) = balances.iter_mut().find(|(id, _)| id == first.id)
        {
            *balance = balance.saturating_sub(sum);
        }
    }
}
