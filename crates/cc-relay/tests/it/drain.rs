//! Stopping: what runs may finish, nothing new begins.

use std::time::Duration;

use relay_sim::{Fault, Script};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn a_running_stream_finishes_and_no_new_connection_is_taken() {
    let sim = sim().await;
    let mut relay = Relay::start(&sim, "", "");
    sim.push(
        Script::text("")
            .repeat_delta(20, "word ")
            .event_gap(Duration::from_millis(20)),
    );
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sim.wait_for(|stats| stats.events_sent > 3, PATIENCE)
        .await
        .unwrap();
    let server = relay.take();
    let stopping = spawn_blocking(move || server.stop(PATIENCE));
    let (raw, reset) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    let answer = answer(&raw, reset);
    assert_eq!(answer.end, End::Whole);
    assert!(answer.text().contains("message_stop"));
    assert_eq!(stopping.await.unwrap(), 0, "nothing was cut off");
    assert!(TcpStream::connect(&relay.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off_and_counted() {
    let sim = sim().await;
    let mut relay = Relay::start(&sim, "", "");
    sim.push(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sim.wait_for(
        |stats| stats.streams_open == 1 && stats.events_sent >= 3,
        PATIENCE,
    )
    .await
    .unwrap();
    let server = relay.take();
    let cut_off = spawn_blocking(move || server.stop(Duration::from_millis(100)))
        .await
        .unwrap();
    assert_eq!(cut_off, 1);
    let (raw, reset) = timeout(PATIENCE, read_all(&mut client)).await.unwrap();
    assert_eq!(answer(&raw, reset).end, End::Cut);
    assert_eq!(relay.records.wait(1).await.len(), 1);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_stop_up() {
    let sim = sim().await;
    let mut relay = Relay::start(&sim, "", "");
    let _idle = TcpStream::connect(&relay.address).await.unwrap();
    let keep = turn(false).replace("connection: close", "connection: keep-alive");
    let mut kept = TcpStream::connect(&relay.address).await.unwrap();
    kept.write_all(keep.as_bytes()).await.unwrap();
    relay.records.wait(1).await;
    let server = relay.take();
    let stopped = timeout(PATIENCE, spawn_blocking(move || server.stop(PATIENCE * 4))).await;
    assert_eq!(stopped.expect("at once").unwrap(), 0);
}

#[tokio::test]
async fn a_drain_can_be_hurried() {
    let sim = sim().await;
    let mut relay = Relay::start(&sim, "", "");
    sim.push(Script::text("x").fault(Fault::StallAfterEvents(3)));
    let mut client = TcpStream::connect(&relay.address).await.unwrap();
    client.write_all(turn(true).as_bytes()).await.unwrap();
    sim.wait_for(|stats| stats.events_sent >= 3, PATIENCE)
        .await
        .unwrap();
    let server = relay.take();
    let hurry = server.server().hurry();
    let stopping = spawn_blocking(move || server.stop(PATIENCE * 100));
    hurry.now();
    assert_eq!(timeout(PATIENCE, stopping).await.unwrap().unwrap(), 1);
    assert_eq!(relay.records.wait(1).await.len(), 1);
}
