//! A raw HTTP/1.1 client that shows how a connection ended. In: request text; out: the exact bytes
//! and the end. Must never smooth anything over.

use std::time::Duration;

use relay_sim::Sim;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bounds what must not hang; no test depends on its length.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const STREAM: &str = r#"{"model":"claude-opus-5-5","stream":true,"messages":[]}"#;
pub(crate) const PLAIN: &str = r#"{"model":"claude-haiku-5-5","messages":[]}"#;

/// How a connection ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The answer's framing said so.
    Framed,
    Fin,
    Reset,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: Ended,
    /// Chunk sizes of a chunked body, in order.
    pub(crate) chunks: Vec<usize>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).into_iter().next()
    }
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nx-api-key: sk-ant-fake\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

pub(crate) async fn connect(sim: &Sim) -> TcpStream {
    let stream = TcpStream::connect(sim.addr()).await.unwrap();
    // Else an HTTP/2 client's small writes wait for acknowledgements.
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends on a connection of its own and reads the answer.
pub(crate) async fn send(sim: &Sim, request: &str) -> Answer {
    let mut stream = connect(sim).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    read(&mut stream).await
}

pub(crate) async fn messages(sim: &Sim, body: &str) -> Answer {
    send(sim, &post("/v1/messages?beta=true", body)).await
}

pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Answer {
    tokio::time::timeout(PATIENCE, read_answer(stream))
        .await
        .expect("the answer ended")
}

async fn read_answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Answer {
    let mut seen = Vec::new();
    loop {
        if let Some(answer) = parse(&seen, Ended::Framed) {
            return answer;
        }
        let ended = match stream.read_buf(&mut seen).await {
            Ok(0) => Ended::Fin,
            Ok(_) => continue,
            // rustls reports a FIN without close_notify so.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ended::Fin,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                Ended::Reset
            }
        };
        return parse(&seen, ended)
            .unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&seen)));
    }
}

/// Parses what was seen; `None` if framing says that more must come and the connection is open.
fn parse(seen: &[u8], ended: Ended) -> Option<Answer> {
    let open = ended == Ended::Framed;
    let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") else {
        let head = String::from_utf8(seen.to_vec()).unwrap();
        return (!open).then_some(Answer {
            head,
            body: Vec::new(),
            ended,
            chunks: Vec::new(),
        });
    };
    let head = String::from_utf8(seen[..at].to_vec()).unwrap();
    let mut answer = Answer {
        head,
        body: Vec::new(),
        ended,
        chunks: Vec::new(),
    };
    let mut rest = &seen[at + 4..];
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let Some(chunk) = rest.get(end + 2..end + 2 + size + 2) else {
                break;
            };
            assert!(chunk.ends_with(b"\r\n"));
            if size == 0 {
                answer.ended = Ended::Framed;
                return Some(answer);
            }
            answer.body.extend_from_slice(&chunk[..size]);
            answer.chunks.push(size);
            rest = &rest[end + 2 + size + 2..];
        }
        return (!open).then_some(answer);
    }
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    answer.body = rest[..rest.len().min(length)].to_vec();
    if rest.len() >= length {
        answer.ended = Ended::Framed;
        return Some(answer);
    }
    (!open).then_some(answer)
}

/// Splits SSE text into (event, data), checking the grammar of every event.
pub(crate) fn events(text: &str) -> Vec<(String, Value)> {
    assert!(text.ends_with("\n\n"), "an event is not closed: {text:?}");
    let events = text.trim_end_matches('\n').split("\n\n").map(|event| {
        let (first, second) = event.split_once('\n').expect("two lines");
        let name = first
            .strip_prefix("event: ")
            .expect("event line")
            .to_owned();
        let data: Value =
            serde_json::from_str(second.strip_prefix("data: ").expect("data line")).unwrap();
        assert_eq!(data["type"], name.as_str());
        (name, data)
    });
    events.collect()
}
