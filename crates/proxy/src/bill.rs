//! What a request cost.
//!
//! In: its record at its end, who sold what it used, and the prices. Out: the amounts in the record;
//! what is not known stays `None`.

use relay_core::price::{Day, Prices, Seller};
use relay_core::record::RequestRecord;
use relay_core::request::ModelName;

/// Prices what was used: at the model that answered, or else the one sent, or asked for. Counting
/// tokens and whatever else tells no usage costs nothing that is known here.
pub(crate) fn price(
    record: &mut RequestRecord,
    rewritten: u64,
    (seller, sent): (&Seller, &ModelName),
    prices: &Prices,
) {
    let asked = record.model.as_ref().map(ModelName::as_str);
    // The answer names the model most exactly, where it does.
    let names = [record.response_model.as_deref(), Some(sent.as_str()), asked];
    let day = Day::of(record.started);
    let tariff = |name: &str| prices.of(seller, name, sent.as_str(), day);
    let Some(tariff) = names.into_iter().flatten().find_map(tariff) else {
        return;
    };
    let usage = &record.usage;
    let for_an_hour = usage.cache_write_1h_tokens.is_some_and(|tokens| tokens > 0);
    record.cost = tariff.cost(usage);
    record.saved = tariff.saved(usage);
    record.moved = (rewritten > 0).then(|| tariff.move_cost(rewritten, for_an_hour));
}
