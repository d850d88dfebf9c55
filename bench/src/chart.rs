//! The chart docs/assets/performance.svg: bars beside each other, one group a metric.
//!
//! A sheet comes in; SVG text goes out, readable on light and dark pages. Bars of one group are
//! scaled to the largest of the group: groups have different units.
use std::fmt::Write as _;

use crate::{
    report::number,
    sheet::{Metric, Sheet},
    subject::Kind,
};

const CHARTED: [Metric; 6] = [
    Metric::CpuSmall,
    Metric::CpuLarge,
    Metric::AddedLarge,
    Metric::EventP50,
    Metric::CpuEvent,
    Metric::IdleStream,
];
const BAR: f64 = 14.0;
const LEFT: f64 = 200.0;
const WIDTH: f64 = 380.0;

/// Returns the chart.
pub(crate) fn svg(sheet: &Sheet, kinds: &[Kind]) -> String {
    let (mut marks, mut y) = (String::new(), 24.0);
    for metric in CHARTED {
        let bars: Vec<(Kind, f64)> = kinds
            .iter()
            .filter(|kind| **kind != Kind::Direct)
            .filter_map(|kind| {
                sheet
                    .get(metric, *kind)
                    .map(|value| (*kind, value.max(0.0)))
            })
            .collect();
        let largest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        if largest <= 0.0 {
            continue;
        }
        put(
            &mut marks,
            format_args!(
                "<text class=\"t\" x=\"8\" y=\"{y}\">{}</text>\n",
                metric.title()
            ),
        );
        y += 8.0;
        for (kind, value) in bars {
            let (width, middle) = (value / largest * WIDTH, y + BAR - 3.0);
            let class = if kind == Kind::Relay { "r" } else { "o" };
            put(
                &mut marks,
                format_args!(
                    "<text x=\"{:.0}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
                     <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" \
                     height=\"{BAR}\" rx=\"2\"/><text x=\"{:.1}\" y=\"{middle}\">{}</text>\n",
                    LEFT - 8.0,
                    kind.name(),
                    LEFT + width + 6.0,
                    number(value)
                ),
            );
            y += BAR + 4.0;
        }
        y += 26.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 660 {y}\" role=\"img\" \
         aria-label=\"cc-relay beside nginx and a bare hyper proxy; shorter is better\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#57606a}}.t{{font-weight:600;fill:#24292f}}\
         .o{{fill:#8c959f}}.r{{fill:#d97757}}@media(prefers-color-scheme:dark){{text{{fill:#9198a1}}\
         .t{{fill:#f0f6fc}}}}</style>\n{marks}</svg>\n"
    )
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_scaled_within_their_group() {
        let mut sheet = Sheet::default();
        sheet.set(Metric::CpuSmall, Kind::Relay, 10.0);
        sheet.set(Metric::CpuSmall, Kind::Nginx, 20.0);
        let text = svg(&sheet, &[Kind::Direct, Kind::Nginx, Kind::Relay]);
        assert!(
            text.contains("width=\"380.0\"") && text.contains("width=\"190.0\""),
            "{text}"
        );
        assert_eq!(text.matches("<rect").count(), 2);
    }
}
