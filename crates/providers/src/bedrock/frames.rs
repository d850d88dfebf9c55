//! AWS's event stream: frames with checksums.
//!
//! In: bytes, cut anywhere. Out: frames, each as soon as its last byte is in. It must never hand out
//! a frame whose checksums are wrong, nor keep more than one frame's bytes.
//!
//! A frame is, in big-endian: total length (u32), length of the headers (u32), CRC-32 of these 8
//! bytes, the headers, the payload, CRC-32 of all before it. Limits as in botocore: headers 128 KiB,
//! payload 24 MiB. Source: the event-stream pages of the Smithy specification (read 2026-11-22).

use std::ops::Range;

use relay_core::provider::Undecodable;

const PRELUDE: usize = 12;
const CRC: usize = 4;
const MOST_HEADERS: usize = 128 * 1024;
const MOST_PAYLOAD: usize = 24 * 1024 * 1024;

/// Room that is kept for the next frame: one large frame must not hold its room for a whole stream.
const KEPT: usize = 256 * 1024;

const BAD_HEADERS: Undecodable = Undecodable("the headers of a frame cannot be read");

/// A frame with good checksums and headers that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// The start of a frame whose end is still to come.
    partial: Vec<u8>,
}

/// Where the parts of a frame stand.
struct Shape {
    headers: Range<usize>,
    payload: Range<usize>,
    total: usize,
}

impl FrameDecoder {
    /// Takes the next bytes; calls `each` for every frame that is whole.
    ///
    /// # Errors
    /// [`Undecodable`] at the first frame that is wrong, or what `each` returns. Nothing may be
    /// pushed behind that.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        while !bytes.is_empty() {
            if self.partial.is_empty() {
                // What is whole is not copied.
                let Some(shape) = shape(bytes)?.filter(|shape| bytes.len() >= shape.total) else {
                    self.partial.extend_from_slice(bytes);
                    return Ok(());
                };
                let (frame, rest) = bytes.split_at(shape.total);
                each(checked(frame, &shape)?)?;
                bytes = rest;
                continue;
            }
            let wanted = shape(&self.partial)?.map_or(PRELUDE, |shape| shape.total);
            let missing = wanted.saturating_sub(self.partial.len()).min(bytes.len());
            let (now, rest) = bytes.split_at(missing);
            self.partial.extend_from_slice(now);
            bytes = rest;
            if let Some(shape) = shape(&self.partial)?
                && self.partial.len() >= shape.total
            {
                each(checked(&self.partial, &shape)?)?;
                self.partial.clear();
                self.partial.shrink_to(KEPT);
            }
        }
        Ok(())
    }

    /// Tells whether the end of a frame is still to come.
    pub fn is_within(&self) -> bool {
        !self.partial.is_empty()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Reads the prelude; `None` if it is not whole.
fn shape(bytes: &[u8]) -> Result<Option<Shape>, Undecodable> {
    let Some(prelude) = bytes.get(..8) else {
        return Ok(None);
    };
    let Some(crc) = number(bytes, 8) else {
        return Ok(None);
    };
    if crc32fast::hash(prelude) != crc {
        return Err(Undecodable("the checksum of a frame's prelude is wrong"));
    }
    let length = |at| number(bytes, at).and_then(|length| usize::try_from(length).ok());
    let (Some(total), Some(headers)) = (length(0), length(4)) else {
        return Ok(None);
    };
    let bad = Undecodable("the lengths of a frame are wrong");
    let end = PRELUDE.checked_add(headers).ok_or(bad)?;
    let payload = total
        .checked_sub(CRC)
        .and_then(|it| it.checked_sub(end))
        .ok_or(bad)?;
    if headers > MOST_HEADERS || payload > MOST_PAYLOAD {
        return Err(Undecodable("a frame is too long"));
    }
    Ok(Some(Shape {
        headers: PRELUDE..end,
        payload: end..total.saturating_sub(CRC),
        total,
    }))
}

fn checked<'a>(bytes: &'a [u8], shape: &Shape) -> Result<Frame<'a>, Undecodable> {
    let crc = number(bytes, shape.payload.end);
    let before = bytes.get(..shape.payload.end).unwrap_or_default();
    if crc != Some(crc32fast::hash(before)) {
        return Err(Undecodable("the checksum of a frame is wrong"));
    }
    let headers = bytes.get(shape.headers.clone()).unwrap_or_default();
    let mut rest = headers;
    while !rest.is_empty() {
        let (name, value) = next_header(&mut rest).ok_or(BAD_HEADERS)?;
        let is_text = |bytes| std::str::from_utf8(bytes).is_ok();
        if !is_text(name) || !value.is_none_or(is_text) {
            return Err(BAD_HEADERS);
        }
    }
    Ok(Frame {
        headers,
        payload: bytes.get(shape.payload.clone()).unwrap_or_default(),
    })
}

/// Takes the next header: its name, and its value if that is text. `None` at the end, or where no
/// header can be read.
fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let (length, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked((*length).into())?;
    let (kind, after) = after.split_first()?;
    let (length, after) = match kind {
        0 | 1 => (0, after),
        2 => (1, after),
        3 => (2, after),
        4 => (4, after),
        5 | 8 => (8, after),
        6 | 7 => {
            let (length, after) = after.split_first_chunk::<2>()?;
            (u16::from_be_bytes(*length).into(), after)
        }
        9 => (16, after),
        _ => return None,
    };
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((name, (*kind == 7).then_some(value)))
}

impl<'a> Frame<'a> {
    /// Returns the text of a header; `None` if it is not there or is no text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        loop {
            let (key, value) = next_header(&mut rest)?;
            if key == name.as_bytes() {
                return std::str::from_utf8(value?).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests;
