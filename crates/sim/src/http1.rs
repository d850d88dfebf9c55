//! HTTP/1.1 by hand: every byte and every way of breaking off is under the script's control.
//! In: a connection; out: recorded requests and performed scripts, in order. Must never reorder or
//! rename a header, and must never end a body properly unless the script does.

use std::io;

use bytes::{Buf as _, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::answer::{Connection, Received};
use crate::body::{BodySink, MAX_KEPT_BYTES};
use crate::head::{RequestHead, parse_head};
use crate::player::{Head as AnswerHead, Player, Step};
use crate::record::{Exchange, Outcome};
use crate::wire::Wire;

/// Bytes of a request head at most.
const MAX_HEAD_BYTES: usize = 256 << 10;
/// Bytes read ahead of a running answer at most; beyond that a leaving client shows only by writes.
const MAX_AHEAD_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;

/// The client left, or what it sent is no HTTP.
#[derive(Debug)]
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
    Reset,
}

/// A connection's two ends of buffering.
struct Line<'a> {
    wire: &'a mut Wire,
    inbox: BytesMut,
    outbox: BytesMut,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(wire: &mut Wire, connection: &Connection) {
    let mut line = Line {
        wire,
        inbox: BytesMut::new(),
        outbox: BytesMut::new(),
    };
    loop {
        let head = tokio::select! {
            biased;
            head = line.read_head() => head,
            () = connection.sim.drain.cancelled() => return,
        };
        let Ok(Some(head)) = head else { return };
        match line.exchange(head, connection).await {
            Ok(After::KeepAlive) if !connection.sim.drain.is_cancelled() => {}
            Ok(After::Reset) => {
                connection.control.reset_on_drop();
                return;
            }
            Ok(After::KeepAlive | After::Close) | Err(Gone) => return,
        }
    }
}

impl Line<'_> {
    async fn read_more(&mut self) -> Result<(), Gone> {
        if self.inbox.len() == self.inbox.capacity() {
            self.inbox.reserve(READ_BYTES);
        }
        match self.wire.read_buf(&mut self.inbox).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Returns the next head, or `None` if the client is done.
    async fn read_head(&mut self) -> Result<Option<RequestHead>, Gone> {
        let mut searched = 0_usize;
        loop {
            let rest = self.inbox.get(searched..).unwrap_or_default();
            if let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
                let length = searched.saturating_add(at).saturating_add(4);
                let bytes = self.inbox.split_to(length);
                return parse_head(&bytes).map(Some).ok_or(Gone);
            }
            searched = self.inbox.len().saturating_sub(3);
            if self.inbox.len() > MAX_HEAD_BYTES {
                return Err(Gone);
            }
            if self.read_more().await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn exchange(
        &mut self,
        head: RequestHead,
        connection: &Connection,
    ) -> Result<After, Gone> {
        let mut exchange = connection.open(&head.method, &head.target);
        let mut sink = BodySink::for_path(&head.method, &head.target);
        let early = connection.early(&head.method, &head.target);
        let is_early = early.is_some();
        if !is_early {
            if head.says("expect", "100-continue") {
                self.outbox
                    .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                self.flush().await?;
            }
            self.read_body(&head, &mut sink).await?;
        }
        let keep_alive = head.keeps_alive() && !is_early;
        let bodiless = head.method == "HEAD";
        let received = Received {
            head,
            body: sink.finish(),
        };
        let player = connection.answer(received, early, &mut exchange);
        let after = self.perform(player, exchange, keep_alive, bodiless).await?;
        if is_early && after == After::Close {
            self.linger().await;
        }
        Ok(after)
    }

    /// Closes this side and throws away what still comes: dropping the socket over unread bytes
    /// would be a reset, which can take the answer with it.
    async fn linger(&mut self) {
        // A failed shutdown means that the client is gone, which the reads show.
        drop(self.wire.shutdown().await);
        while self.read_more().await.is_ok() {
            self.inbox.clear();
        }
    }

    async fn read_body(&mut self, head: &RequestHead, sink: &mut BodySink) -> Result<(), Gone> {
        if head.says("transfer-encoding", "chunked") {
            return self.read_chunks(sink).await;
        }
        let length = head
            .find("content-length")
            .and_then(|value| std::str::from_utf8(value).ok());
        let length = match length {
            None => return Ok(()),
            Some(text) => text.trim().parse::<usize>().map_err(|_| Gone)?,
        };
        self.read_exactly(length, sink).await
    }

    async fn read_exactly(&mut self, length: usize, sink: &mut BodySink) -> Result<(), Gone> {
        if sink.keeps() {
            // In one piece and one place: nothing is copied.
            if length > MAX_KEPT_BYTES {
                return Err(Gone);
            }
            self.inbox.reserve(length.saturating_sub(self.inbox.len()));
            while self.inbox.len() < length {
                self.read_more().await?;
            }
            return sink.push(self.inbox.split_to(length)).ok_or(Gone);
        }
        let mut left = length;
        loop {
            let piece = left.min(self.inbox.len());
            if piece > 0 {
                sink.push(self.inbox.split_to(piece)).ok_or(Gone)?;
                left = left.saturating_sub(piece);
            }
            if left == 0 {
                return Ok(());
            }
            self.read_more().await?;
        }
    }

    async fn read_line(&mut self) -> Result<BytesMut, Gone> {
        loop {
            if let Some(at) = self.inbox.windows(2).position(|window| window == b"\r\n") {
                let line = self.inbox.split_to(at);
                self.inbox.advance(2);
                return Ok(line);
            }
            if self.inbox.len() > MAX_HEAD_BYTES {
                return Err(Gone);
            }
            self.read_more().await?;
        }
    }

    async fn read_chunks(&mut self, sink: &mut BodySink) -> Result<(), Gone> {
        loop {
            let line = self.read_line().await?;
            let text = std::str::from_utf8(&line).map_err(|_| Gone)?;
            let digits = text.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| Gone)?;
            if length == 0 {
                // Trailers are read and dropped.
                while !self.read_line().await?.is_empty() {}
                return Ok(());
            }
            self.read_exactly(length, sink).await?;
            self.read_line().await?;
        }
    }

    async fn perform(
        &mut self,
        mut player: Player,
        mut exchange: Exchange,
        keep_alive: bool,
        bodiless: bool,
    ) -> Result<After, Gone> {
        let mut chunked = false;
        let after = if keep_alive && !player.then_close() {
            After::KeepAlive
        } else {
            After::Close
        };
        while let Some(step) = player.next() {
            match step {
                Step::Head(head) => {
                    chunked = head.length.is_none();
                    put_head(&mut self.outbox, &head, keep_alive);
                    if bodiless {
                        self.flush().await?;
                        exchange.finish(Outcome::Complete);
                        return Ok(after);
                    }
                    // A head with a length goes out with its body: one write a JSON answer.
                    if chunked {
                        self.flush().await?;
                    }
                }
                Step::Data(piece) => {
                    put_data(&mut self.outbox, &piece.bytes, chunked);
                    self.flush().await?;
                    exchange.sent(piece.events);
                }
                Step::Wait(time) => {
                    self.flush().await?;
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = self.left() => return Err(Gone),
                    }
                }
                Step::Stall => {
                    self.flush().await?;
                    self.left().await;
                    return Err(Gone);
                }
                Step::End => {
                    if chunked {
                        self.outbox.extend_from_slice(b"0\r\n\r\n");
                    }
                    self.flush().await?;
                    exchange.finish(Outcome::Complete);
                    return Ok(after);
                }
                Step::Reset | Step::Close => {
                    self.flush().await?;
                    exchange.finish(Outcome::Aborted);
                    let reset = matches!(step, Step::Reset);
                    return Ok(if reset { After::Reset } else { After::Close });
                }
            }
        }
        Err(Gone)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        self.wire.write_all(&self.outbox).await?;
        self.outbox.clear();
        self.wire.flush().await?;
        Ok(())
    }

    /// Returns when the client has left. What it sends meanwhile is kept for the next request.
    async fn left(&mut self) {
        while self.inbox.len() < MAX_AHEAD_BYTES {
            if self.read_more().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

fn put_head(out: &mut BytesMut, head: &AnswerHead, keep_alive: bool) {
    let reason = StatusCode::from_u16(head.status)
        .ok()
        .and_then(|code| code.canonical_reason());
    let status = head.status;
    out.extend_from_slice(
        format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default()).as_bytes(),
    );
    for (name, value) in &head.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    match head.length {
        Some(length) => out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes()),
        None => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if !keep_alive {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn put_data(out: &mut BytesMut, bytes: &[u8], chunked: bool) {
    if bytes.is_empty() {
        // An empty chunk would end the body.
        return;
    }
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    }
    out.extend_from_slice(bytes);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}
