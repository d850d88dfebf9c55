//! A list of prices of the user's own.
//!
//! In: its file's name. Out: the same, once its prices were read. A list that cannot be read is a
//! fault: what somebody pays would be wrong in silence.

use std::path::PathBuf;

use relay_core::error::chain;
use relay_core::price::Prices;

use super::Check;
use crate::raw;

impl Check<'_, '_> {
    pub(super) fn price_file(&mut self, raw: raw::PriceList) -> Option<PathBuf> {
        let path = self.file(raw.list, "prices.list")?;
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let read = read.and_then(|text| Prices::read(&text).map_err(|error| chain(&error)));
        if let Err(why) = read {
            let help = "cc-relay prices --json prints one that can be read";
            let message = format!("the list of prices cannot be read: {why}");
            self.fault(
                "prices.list",
                "config::bad_value",
                message,
                "no price list",
                help,
            );
            return None;
        }
        Some(path)
    }
}
