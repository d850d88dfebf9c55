//! What was asked and answered, word for word but for credentials.
//!
//! In: bodies, behind the path of requests. Out: rows, and the bodies again. A body is a chain of
//! chunks; chains that begin alike share their beginning, and equal chunks are kept once, so a
//! conversation takes as much as it is long, however often it is sent. It must never keep a credential
//! that has the form of one.

use std::borrow::Cow;
use std::path::Path;

use relay_core::record::{Bodies, KeptBody};
use relay_core::redact::masked;
use rusqlite::{Connection, OptionalExtension as _, Transaction};
use sha2::{Digest as _, Sha256};

use crate::chunk::chunks;
use crate::{StoreError, file};

/// How hard chunks are compressed: zstd's own choice between time and size.
const LEVEL: i32 = 3;

/// Bytes of a digest that are kept: enough for as many chunks as anybody has.
const DIGEST: usize = 16;

/// The name of a chunk, or of a chain up to one of its chunks.
type Name = [u8; DIGEST];

/// A body as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptText {
    /// Its start, or all of it, with credentials masked.
    pub bytes: Vec<u8>,
    /// Bytes of the whole, as it was said.
    pub whole_bytes: u64,
    /// Whether the end is missing, as it was longer than what is kept.
    pub is_cut: bool,
}

/// Returns what was asked and answered in the request of this number; `None` where nothing is kept.
///
/// # Errors
/// If the file is not there or cannot be read.
pub fn bodies(path: &Path, number: i64) -> Result<Option<[KeptText; 2]>, StoreError> {
    let connection = file::open_to_read(path)?;
    // A file of an earlier form, which no relay has opened since.
    if file::version(&connection)? < file::FOURTH {
        return Ok(None);
    }
    let found = connection
        .query_row(
            "SELECT asked, asked_bytes, asked_cut, answered, answered_bytes, answered_cut
             FROM body WHERE request = ?",
            [number],
            |row| {
                let one = |at: usize| -> rusqlite::Result<(i64, i64, bool)> {
                    Ok((row.get(at)?, row.get(at + 1)?, row.get(at + 2)?))
                };
                Ok([one(0)?, one(3)?])
            },
        )
        .optional()?;
    let Some([asked, answered]) = found else {
        return Ok(None);
    };
    Ok(Some([
        text(&connection, asked)?,
        text(&connection, answered)?,
    ]))
}

fn text(
    connection: &Connection,
    (link, whole, is_cut): (i64, i64, bool),
) -> Result<KeptText, StoreError> {
    let mut query = connection.prepare(
        "WITH RECURSIVE up(id, before, chunk, depth) AS (
           SELECT id, before, chunk, 0 FROM link WHERE id = ?1
           UNION ALL SELECT link.id, link.before, link.chunk, depth + 1
           FROM link JOIN up ON link.id = up.before)
         SELECT packed, bytes FROM up JOIN chunk ON chunk.id = up.chunk ORDER BY depth DESC",
    )?;
    let mut rows = query.query([link])?;
    let mut bytes = Vec::new();
    while let Some(row) = rows.next()? {
        let chunk = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        if row.get(0)? {
            zstd::stream::copy_decode(chunk, &mut bytes)?;
        } else {
            bytes.extend_from_slice(chunk);
        }
    }
    Ok(KeptText {
        bytes,
        whole_bytes: u64::try_from(whole).unwrap_or(0),
        is_cut,
    })
}

/// Writes the bodies of a request.
pub(crate) fn write(to: &Transaction<'_>, request: i64, bodies: &Bodies) -> Result<(), StoreError> {
    let asked = chain(to, &bodies.request)?;
    let answered = chain(to, &bodies.response)?;
    let size = |body: &KeptBody| i64::try_from(body.whole_bytes).unwrap_or(i64::MAX);
    let is_cut = |body: &KeptBody| u64::try_from(body.start.len()) != Ok(body.whole_bytes);
    to.prepare_cached("INSERT OR REPLACE INTO body VALUES (?,?,?,?,?,?,?)")?
        .execute((
            request,
            asked,
            size(&bodies.request),
            is_cut(&bodies.request),
            answered,
            size(&bodies.response),
            is_cut(&bodies.response),
        ))?;
    Ok(())
}

/// A chunk on its way into the file.
struct Chunk<'a> {
    bytes: Cow<'a, [u8]>,
    name: Name,
    /// The name of the chain up to here.
    chain: Name,
}

/// Writes what is new of a body; returns its last link, zero for an empty one.
fn chain(to: &Transaction<'_>, body: &KeptBody) -> Result<i64, StoreError> {
    let mut all = Vec::new();
    let mut before = Name::default();
    for range in chunks(&body.start) {
        let bytes = masked(body.start.get(range).unwrap_or_default());
        let name = digest(&[&bytes]);
        before = digest(&[&before, &name]);
        all.push(Chunk {
            bytes,
            name,
            chain: before,
        });
    }
    let (known, mut last) = known(to, &all)?;
    for chunk in all.iter().skip(known) {
        let id = kept(to, chunk)?;
        to.prepare_cached("INSERT INTO link (chain, before, chunk) VALUES (?, ?, ?)")?
            .execute((chunk.chain, last, id))?;
        last = to.last_insert_rowid();
    }
    Ok(last)
}

/// Returns how many chunks of a chain are linked already, and the last of these links. A link is never
/// without those before it, so half of what is left is ruled out by each question.
fn known(to: &Transaction<'_>, all: &[Chunk<'_>]) -> rusqlite::Result<(usize, i64)> {
    let mut query = to.prepare_cached("SELECT id FROM link WHERE chain = ?")?;
    let (mut low, mut high, mut last) = (0_usize, all.len(), 0);
    while low < high {
        let middle = low.midpoint(high);
        let Some(chunk) = all.get(middle) else { break };
        let found = query.query_row([chunk.chain], |row| row.get(0));
        if let Some(id) = found.optional()? {
            (low, last) = (middle.saturating_add(1), id);
        } else {
            high = middle;
        }
    }
    Ok((low, last))
}

/// Returns the chunk's row, written if it is new.
fn kept(to: &Transaction<'_>, chunk: &Chunk<'_>) -> Result<i64, StoreError> {
    let found = to
        .prepare_cached("SELECT id FROM chunk WHERE name = ?")?
        .query_row([chunk.name], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let small = zstd::bulk::compress(&chunk.bytes, LEVEL)?;
    let packed = small.len() < chunk.bytes.len();
    let bytes: &[u8] = if packed { &small } else { &chunk.bytes };
    to.prepare_cached("INSERT INTO chunk (name, packed, bytes) VALUES (?, ?, ?)")?
        .execute((chunk.name, packed, bytes))?;
    Ok(to.last_insert_rowid())
}

fn digest(parts: &[&[u8]]) -> Name {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    whole.first_chunk().copied().unwrap_or_default()
}

/// Deletes bodies whose requests are gone.
pub(crate) fn follow(connection: &Connection) -> rusqlite::Result<()> {
    let gone = connection.execute(
        "DELETE FROM body WHERE request < ifnull(
         (SELECT min(id) FROM request), 9223372036854775807)",
        [],
    )?;
    if gone > 0 { sweep(connection) } else { Ok(()) }
}

/// Deletes the eldest eighth of all bodies; tells whether there was one.
pub(crate) fn thin(connection: &Connection) -> rusqlite::Result<bool> {
    let gone = connection.execute(
        "DELETE FROM body WHERE request <=
         (SELECT min(request) + (max(request) - min(request)) / 8 FROM body)",
        [],
    )?;
    if gone > 0 {
        sweep(connection)?;
    }
    Ok(gone > 0)
}

/// Deletes links that no body has any more, and chunks that no link has.
fn sweep(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM link WHERE id NOT IN (
           WITH RECURSIVE kept(id) AS (
             SELECT asked FROM body UNION SELECT answered FROM body
             UNION SELECT link.before FROM link JOIN kept ON link.id = kept.id)
           SELECT id FROM kept);
         DELETE FROM chunk WHERE id NOT IN (SELECT chunk FROM link);",
    )
}

#[cfg(test)]
mod tests;
