//! An edit changes what it names and nothing else.
//!
//! In: any bytes, taken as a body and as a list of edits for it. Out: nothing, or a crash where the
//! result differs from the obvious slow one, or where replacing the model of a scanned body changes
//! any other fact. It must never pass edits that overlap: those have to be refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use relay_core::request::ModelName;
use relay_core::scan::scan;
use relay_providers::splice::{Edit, splice};

fuzz_target!(|bytes: &[u8]| {
    let body = Bytes::copy_from_slice(bytes);

    // Three bytes make an edit: where it begins, where it ends, and how much comes instead.
    let edits: Vec<Edit> = bytes
        .chunks_exact(3)
        .take(5)
        .map(|three| Edit {
            range: usize::from(three[0])..usize::from(three[1]),
            with: vec![b'*'; usize::from(three[2] % 8)],
        })
        .collect();
    assert_eq!(
        splice(&body, &edits).ok().map(Vec::from),
        slow(bytes, &edits)
    );

    let Ok(mut facts) = scan(&body) else { return };
    let Some(field) = &mut facts.model else {
        return;
    };
    let edit = Edit {
        range: field.span.clone(),
        with: b"\"another\"".to_vec(),
    };
    field.span.end = field.span.start + edit.with.len();
    field.name = ModelName::new("another");
    let edited = splice(&body, &[edit]).expect("the scan's own place");
    assert_eq!(scan(&edited), Ok(facts));
});

/// Applies the edits from the last to the first, so that no place moves.
fn slow(body: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let mut least = 0;
    for edit in edits {
        let fits = least <= edit.range.start
            && edit.range.start <= edit.range.end
            && edit.range.end <= body.len();
        if !fits {
            return None;
        }
        least = edit.range.end;
    }
    let mut out = body.to_vec();
    for edit in edits.iter().rev() {
        drop(out.splice(edit.range.clone(), edit.with.iter().copied()));
    }
    Some(out)
}
