//! The socket under both protocols. In: an accepted stream, plain or TLS; out: bytes both ways.
//! Holds what faults need: an abort that becomes a TCP reset, a count of what HTTP/2 has written,
//! and bytes that were read ahead. Must never know what is said over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// What a driver may ask of its connection from outside the socket.
#[derive(Debug, Default)]
pub(crate) struct Control {
    reset: AtomicBool,
    /// Asks the connection's task to drop the socket.
    pub(crate) close: CancellationToken,
    /// Asks the connection's task to say `GOAWAY` and to close when its streams have ended.
    pub(crate) retire: CancellationToken,
    /// HTTP/2 units (a HEADERS frame, or a byte of DATA) handed to the protocol, and those written
    /// to the socket.
    handed: AtomicU64,
    written: AtomicU64,
    wrote: Notify,
}

impl Control {
    /// Makes the coming drop of the socket a TCP reset.
    pub(crate) fn reset_on_drop(&self) {
        self.reset.store(true, Ordering::Release);
    }

    /// Notes units handed to the protocol.
    pub(crate) fn hand(&self, units: u64) {
        self.handed.fetch_add(units, Ordering::Release);
    }

    /// Waits until all units handed over so far are in the kernel's hands.
    pub(crate) async fn flushed(&self) {
        let target = self.handed.load(Ordering::Acquire);
        loop {
            let wrote = self.wrote.notified();
            tokio::pin!(wrote);
            wrote.as_mut().enable();
            if self.written.load(Ordering::Acquire) >= target {
                return;
            }
            wrote.await;
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection's socket.
pub(crate) struct Wire {
    stream: Stream,
    control: Arc<Control>,
    ahead: BytesMut,
    frames: Option<FrameCount>,
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream, control: Arc<Control>) -> Self {
        Self {
            stream: Stream::Plain(stream),
            control,
            ahead: BytesMut::new(),
            frames: None,
        }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, control: Arc<Control>) -> Self {
        let stream = Stream::Tls(Box::new(stream));
        Self {
            stream,
            control,
            ahead: BytesMut::new(),
            frames: None,
        }
    }

    /// Gives back bytes that were read to tell the protocol.
    pub(crate) fn unread(&mut self, bytes: BytesMut) {
        self.ahead = bytes;
    }

    /// Counts HTTP/2 units from here on.
    pub(crate) fn count_frames(&mut self) {
        self.frames = Some(FrameCount::default());
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    fn counted(&mut self, written: &[u8]) {
        if let Some(frames) = &mut self.frames {
            let units = frames.take(written);
            if units > 0 {
                self.control.written.fetch_add(units, Ordering::Release);
                self.control.wrote.notify_waiters();
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.control.reset.load(Ordering::Acquire) {
            // Fails only on a socket that is gone already.
            drop(self.tcp().set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let length = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        if let Poll::Ready(Ok(length)) = &written {
            self.counted(buf.get(..*length).unwrap_or_default());
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Counts HEADERS frames and DATA payload in a written HTTP/2 frame stream (RFC 9113, section 4.1).
#[derive(Debug, Default)]
struct FrameCount {
    header: Vec<u8>,
    payload_left: usize,
    is_data: bool,
}

const FRAME_HEADER_BYTES: usize = 9;
const FRAME_TYPE_DATA: u8 = 0;
const FRAME_TYPE_HEADERS: u8 = 1;

impl FrameCount {
    fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut units = 0_u64;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let length = self.payload_left.min(bytes.len());
                self.payload_left = self.payload_left.saturating_sub(length);
                if self.is_data {
                    units = units.saturating_add(length as u64);
                }
                bytes = bytes.get(length..).unwrap_or_default();
                continue;
            }
            let missing = FRAME_HEADER_BYTES
                .saturating_sub(self.header.len())
                .min(bytes.len());
            self.header
                .extend_from_slice(bytes.get(..missing).unwrap_or_default());
            bytes = bytes.get(missing..).unwrap_or_default();
            if let [a, b, c, kind, _, _, _, _, _] = self.header.as_slice() {
                let length = [0, *a, *b, *c];
                self.payload_left = u32::from_be_bytes(length) as usize;
                self.is_data = *kind == FRAME_TYPE_DATA;
                units = units.saturating_add(u64::from(*kind == FRAME_TYPE_HEADERS));
                self.header.clear();
            }
        }
        units
    }
}
