//! Which project a request belongs to.
//!
//! In: the head and body of a request. Out: the name of its project, where the client tells it. It is
//! for sums of cost alone and decides nothing.
//!
//! A client says it in `x-cc-relay-project`, which is for the relay and goes no further. Claude Code
//! says in its first message where it was started, in a line of its own (2.1.330, measured on
//! 2026-11-30): ` - Primary working directory: /home/ana/shop`.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use memchr::memmem;

/// The header by which a client names its project.
pub const HEADER: &str = "x-cc-relay-project";

/// What stands before the folder in Claude Code's first message.
const FOLDER: &[u8] = b"Primary working directory: ";

/// Bytes of a body that are looked at: Claude Code says it within the first two thousand.
const LOOKED_AT: usize = 64 * 1024;

/// Bytes of a name at most. A longer one is not believed.
const LONGEST: usize = 256;

/// The name of a project, or the folder that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProjectName(Arc<str>);

impl ProjectName {
    /// Takes a name; `None` if it is empty, too long or holds control characters.
    pub fn new(name: &str) -> Option<Self> {
        let name = name.trim();
        let fits = !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control);
        fits.then(|| Self(name.into()))
    }

    /// Returns the project that a client names in its headers.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        Self::new(headers.get(HEADER)?.to_str().ok()?)
    }

    /// Returns the folder in which Claude Code says it was started.
    pub fn of_body(body: &[u8]) -> Option<Self> {
        let start = body.get(..LOOKED_AT).unwrap_or(body);
        let at = memmem::find(start, FOLDER)?.checked_add(FOLDER.len())?;
        let text = std::str::from_utf8(line(start.get(at..)?)?).ok()?;
        let name: String = serde_json::from_str(&format!("\"{text}\"")).ok()?;
        Self::new(&name)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the rest of a line inside a JSON string: it ends with an escaped line end, or with the string.
fn line(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0_usize;
    loop {
        at = at.checked_add(memchr::memchr2(b'"', b'\\', text.get(at..)?)?)?;
        let escaped = text.get(at.checked_add(1)?);
        if text.get(at) == Some(&b'"') || escaped == Some(&b'n') {
            return text.get(..at);
        }
        at = at.checked_add(2)?;
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]});
        ProjectName::of_body(body.to_string().as_bytes()).map(|name| name.to_string())
    }

    #[test]
    fn the_folder_is_what_claude_code_says() {
        let said = "# Environment\n - Primary working directory: /home/ana/shop\n - Is a git repository: true";
        assert_eq!(of(said).as_deref(), Some("/home/ana/shop"));
        let last = "Primary working directory: /home/ana/a \"b\"";
        assert_eq!(of(last).as_deref(), Some("/home/ana/a \"b\""));
        let windows = "Primary working directory: C:\\Users\\ana\\new shop\n";
        assert_eq!(of(windows).as_deref(), Some("C:\\Users\\ana\\new shop"));
        assert_eq!(of("Primary working directory: \n"), None);
        assert_eq!(
            of(&format!("Primary working directory: {}\n", "x".repeat(300))),
            None
        );
        assert_eq!(of("no folder"), None);
    }

    #[test]
    fn a_header_is_believed_within_bounds() {
        let mut headers = HeaderMap::new();
        assert_eq!(ProjectName::of_headers(&headers), None);
        headers.insert(HEADER, " shop ".parse().unwrap());
        let name = ProjectName::of_headers(&headers);
        assert_eq!(name.as_ref().map(ProjectName::as_str), Some("shop"));
    }
}
