//! Mock upstream: answers at once, in a process of its own so that its CPU is not counted.
//!
//! Requests come in whose `x-bench-answer` header names the answer: `json BYTES`, or
//! `paced COUNT GAP_MICROS LEAD_MILLIS end|hold` for an event stream; in frames of AWS's where the
//! path is Bedrock's. The answer goes out, each event with the moment at which it was written. `GET /bench/streams` returns how many streams
//! are open, which shows whether a proxy has let go of them. Must never do work per byte of a
//! request beyond reading it.
use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use crate::{clock, wire};

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
cache-control: no-cache\r\nrequest-id: req_bench\r\nanthropic-organization-id: org-bench\r\n\
transfer-encoding: chunked\r\n\r\n";
const OPENING: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\
\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\",\
\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":12,\
\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":9000,\"output_tokens\":1}}}\n\n\
event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const ENDING: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\
\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\
\"stop_sequence\":null},\"usage\":{\"output_tokens\":100}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Counts of the streams of this process.
#[derive(Default)]
struct Streams {
    open: AtomicU64,
    begun: AtomicU64,
}

/// One open stream; leaves the count when dropped.
struct OpenStream(Arc<Streams>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream of events as the request asked for it.
struct Pace {
    count: u32,
    gap: Duration,
    lead: Duration,
    hold: bool,
}

/// Serves until the process is stopped; prints the address first.
pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .context("binding the mock upstream")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let (streams, tasks) = (Arc::new(Streams::default()), TaskTracker::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let streams = Arc::clone(&streams);
        // A proxy may close a connection at any time: that is not a fault of the bench.
        tasks.spawn(async move { connection(socket, streams).await.unwrap_or_default() });
    }
}

async fn connection(mut socket: TcpStream, streams: Arc<Streams>) -> Result<()> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut body = vec![0; 256 * 1024];
    let mut answers: Option<(usize, Vec<u8>)> = None;
    loop {
        buffer.clear();
        let end = loop {
            if let Some(end) = wire::head_end(&buffer) {
                break end;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let (head, rest) = buffer.split_at_checked(end).context("head out of bounds")?;
        let mut left = wire::content_length(head)?.saturating_sub(rest.len());
        while left > 0 {
            let window = body.len().min(left);
            let part = body.get_mut(..window).context("body window")?;
            let read = socket.read(part).await?;
            anyhow::ensure!(read > 0, "the body was cut");
            left -= read;
        }
        if head.starts_with(b"GET /bench/streams") {
            let open = streams.open.load(Ordering::Relaxed).to_string();
            socket.write_all(&plain(&open)).await?;
            continue;
        }
        if head.starts_with(b"GET /livez") {
            socket.write_all(&plain("ok")).await?;
            continue;
        }
        let wish = wire::header(head, wire::ANSWER).context("x-bench-answer did not arrive")?;
        if let Some(size) = wish.strip_prefix("json ") {
            let size = size.parse()?;
            if answers.as_ref().is_none_or(|(known, _)| *known != size) {
                answers = Some((size, json(size)));
            }
            if let Some((_, answer)) = &answers {
                socket.write_all(answer).await?;
            }
        } else {
            // An idle stream must not weigh on this process either.
            let pace = pace(wish)?;
            let form = if head.starts_with(b"POST /model/") {
                Form::Frames
            } else {
                Form::Events
            };
            buffer = Vec::new();
            body = Vec::new();
            paced(&mut socket, &pace, form, &streams).await?;
            if pace.hold {
                return Ok(());
            }
            body.resize(64 * 1024, 0);
        }
    }
}

fn pace(wish: &str) -> Result<Pace> {
    let words: Vec<&str> = wish.split(' ').collect();
    let ["paced", count, gap, lead, end] = words.as_slice() else {
        bail!("unknown answer `{wish}`");
    };
    Ok(Pace {
        count: count.parse()?,
        gap: Duration::from_micros(gap.parse()?),
        lead: Duration::from_millis(lead.parse()?),
        hold: *end == "hold",
    })
}

/// Writes the stream, and returns early when the other side has gone.
async fn paced(
    socket: &mut TcpStream,
    pace: &Pace,
    form: Form,
    streams: &Arc<Streams>,
) -> Result<()> {
    streams.open.fetch_add(1, Ordering::Relaxed);
    let _open = OpenStream(Arc::clone(streams));
    let serial = streams.begun.fetch_add(1, Ordering::Relaxed);
    // Golden-ratio phases: streams begun together do not all speak in the same millisecond.
    let phase = pace.gap.mul_f64((float(serial) * 0.618_033_988_75).fract());
    let (mut reader, mut writer) = socket.split();
    let mut opening = form.head().into_bytes();
    form.chunk(&mut opening, OPENING)?;
    writer.write_all(&opening).await?;
    let mut due = Instant::now() + pace.lead + phase;
    let mut bytes = Vec::with_capacity(256);
    let mut gone = [0; 64];
    for _ in 0..pace.count {
        if !pace.gap.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due) => {}
                _ = reader.read(&mut gone) => bail!("the reader has gone"),
            }
        }
        bytes.clear();
        let stamp = clock::unix_nanos();
        form.chunk(
            &mut bytes,
            &format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
                 \"delta\":{{\"type\":\"text_delta\",\"text\":\"@t={stamp:019}; some words\"}}}}\n\n"
            ),
        )?;
        writer.write_all(&bytes).await?;
        due += pace.gap;
    }
    if pace.hold {
        anyhow::ensure!(reader.read(&mut gone).await? > 0, "the reader has gone");
    }
    bytes.clear();
    form.chunk(&mut bytes, ENDING)?;
    bytes.extend_from_slice(b"0\r\n\r\n");
    writer.write_all(&bytes).await?;
    Ok(())
}

/// What a stream is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Anthropic's server-sent events.
    Events,
    /// AWS's frames, each with an event's data in Base64.
    Frames,
}

impl Form {
    fn head(self) -> String {
        match self {
            Self::Events => STREAM_HEAD.to_owned(),
            Self::Frames => {
                STREAM_HEAD.replace("text/event-stream; charset=utf-8", FRAMES_CONTENT_TYPE)
            }
        }
    }

    /// Appends events as one chunk.
    fn chunk(self, out: &mut Vec<u8>, events: &str) -> Result<()> {
        let mut framed = Vec::new();
        let bytes = if self == Self::Events {
            events.as_bytes()
        } else {
            for data in events.lines().filter_map(|it| it.strip_prefix("data: ")) {
                frame(data, &mut framed)?;
            }
            &framed
        };
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

const FRAMES_CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

fn frame(data: &str, out: &mut Vec<u8>) -> Result<()> {
    let encoded = base64_simd::STANDARD.encode_to_string(data.as_bytes());
    let text = |text: &'static str| HeaderValue::String(text.into());
    let message = Message::new(format!("{{\"bytes\":\"{encoded}\"}}").into_bytes())
        .add_header(Header::new(":event-type", text("chunk")))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text("event")));
    write_message_to(&message, out)?;
    Ok(())
}

fn plain(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

fn json(size: usize) -> Vec<u8> {
    let open = "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\
\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"text\",\"text\":\"";
    let close = "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":\
{\"input_tokens\":12,\"output_tokens\":100}}";
    let text = "w".repeat(size.saturating_sub(open.len() + close.len()));
    let body = format!("{open}{text}{close}");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\n\
         anthropic-organization-id: org-bench\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "stream serials stay far below 2^52"
)]
fn float(serial: u64) -> f64 {
    serial as f64
}
