//! `prices update`: a list out of what others publish.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::Home;

/// In the form of genai-prices' `data.json`: flat and stepped prices, days, hours, names.
const PUBLIC: &str = r#"[
  {"id": "anthropic", "name": "A", "models": [
    {"id": "claude-opus-5-5", "match": {"starts_with": "claude-opus-5-5"},
      "prices": {"input_mtok": 3, "output_mtok": 15, "cache_read_mtok": 0.15, "cache_write_mtok": 3.75, "web_searches_kcount": 10}},
    {"id": "claude-next-1", "match": {"or": [{"equals": "claude-next"}, {"contains": "next"}]},
      "prices": [
        {"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 2}]}, "output_mtok": 5}},
        {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 4, "output_mtok": 20, "cache_write_1h_mtok": 9}}]},
    {"id": "claude-odd", "match": {"equals": "claude-odd"},
      "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 1, "price": 2}, {"start": 2, "price": 3}]}, "output_mtok": 5}}
  ]},
  {"id": "deepseek", "models": [
    {"id": "deepseek-day", "match": {"equals": "deepseek-day"}, "prices": [
      {"prices": {"input_mtok": 1, "output_mtok": 2}},
      {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 2, "output_mtok": 4}}]}
  ]},
  {"id": "openrouter", "models": [
    {"id": "anthropic/claude-opus-5.5", "match": {"equals": "anthropic/claude-opus-5.5"}, "prices": {"input_mtok": 5, "output_mtok": 25}},
    {"id": "free", "match": {"equals": "free"}, "prices": {}}
  ]},
  {"id": "others", "models": [{"id": "x", "match": {"equals": "x"}, "prices": {"input_mtok": 1, "output_mtok": 1}}]}
]"#;

#[test]
fn a_list_is_made_of_what_is_published() {
    let home = Home::new();
    let from = home.write("data.json", PUBLIC).display().to_string();
    let to = home.path("prices.json").display().to_string();
    let dry = ["prices", "update", "--from", &from, "--dry-run"];
    let told = home.run(&dry).expect(0).stdout;
    assert!(
        told.contains("~ claude-opus-5-5: input 4 -> 3, output 20 -> 15"),
        "{told}"
    );
    assert!(told.contains("+ claude-next since 2027-01-01"), "{told}");
    assert!(!home.path("prices.json").exists());
    let ran = home
        .run(&["prices", "update", "--from", &from, "--output", &to])
        .expect(0);
    assert_eq!(ran.stdout, told);
    assert!(ran.stderr.contains("prices: {list: "), "{ran:?}");
    let list: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
    let models = &list["models"];
    let opus = &models["claude-opus-5-5"];
    assert_eq!(
        (&opus["web_search"], &opus["fast"]),
        (&10.0.into(), &2.0.into()),
        "{list}"
    );
    assert_eq!(opus["cache_write_1h"], 6.0, "twice the input");
    let next = &models["claude-next"];
    assert_eq!(next[0]["above"]["prompt_tokens"], 200_000);
    assert_eq!(next[0]["above"]["cache_write_1h"], 4.0);
    assert_eq!(
        (&next[1]["since"], &next[1]["cache_write_1h"]),
        (&"2027-01-01".into(), &9.0.into())
    );
    assert_eq!(next, &models["claude-next-1"]);
    for unknown in ["claude-odd", "deepseek-day", "x"] {
        assert!(models.get(unknown).is_none(), "{unknown}");
    }
    let resold = list["providers"]["openrouter"].as_object().unwrap();
    assert_eq!(resold.keys().collect::<Vec<_>>(), ["claude-opus-5-5"]);
    // In force, it is what the next one is held against, and where it goes.
    let config = home.write("relay.yaml", &format!("prices: {{list: '{to}'}}\n"));
    let config = config.display().to_string();
    let again = home
        .run(&["prices", "update", "-c", &config, "--from", &from])
        .expect(0);
    assert_eq!(again.stdout, "");
    let shown = home.run(&["prices", "-c", &config]).expect(0).stdout;
    assert!(shown.contains("claude-opus-5-5 at openrouter"), "{shown}");
}

#[test]
fn it_is_fetched_whole_or_nothing_changes() {
    let home = Home::new();
    let to = home.write("prices.json", "mine").display().to_string();
    for (status, body, code) in [
        ("200 OK", PUBLIC, 0),
        ("404 Not Found", "", 1),
        ("200 OK", "[]", 1),
        ("200 OK", "{}", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let from = format!("http://{}/prices/data.json", listener.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        std::fs::write(&to, "mine").unwrap();
        let ran = home
            .run(&["prices", "update", "--from", &from, "--output", &to])
            .expect(code);
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /prices/data.json HTTP/1.1\r\n")
        );
        let kept = std::fs::read_to_string(&to).unwrap() == "mine";
        assert_eq!(kept, code != 0, "{ran:?}");
    }
    let nowhere = home.run(&["prices", "update"]).expect(2);
    assert!(nowhere.stderr.contains("--output FILE"), "{nowhere:?}");
}
