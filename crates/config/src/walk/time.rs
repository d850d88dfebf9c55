//! Spans of time with a unit, as older files write them.
//!
//! In: a text such as `5s`, `1m30s` or `1500`. Out: milliseconds. It must never round: what is no
//! whole number of milliseconds is no span.

/// Units and their milliseconds, the longer name before the one that ends like it.
const UNITS: [(&str, i128); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// Returns the milliseconds that a text stands for; without a unit it counts them.
pub(super) fn millis(text: &str) -> Option<i128> {
    let mut rest = text.trim();
    if let Ok(number) = rest.parse::<u64>() {
        return Some(i128::from(number));
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at_checked(end)?;
        let (unit, scale) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        // A u64 of hours fits into an i128 of milliseconds many times over.
        let part = i128::from(digits.parse::<u64>().ok()?).checked_mul(*scale)?;
        total = total.checked_add(part)?;
        rest = after.strip_prefix(unit)?;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn a_span_is_a_sum_of_units() {
        let table = [
            ("5000", Some(5000)),
            ("0", Some(0)),
            ("5s", Some(5000)),
            ("250ms", Some(250)),
            (" 1m30s ", Some(90_000)),
            ("2h", Some(7_200_000)),
            ("", None),
            ("s", None),
            ("5", Some(5)),
            ("5 s", None),
            ("1.5s", None),
            ("-5s", None),
            ("5d", None),
            ("5s5", None),
            ("99999999999999999999s", None),
        ];
        for (text, want) in table {
            assert_eq!(millis(text), want, "{text:?}");
        }
    }
}
