//! TOML into a [`Node`], by the `toml` crate's spanned document.
//!
//! In: text. Out: a tree with byte spans. Keys come sorted, not in the order of the file; faults
//! are sorted by position later, so nobody sees the difference.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, Kind, Node, SyntaxFault};

pub(super) fn read(text: &str) -> Result<Node, SyntaxFault> {
    match DeTable::parse(text) {
        Ok(root) => Ok(Node {
            kind: table(root.into_inner()),
            span: 0..0,
            origin: 0..0,
        }),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &toml::de::Error) -> SyntaxFault {
    let message = error.message();
    let (code, help) = match message {
        text if text.contains("duplicate key") => ("config::duplicate_key", "keep one of the two"),
        text if text.contains("recursion limit") => (
            "config::too_complex",
            "a configuration has at most 32 levels and 20000 values",
        ),
        _ => (
            "config::syntax",
            "check quotes, brackets and `=` on this line and the one above",
        ),
    };
    let message = format!(
        "not valid TOML: {}",
        message.lines().next().unwrap_or_default()
    );
    let at = error.span().map_or(0, |span| span.start);
    SyntaxFault {
        code,
        message,
        at,
        help: help.to_owned(),
    }
}

fn table(entries: DeTable<'_>) -> Kind {
    let entry = |(key, value): (Spanned<toml::de::DeString<'_>>, Spanned<DeValue<'_>>)| {
        let span = key.span();
        let name = key.into_inner().into_owned();
        (Key { name, span }, place(value))
    };
    Kind::Map(entries.into_iter().map(entry).collect())
}

fn place(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            // A number too large for 128 bits is out of every range anyway.
            Kind::Integer(parsed.unwrap_or(i128::MAX))
        }
        DeValue::Float(_) => Kind::Float,
        DeValue::Boolean(value) => Kind::Bool(value),
        DeValue::Datetime(_) => Kind::Date,
        DeValue::Array(items) => Kind::List(items.into_iter().map(place).collect()),
        DeValue::Table(entries) => table(entries),
    };
    Node {
        kind,
        origin: span.clone(),
        span,
    }
}
