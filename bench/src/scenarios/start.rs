//! Cold start: from exec to the first 200 on /livez, several times for each subject, in turn.
//!
//! A plan comes in; the median in milliseconds goes out. The program file is in the page cache:
//! a first start after boot also reads the disk.
use std::collections::BTreeMap;

use anyhow::Result;

use super::Plan;
use crate::{
    sheet::{Metric, Sheet, median},
    subject::Kind,
};

/// Starts and stops every proxy of the plan.
pub(crate) fn run(plan: &Plan) -> Result<Sheet> {
    let mut times: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
    for _ in 0..plan.starts {
        for kind in plan.proxies() {
            let subject = plan.launcher.start(kind)?;
            times
                .entry(kind)
                .or_default()
                .push(subject.cold_start.as_secs_f64() * 1000.0);
        }
    }
    let mut sheet = Sheet::default();
    for (kind, times) in times {
        sheet.set(Metric::ColdStart, kind, median(times));
    }
    Ok(sheet)
}
