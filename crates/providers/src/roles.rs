//! Says messages of the system's in the middle of a conversation as the user's, for upstreams that
//! know no such role there.
//!
//! In: a body. Out: edits of the `role` of each. It must never touch the text.

use relay_core::scan::{Elements, member_span};

use crate::splice::Edit;

/// Returns an edit for each message whose role is `system`. None in a body that cannot be read.
pub fn system_as_user(body: &[u8]) -> Vec<Edit> {
    edits(body).unwrap_or_default()
}

fn edits(body: &[u8]) -> Option<Vec<Edit>> {
    let messages = member_span(body, b"messages")?;
    let list = body.get(messages.clone())?;
    let mut edits = Vec::new();
    for message in Elements::of(list).ok()? {
        let message = message.ok()?;
        let Some(role) = member_span(list.get(message.clone())?, b"role") else {
            continue;
        };
        let start = messages
            .start
            .checked_add(message.start)?
            .checked_add(role.start)?;
        let range = start..start.checked_add(role.len())?;
        if body.get(range.clone())? == br#""system""# {
            let with = br#""user""#.to_vec();
            edits.push(Edit { range, with });
        }
    }
    Some(edits)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::splice::splice;

    #[test]
    fn only_the_role_changes() {
        let body = Bytes::from_static(
            br#"{"system":"s","messages":[{"role":"user","content":"system"}, {"content":[{"role":"system"}],"role" : "system"}]}"#,
        );
        let said = splice(&body, &system_as_user(&body)).unwrap();
        assert_eq!(
            &said[..],
            br#"{"system":"s","messages":[{"role":"user","content":"system"}, {"content":[{"role":"system"}],"role" : "user"}]}"#
        );
        assert!(system_as_user(b"{\"messages\":[").is_empty());
    }
}
