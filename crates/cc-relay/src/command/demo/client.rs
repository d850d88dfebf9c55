//! The client of the demo: sends a turn through the relay and compares what comes back.
//!
//! In: the relay's address and a turn. Out: whether every byte was the one that the upstream sent, or
//! the break arrived as a break. It speaks to loopback only, with a credential that is made up.

use std::net::SocketAddr;

use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::turns::{Kind, TURN, Turn};

/// A credential of nobody.
const KEY: &str = "sk-ant-demo-not-a-key";

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The bytes of the answer are the upstream's, to the last.
    Identical {
        /// How many.
        bytes: u64,
    },
    /// The stream broke off and the client was told so; what came before is the upstream's.
    Aborted {
        /// How many.
        bytes: u64,
    },
    /// Something else came: the relay has failed.
    Different,
}

/// What came back.
struct Received {
    status: u16,
    bytes: u64,
    digest: [u8; 32],
    /// Whether the end was clean.
    whole: bool,
}

/// Sends a turn and compares the answer.
pub(super) async fn send(relay: SocketAddr, turn: Turn) -> Verdict {
    match exchange(relay, turn).await {
        Ok(received) => judge(turn, &received),
        // Before a head nothing is broken off by plan.
        Err(_) => Verdict::Different,
    }
}

fn judge(turn: Turn, received: &Received) -> Verdict {
    let sent = turn.answer().concat();
    let expected_status = if turn.kind == Kind::Overloaded {
        529
    } else {
        200
    };
    let length = usize::try_from(received.bytes).unwrap_or(usize::MAX);
    let digest = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
    let same = sent
        .get(..length)
        .is_some_and(|start| digest(start) == received.digest);
    let bytes = received.bytes;
    match (turn.kind == Kind::Cut, received.whole) {
        _ if !same || received.status != expected_status => Verdict::Different,
        (true, false) => Verdict::Aborted { bytes },
        (false, true) if length == sent.len() => Verdict::Identical { bytes },
        _ => Verdict::Different,
    }
}

async fn exchange(relay: SocketAddr, turn: Turn) -> anyhow::Result<Received> {
    let stream = TcpStream::connect(relay).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(turn.path())
        .header(header::HOST, relay.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("x-api-key", KEY)
        .header(TURN, turn.number)
        .body(Full::new(turn.body()))?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let (mut hash, mut bytes, mut whole) = (Sha256::new(), 0_u64, true);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                whole = false;
                break;
            };
            // Trailers are no bytes of the body.
            let data = frame.into_data().unwrap_or_default();
            hash.update(&data);
            bytes = bytes.saturating_add(data.len() as u64);
        }
        Ok(Received {
            status,
            bytes,
            digest: hash.finalize().into(),
            whole,
        })
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        received = &mut exchange => received,
        _ended = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(turn: Turn, take: usize, whole: bool, status: u16) -> Received {
        let sent = turn.answer().concat();
        let start = &sent[..take.min(sent.len())];
        Received {
            status,
            bytes: start.len() as u64,
            digest: Sha256::digest(start).into(),
            whole,
        }
    }

    #[test]
    fn only_the_same_bytes_with_the_right_end_pass() {
        let (text, cut, busy) = (Turn::new(0), Turn::new(6), Turn::new(9));
        let all = usize::MAX;
        assert!(matches!(
            judge(text, &received(text, all, true, 200)),
            Verdict::Identical { .. }
        ));
        assert!(matches!(
            judge(busy, &received(busy, all, true, 529)),
            Verdict::Identical { .. }
        ));
        assert_eq!(
            judge(cut, &received(cut, 100, false, 200)),
            Verdict::Aborted { bytes: 100 }
        );
        let wrong = [
            judge(text, &received(text, 100, true, 200)),
            judge(text, &received(text, all, false, 200)),
            judge(text, &received(Turn::new(14), all, true, 200)),
            judge(cut, &received(cut, 100, true, 200)),
            judge(cut, &received(cut, all, true, 200)),
            judge(busy, &received(busy, all, true, 200)),
        ];
        assert!(
            wrong.iter().all(|verdict| *verdict == Verdict::Different),
            "{wrong:?}"
        );
    }
}
