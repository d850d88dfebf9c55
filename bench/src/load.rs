//! Load generator: keep-alive connections in a closed loop, and readers of event streams.
//!
//! Prepared request bytes come in; durations and exact latencies go out. Must never skip an answer
//! it does not like: anything but a 200 of the right length is an error.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{clock, wire};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for all events of streams that do not pause.
const RUSH_PATIENCE: Duration = Duration::from_mins(1);
/// Room for a read of a stream that does not pause.
const RUSH_BYTES: usize = 64 * 1024;

/// A client connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<()> {
        timeout(PATIENCE, self.exchange_unbounded(request))
            .await
            .context("no answer in 20 s")?
    }

    async fn exchange_unbounded(&mut self, request: &[u8]) -> Result<()> {
        let end = self.begin(request).await?;
        let length = wire::content_length(self.buffer.get(..end).context("head")?)?;
        while self.buffer.len() < end.saturating_add(length) {
            self.fill().await?;
        }
        Ok(())
    }

    /// Sends a request for a stream and waits for its first event; the rest is left unread.
    pub(crate) async fn begin_stream(&mut self, request: &[u8]) -> Result<()> {
        let opened = async {
            self.begin(request).await?;
            let begun = loop {
                if let Some(at) = memchr::memmem::find(&self.buffer, b"content_block_start") {
                    break at;
                }
                self.fill().await?;
            };
            // Events may have come with the same read: they are kept, and the rest of the space,
            // since thousands of these are held open, is given back.
            self.buffer = self.buffer.split_off(begun);
            self.buffer.shrink_to_fit();
            anyhow::Ok(())
        };
        timeout(PATIENCE, opened)
            .await
            .context("no stream in 20 s")?
    }

    /// Reads `count` events and returns the latency of each in nanoseconds; the stream stays open.
    pub(crate) async fn events(&mut self, count: usize) -> Result<Vec<u64>> {
        let mut latencies = Vec::with_capacity(count);
        loop {
            let now = clock::unix_nanos();
            wire::take_stamps(&mut self.buffer, |sent| {
                latencies.push(now.saturating_sub(sent));
            });
            if latencies.len() >= count {
                break;
            }
            self.fill().await?;
        }
        anyhow::ensure!(latencies.len() == count, "more events came than were sent");
        Ok(latencies)
    }

    /// Sends a request for a stream and reads until `count` events have come, as many at a time as
    /// there are; the stream stays open.
    pub(crate) async fn rush(&mut self, request: &[u8], count: usize) -> Result<()> {
        let end = self.begin(request).await?;
        self.buffer.drain(..end);
        let (mut chunks, mut payload) = (wire::Chunks::default(), Vec::new());
        let mut seen: usize = 0;
        loop {
            chunks.feed(&self.buffer, &mut payload);
            wire::take_stamps(&mut payload, |_| seen = seen.saturating_add(1));
            if seen >= count {
                break;
            }
            self.buffer.clear();
            self.buffer.reserve(RUSH_BYTES);
            self.fill().await?;
        }
        anyhow::ensure!(seen == count, "more events came than were sent");
        Ok(())
    }

    /// Sends a GET and returns the body as text.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        self.exchange(request.as_bytes()).await?;
        let end = wire::head_end(&self.buffer).context("head")?;
        Ok(String::from_utf8_lossy(self.buffer.get(end..).context("body")?).into_owned())
    }

    async fn begin(&mut self, request: &[u8]) -> Result<usize> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        self.buffer.reserve(4096);
        let end = loop {
            self.fill().await?;
            if let Some(end) = wire::head_end(&self.buffer) {
                break end;
            }
        };
        if !self.buffer.starts_with(b"HTTP/1.1 200") {
            let text = String::from_utf8_lossy(&self.buffer);
            bail!("not a 200: {}", text.chars().take(300).collect::<String>());
        }
        Ok(end)
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(1024);
        let read = self.stream.read_buf(&mut self.buffer).await?;
        anyhow::ensure!(read > 0, "the connection was closed");
        Ok(())
    }
}

/// A closed loop whose connections are open and warm.
pub(crate) struct ClosedLoop {
    connections: Vec<Connection>,
    request: Arc<[u8]>,
}

impl ClosedLoop {
    /// Opens `width` connections and sends a few requests on each.
    pub(crate) async fn open(address: SocketAddr, width: usize, request: &[u8]) -> Result<Self> {
        let mut connections = Vec::with_capacity(width);
        for _ in 0..width {
            connections.push(Connection::open(address).await?);
        }
        let warm = Self {
            connections,
            request: Arc::from(request),
        };
        warm.run(8).await.map(|(kept, _)| kept)
    }

    /// Sends `each` requests on every connection at once; returns how long all of them took.
    pub(crate) async fn run(self, each: usize) -> Result<(Self, Duration)> {
        let mut tasks = JoinSet::new();
        let begun = clock::now();
        for mut connection in self.connections {
            let request = Arc::clone(&self.request);
            tasks.spawn(async move {
                for _ in 0..each {
                    connection.exchange(&request).await?;
                }
                anyhow::Ok(connection)
            });
        }
        let mut connections = Vec::new();
        while let Some(done) = tasks.join_next().await {
            connections.push(done??);
        }
        Ok((
            Self {
                connections,
                request: self.request,
            },
            begun.elapsed(),
        ))
    }
}

/// Opens `count` streams, 32 at a time, and returns them once each has shown its first event.
pub(crate) async fn open_streams(
    address: SocketAddr,
    count: usize,
    request: &[u8],
) -> Result<Vec<Connection>> {
    let request: Arc<[u8]> = Arc::from(request);
    let mut opened = Vec::with_capacity(count);
    let mut tasks = JoinSet::new();
    let mut begun = 0;
    while opened.len() < count {
        while begun < count && tasks.len() < 32 {
            let request = Arc::clone(&request);
            tasks.spawn(async move {
                let mut connection = Connection::open(address).await?;
                connection.begin_stream(&request).await?;
                anyhow::Ok(connection)
            });
            begun += 1;
        }
        if let Some(done) = tasks.join_next().await {
            opened.push(done??);
        }
    }
    Ok(opened)
}

/// Reads `each` events from every stream at once; returns the open streams and all latencies.
pub(crate) async fn read_events(
    streams: Vec<Connection>,
    each: usize,
    patience: Duration,
) -> Result<(Vec<Connection>, Vec<u64>)> {
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let latencies = stream.events(each).await?;
            anyhow::Ok((stream, latencies))
        });
    }
    let gather = async {
        let (mut kept, mut all) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (stream, latencies) = done??;
            kept.push(stream);
            all.extend(latencies);
        }
        anyhow::Ok((kept, all))
    };
    timeout(patience, gather)
        .await
        .context("events were lost or held back")?
}

/// Opens `streams` streams at once and reads `each` events, all there are, from every one.
pub(crate) async fn rush(
    address: SocketAddr,
    streams: usize,
    each: usize,
    request: &[u8],
) -> Result<()> {
    let request: Arc<[u8]> = Arc::from(request);
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            connection.rush(&request, each).await
        });
    }
    let gather = async {
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        anyhow::Ok(())
    };
    timeout(RUSH_PATIENCE, gather)
        .await
        .context("events were lost or held back")?
}
