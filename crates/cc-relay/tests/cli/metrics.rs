//! The page that Prometheus reads, of the real binary.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use relay_sim::Sim;

use crate::reload::{Served, config};
use crate::support::Home;

fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /m HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_page_is_served_where_the_file_says() {
    let (sim, home) = (Sim::builder().start().await.unwrap(), Home::new());
    let metrics =
        "metrics: {enabled: true, prometheus_endpoint: /m, prometheus_listen: '127.0.0.1:0'}\n";
    home.write("relay.yaml", &config(&sim, "sk-ant-secret", metrics));
    let served = Served::start(&home, "relay.yaml");
    let line = served.wait("metrics.start");
    let (_, rest) = line.split_once("http://").unwrap();
    let address = rest.split('/').next().unwrap();
    assert!(served.turn().contains("200 OK"));
    let text = loop {
        let text = get(address);
        // The record is counted behind the answer's last byte.
        if text.contains("ccrelay_requests_total{") {
            break text;
        }
    };
    let counted =
        r#"ccrelay_requests_total{provider="up",model="claude-opus-5-5",status_class="2xx"} 1"#;
    assert!(text.contains(counted), "{text}");
    assert!(!text.contains("sk-ant"));
    // A port that is in use is said before anything runs.
    let taken = format!("metrics: {{enabled: true, prometheus_listen: '{address}'}}\n");
    let file = home.write("other.yaml", &config(&sim, "sk-ant-secret", &taken));
    let refused = home.run(&["serve", "--config", file.to_str().unwrap()]);
    assert!(
        refused
            .expect(75)
            .stderr
            .contains("metrics cannot be served")
    );
}
