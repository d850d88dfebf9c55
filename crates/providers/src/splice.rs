//! Edits of a body by byte range.
//!
//! In: a body and the ranges to replace. Out: a body in which every other byte is the same. It must
//! never parse or re-serialise: a changed prefix is a cold prompt cache, at about ten times the
//! price.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// The bytes that come instead.
    pub with: Vec<u8>,
}

/// The edits do not fit the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the edits overlap, are out of order, or reach beyond the body")]
pub struct Misfit;

/// Applies edits that are in order and do not overlap. Without edits the body is not copied.
///
/// # Errors
/// [`Misfit`]; nothing is then edited.
pub fn splice(body: &Bytes, edits: &[Edit]) -> Result<Bytes, Misfit> {
    if edits.is_empty() {
        return Ok(body.clone());
    }
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = BytesMut::with_capacity(body.len().saturating_add(added));
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(body.get(from..edit.range.start).ok_or(Misfit)?);
        out.extend_from_slice(&edit.with);
        if edit.range.end < edit.range.start {
            return Err(Misfit);
        }
        from = edit.range.end;
    }
    out.extend_from_slice(body.get(from..).ok_or(Misfit)?);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn misfits_are_refused() {
        let body = Bytes::from_static(b"0123456789");
        let edit = |range| Edit {
            range,
            with: Vec::new(),
        };
        for edits in [
            vec![edit(8..11)],
            vec![edit(4..6), edit(5..7)],
            vec![edit(5..6), edit(1..2)],
        ] {
            assert_eq!(splice(&body, &edits), Err(Misfit), "{edits:?}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let reversed = [edit(5..4)];
        assert_eq!(splice(&body, &reversed), Err(Misfit));
    }

    #[test]
    fn without_edits_the_bytes_are_shared() {
        let body = Bytes::from(vec![1; 100]);
        assert_eq!(splice(&body, &[]).unwrap().as_ptr(), body.as_ptr());
    }

    proptest! {
        /// Only the named ranges change; undoing the edits gives the body back.
        #[test]
        fn changes_only_the_named_ranges(
            body in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec((0_usize..200, prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        ) {
            let body = Bytes::from(body);
            let mut points: Vec<usize> = cuts.iter().flat_map(|(at, _)| [*at, at + 7]).map(|at| at.min(body.len())).collect();
            points.sort_unstable();
            let edits: Vec<Edit> = points.chunks_exact(2).zip(&cuts)
                .map(|(pair, (_, with))| Edit { range: pair[0]..pair[1], with: with.clone() }).collect();
            let edited = splice(&body, &edits).unwrap();
            let mut undo = Vec::new();
            let mut shift = 0_isize;
            for edit in &edits {
                let start = edit.range.start.checked_add_signed(shift).unwrap();
                undo.push(Edit { range: start..start + edit.with.len(), with: body[edit.range.clone()].to_vec() });
                shift += isize::try_from(edit.with.len()).unwrap() - isize::try_from(edit.range.len()).unwrap();
            }
            prop_assert_eq!(splice(&edited, &undo).unwrap(), body);
        }
    }
}
