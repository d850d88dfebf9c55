//! The page that Prometheus reads, of the real binary.

use relay_sim::Sim;

use crate::reload::{Served, config, say};
use crate::support::Home;
use crate::switches::{Load, fixed};

fn get(address: &str, path: &str) -> String {
    say(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n\r\n"),
    )
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
        let text = get(address, "/m");
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

/// Returns the sum of the samples of this family that hold these words.
fn sum(page: &str, family: &str, words: &str) -> u64 {
    let samples = page
        .lines()
        .filter(|line| line.starts_with(family) && line.contains(words));
    samples
        .map(|line| {
            let (_, value) = line.rsplit_once(' ').unwrap();
            value.trim_end_matches(".0").parse::<u64>().unwrap()
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_whole_while_requests_run_and_counts_each_once() {
    let (sim, home) = (fixed().await, Home::new());
    let metrics = "metrics: {enabled: true, prometheus_listen: '127.0.0.1:0'}\n";
    home.write("relay.yaml", &config(&sim, "sk-ant-secret", metrics));
    let served = Served::start(&home, "relay.yaml");
    let line = served.wait("metrics.start");
    let (_, rest) = line.split_once("http://").unwrap();
    let (page, _) = rest.split_once('/').unwrap();
    let scrape = || {
        let text = get(page, "/metrics");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        text
    };
    let load = Load::start(&served.address);
    let mut counted = 0;
    for _ in 0..8 {
        load.each(1).await;
        let now = sum(
            &scrape(),
            "ccrelay_requests_total{",
            r#"status_class="2xx""#,
        );
        assert!(now >= counted, "a counter went from {counted} to {now}");
        counted = now;
    }
    assert!(counted > 0, "the page moves while requests run");
    let answered = load.end();
    // The record is counted behind the answer's last byte.
    while sum(
        &scrape(),
        "ccrelay_requests_total{",
        r#"status_class="2xx""#,
    ) < answered
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let last = scrape();
    assert_eq!(sum(&last, "ccrelay_requests_total{", ""), answered);
    assert_eq!(
        sum(&last, "ccrelay_request_duration_seconds_count{", ""),
        answered
    );
    assert_eq!(sum(&last, "ccrelay_provider_up{", r#"provider="up""#), 1);
}
