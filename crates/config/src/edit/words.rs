//! Settings as lines of a file.

use super::NewKey;

pub(super) fn fields(key: &NewKey) -> Vec<(&'static str, String)> {
    let mut fields = vec![("key", quoted(&key.value)), ("name", quoted(&key.name))];
    if key.weight > 1 {
        fields.push(("weight", key.weight.to_string()));
    }
    if key.priority != 0 {
        fields.push(("priority", key.priority.to_string()));
    }
    let limits = [
        ("rpm_limit", key.limits.rpm),
        ("tpm_limit", key.limits.tpm),
        ("itpm_limit", key.limits.itpm),
        ("otpm_limit", key.limits.otpm),
    ];
    fields.extend(
        limits
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.to_string()))),
    );
    fields
}

/// Writes a text so that both languages read it as one.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn block(names: &[&str], value: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for (index, name) in names.iter().enumerate() {
        let is_last = index.saturating_add(1) == names.len();
        let value = if is_last {
            format!(" {value}")
        } else {
            String::new()
        };
        lines.extend([" ".repeat(column).as_str(), name, ":", &value, "\n"]);
        column = column.saturating_add(2);
    }
    lines
}
