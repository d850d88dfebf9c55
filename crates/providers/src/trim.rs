//! Takes out of a request what an upstream cannot take: a beta and the fields that belong to it,
//! together. A header without its field would be ignored; a field without its header is refused.
//!
//! In: what the upstream takes ([`Takes`]), the request, and what it refused before. Out: edits of
//! the body and the betas that stay. It must never take anything out for Anthropic's own API.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use relay_core::capability::Capability;

use crate::fields::{cut, has, in_order};
use crate::lacks::SYSTEM_MESSAGES;
use crate::roles::system_as_user;
use crate::splice::Edit;

/// Names the features of the API that a request uses beyond the plain one.
pub const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// All betas of a request, where an upstream refuses one without saying which.
pub const ALL_BETAS: &str = "anthropic-beta";

/// What of the Messages API an upstream takes.
#[derive(Debug, Clone, Copy)]
pub struct Takes {
    /// The betas.
    pub betas: Betas,
    /// Paths of fields that it refuses, whatever the betas.
    pub refuses: &'static [&'static str],
}

/// Which betas an upstream takes.
#[derive(Debug, Clone, Copy)]
pub enum Betas {
    /// All, or it does not look: unknown ones pass.
    All,
    /// These, under its own names for them; it refuses the others.
    Only(&'static [(&'static str, &'static str)]),
    /// All but these.
    Except(&'static [&'static str]),
}

impl Takes {
    /// Everything, as Anthropic's own API.
    pub const ALL: Self = Self {
        betas: Betas::All,
        refuses: &[],
    };

    /// Tells whether nothing is ever taken out.
    pub const fn is_all(&self) -> bool {
        matches!(self.betas, Betas::All) && self.refuses.is_empty()
    }
}

/// What is left of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// What goes from the body.
    pub edits: Vec<Edit>,
    /// The betas that stay, in their order, none twice.
    pub betas: Vec<Box<str>>,
    /// What was taken out, by name.
    pub removed: Vec<Capability>,
}

/// Fields that mean something only with a beta. Without the beta they are refused as extra inputs.
/// Names: Anthropic's beta-headers page and the pages of the features (read 2026-11-22).
const FIELDS_OF: [(&str, &[&str]); 18] = [
    ("context-management-2025-06-27", &["context_management"]),
    ("effort-2025-11-24", &["output_config.effort"]),
    (
        "structured-outputs-2025-11-13",
        &["output_format", "output_config.format", "tools[].strict"],
    ),
    (
        "structured-outputs-2025-12-15",
        &["output_format", "output_config.format", "tools[].strict"],
    ),
    (
        "advanced-tool-use-2025-11-20",
        &[
            "tools[].defer_loading",
            "tools[].allowed_callers",
            "tools[].input_examples",
        ],
    ),
    ("tool-search-tool-2025-10-19", &["tools[].defer_loading"]),
    ("tool-examples-2025-10-29", &["tools[].input_examples"]),
    ("mcp-client-2025-04-04", &["mcp_servers"]),
    ("mcp-client-2025-11-20", &["mcp_servers"]),
    ("mcp-servers-2025-12-04", &["mcp_servers"]),
    ("fast-mode-2026-02-01", &["speed"]),
    (
        "fine-grained-tool-streaming-2025-05-14",
        &["tools[].eager_input_streaming"],
    ),
    ("code-execution-2025-08-25", &["container"]),
    ("skills-2025-10-02", &["container"]),
    ("thinking-display-updates-2026-08-18", &["thinking.display"]),
    (
        "thinking-binding-controls-2026-08-01",
        &["thinking.block_binding"],
    ),
    ("dangerous-tool-use-2026-09-03", &["safeguards"]),
    ("prompt-caching-scope-2026-01-05", CACHE_SCOPE),
];

/// Where `cache_control.scope` can stand.
pub const CACHE_SCOPE: &[&str] = &[
    "cache_control.scope",
    "system[].cache_control.scope",
    "tools[].cache_control.scope",
    "messages[].content[].cache_control.scope",
    "messages[].content[].content[].cache_control.scope",
];

/// Returns the paths that go with a capability: those of its beta, or the field itself.
fn paths_of(name: &str) -> Vec<&str> {
    let of_beta = FIELDS_OF.iter().find(|(beta, _)| *beta == name);
    match of_beta {
        Some((_, paths)) => paths.to_vec(),
        None if name.contains("cache_control.scope") => CACHE_SCOPE.to_vec(),
        None => vec![name],
    }
}

/// Returns the betas that go with a field.
fn betas_of(name: &str) -> impl Iterator<Item = &'static str> {
    let holds = move |paths: &[&str]| paths.contains(&name);
    FIELDS_OF
        .iter()
        .filter(move |(_, paths)| holds(paths))
        .map(|(beta, _)| *beta)
}

/// Returns the betas of a request, in their order.
pub fn betas(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(ANTHROPIC_BETA).iter();
    let texts = lines.filter_map(|line| line.to_str().ok());
    let names = texts.flat_map(|text| text.split(','));
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// Decides what goes. `without` is what this upstream refused before, for this model; `also` are
/// paths that the dialect says elsewhere. All are cut in one pass: two passes would both claim the
/// comma between neighbours.
pub fn trim(
    takes: &Takes,
    body: &Bytes,
    headers: &HeaderMap,
    (without, also): (&[Capability], &[&'static str]),
) -> Trimmed {
    let mut trimmed = Trimmed::default();
    let mut paths: Vec<&str> = Vec::new();
    let refused: Vec<&str> = without.iter().map(Capability::as_str).collect();
    let all = refused.contains(&ALL_BETAS);
    for name in betas(headers) {
        let known = match takes.betas {
            Betas::All => Some(name),
            Betas::Except(names) => (!names.contains(&name)).then_some(name),
            Betas::Only(names) => names.iter().find(|(it, _)| *it == name).map(|(_, to)| *to),
        };
        let is_refused = all
            || refused.contains(&name)
            || known.is_some_and(|known| refused.contains(&known))
            || refused
                .iter()
                .any(|field| betas_of(field).any(|it| it == name));
        let Some(known) = known.filter(|_| !is_refused) else {
            trimmed.removed.extend(Capability::new(name));
            paths.extend(paths_of(name).into_iter().filter(|path| *path != name));
            continue;
        };
        // Under another name it may allow less.
        paths.extend(paths_of(name).into_iter().filter(|_| known != name));
        if !trimmed.betas.iter().any(|it| **it == *known) {
            trimmed.betas.push(known.into());
        }
    }
    // What a beta that stays allows is not taken out with one that goes.
    let allowed: Vec<&str> = trimmed.betas.iter().flat_map(|it| paths_of(it)).collect();
    paths.retain(|path| !allowed.contains(path));
    for name in &refused {
        for path in paths_of(name) {
            note(&mut trimmed.removed, body, path);
            paths.push(path);
        }
    }
    for path in takes.refuses.iter().flat_map(|name| paths_of(name)) {
        note(&mut trimmed.removed, body, path);
        paths.push(path);
    }
    paths.extend(also);
    trimmed.edits = cut(body, &paths);
    if paths.contains(&SYSTEM_MESSAGES) {
        let roles = system_as_user(body);
        if !roles.is_empty() {
            trimmed.removed.extend(Capability::new(SYSTEM_MESSAGES));
        }
        trimmed.edits.extend(roles);
        trimmed.edits = in_order(trimmed.edits);
    }
    trimmed
}

fn note(removed: &mut Vec<Capability>, body: &[u8], path: &str) {
    if has(body, path)
        && let Some(capability) = Capability::new(path)
        && !removed.contains(&capability)
    {
        removed.push(capability);
    }
}

/// Puts the betas that stay into one header line, or takes the header out.
pub fn set_betas(headers: &mut HeaderMap, betas: &[Box<str>]) {
    match HeaderValue::try_from(betas.join(",")) {
        Ok(line) if !betas.is_empty() => {
            headers.insert(ANTHROPIC_BETA, line);
        }
        Ok(_) | Err(_) => {
            headers.remove(ANTHROPIC_BETA);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::splice;

    const BODY: &[u8] = br#"{"model":"m","context_management":{"edits":[]},"output_config":{"effort":"low"},"tools":[{"name":"a","defer_loading":true}],"service_tier":"auto"}"#;
    const BETAS: &str = "claude-code-20250219,context-management-2025-06-27, effort-2025-11-24,advanced-tool-use-2025-11-20";

    const CLOUD: Takes = Takes {
        betas: Betas::Only(&[
            (
                "context-management-2025-06-27",
                "context-management-2025-06-27",
            ),
            (
                "advanced-tool-use-2025-11-20",
                "tool-search-tool-2025-10-19",
            ),
        ]),
        refuses: &["service_tier"],
    };

    fn trimmed(takes: &Takes, without: &[&str]) -> (String, String, Vec<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(ANTHROPIC_BETA, HeaderValue::from_static(BETAS));
        let without: Vec<_> = without
            .iter()
            .filter_map(|it| Capability::new(it))
            .collect();
        let body = Bytes::from_static(BODY);
        let trimmed = trim(takes, &body, &headers, (&without, &[]));
        let body = splice(&body, &trimmed.edits).unwrap();
        let removed = trimmed.removed.iter().map(ToString::to_string).collect();
        (
            String::from_utf8(body.to_vec()).unwrap(),
            trimmed.betas.join(","),
            removed,
        )
    }

    #[test]
    fn who_takes_all_gets_all() {
        let (body, betas, removed) = trimmed(&Takes::ALL, &[]);
        assert_eq!(body.as_bytes(), BODY);
        assert_eq!(betas, BETAS.replace(' ', ""));
        assert!(removed.is_empty());
    }

    #[test]
    fn a_beta_goes_with_its_fields_and_is_renamed_where_it_stays() {
        let (body, betas, removed) = trimmed(&CLOUD, &[]);
        assert_eq!(
            body,
            r#"{"model":"m","context_management":{"edits":[]},"tools":[{"name":"a","defer_loading":true}]}"#
        );
        assert_eq!(
            betas,
            "context-management-2025-06-27,tool-search-tool-2025-10-19"
        );
        assert_eq!(
            removed,
            ["claude-code-20250219", "effort-2025-11-24", "service_tier"]
        );
    }

    #[test]
    fn a_refused_beta_takes_its_fields_and_a_refused_field_its_beta() {
        let (body, betas, _) = trimmed(&Takes::ALL, &["context-management-2025-06-27"]);
        assert!(!body.contains("context_management") && !betas.contains("context-management"));
        let (body, betas, removed) = trimmed(&Takes::ALL, &["tools[].defer_loading"]);
        assert!(
            !body.contains("defer_loading") && !betas.contains("advanced-tool-use"),
            "{betas}"
        );
        assert!(
            removed.contains(&"tools[].defer_loading".to_owned()),
            "{removed:?}"
        );
        let (_, betas, _) = trimmed(&CLOUD, &["tool-search-tool-2025-10-19"]);
        assert_eq!(betas, "context-management-2025-06-27");
    }

    #[test]
    fn all_betas_go_with_all_their_fields() {
        let (body, betas, removed) = trimmed(&Takes::ALL, &[ALL_BETAS]);
        assert_eq!(
            body,
            r#"{"model":"m","tools":[{"name":"a"}],"service_tier":"auto"}"#
        );
        assert_eq!(betas, "");
        assert_eq!(removed.len(), 4);
    }
}
