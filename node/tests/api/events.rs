use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use popmesh_proto::fact::{Fact, Signal};
use serde_json::Value;

use crate::double::{DEVICE, Double, OTHER, entry, start};
use crate::wire::{connect, send};

type Lines = Arc<Mutex<BufReader<TcpStream>>>;

fn fact(seq: u64) -> Fact {
    Fact::ProgrammeChanged { at_ms: seq, entry: entry(seq), by: DEVICE, by_name: "till-1".to_owned() }
}

/// Opens the stream and reads up to its first comment, after which nothing is missed.
async fn listen(node: &Double, headers: &'static str) -> Lines {
    let address = node.address;
    let open = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        let request = format!("GET /v1/events HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Arc::new(Mutex::new(BufReader::new(stream)))
    });
    let lines = open.await.unwrap();
    let mut head = String::new();
    while !head.contains(": listening") {
        head.push_str(&line(&lines).await);
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
    lines
}

async fn line(lines: &Lines) -> String {
    let lines = Arc::clone(lines);
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        lines.lock().unwrap().read_line(&mut line).unwrap();
        line
    });
    read.await.unwrap()
}

/// The next line that begins so; chunk sizes and blank lines are skipped.
async fn field(lines: &Lines, name: &str) -> String {
    loop {
        let line = line(lines).await;
        assert!(!line.is_empty(), "the stream ended before {name}");
        if let Some(value) = line.strip_prefix(name) {
            return value.trim().to_owned();
        }
    }
}

async fn page(node: &Double, query: &str) -> crate::wire::Answer {
    let path = format!("/v1/events{query}");
    send(node.address, "GET", &path, &[("accept", "application/json")], b"").await
}

#[tokio::test]
async fn facts_come_as_they_happen_with_ids_and_signals_without() {
    let node = start().await;
    let lines = listen(&node, "").await;
    let begins = field(&lines, "id:").await;
    node.events.signal(Signal::Reachable { device: OTHER, name: "till-2".to_owned() });
    assert_eq!(field(&lines, "event:").await, "reachable");
    let data: Value = serde_json::from_str(&field(&lines, "data:").await).unwrap();
    assert_eq!((&data["event"], &data["name"]), (&"reachable".into(), &"till-2".into()));
    // A block of its own, and no id in it.
    assert_eq!(line(&lines).await.trim(), "");
    for (number, fact) in [fact(7), fact(8)].into_iter().enumerate() {
        node.events.tell(vec![fact.clone()]).unwrap();
        let id = field(&lines, "id:").await;
        assert_eq!(id, begins.replace(":0", &format!(":{}", number + 1)));
        assert_eq!(field(&lines, "event:").await, "programme_changed");
        let data = field(&lines, "data:").await;
        assert_eq!(serde_json::from_str::<Fact>(&data).unwrap(), fact);
        assert!(data.starts_with(r#"{"event":"programme_changed","at_ms":"#), "{data}");
    }
}

#[tokio::test]
async fn a_reader_goes_on_after_the_id_that_it_has() {
    let node = start().await;
    node.events.tell((1..=300).map(fact).collect()).unwrap();
    let all = page(&node, "?limit=1000").await.json();
    let ids: Vec<String> =
        all["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 300);
    assert!(all.get("next").is_none());
    assert_eq!(all["items"][4]["data"]["entry"], entry(5).to_string());
    // By the header, and by a parameter; the header is newer, where a browser connects again.
    let headers: &'static str = format!("last-event-id: {}\r\n", ids[9]).leak();
    for lines in [
        listen(&node, headers).await,
        follow(&node, &format!("?after={}", ids[9]), "").await,
        follow(&node, &format!("?after={}", ids[3]), headers).await,
    ] {
        assert_eq!(field(&lines, "id:").await, ids[9], "where it is");
        for id in &ids[10..] {
            assert_eq!(field(&lines, "id:").await, *id);
        }
        drop(lines);
    }
    // Page by page.
    let mut after = String::new();
    let mut found = Vec::new();
    loop {
        let page = page(&node, &format!("?limit=70{after}")).await.json();
        found.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, ids);
    assert_eq!(page(&node, &format!("?after={}", ids[299])).await.json(), serde_json::json!({ "items": [] }));
}

async fn follow(node: &Double, query: &str, headers: &str) -> Lines {
    let address = node.address;
    let request = format!("GET /v1/events{query} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
    let open = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        stream.write_all(request.as_bytes()).unwrap();
        Arc::new(Mutex::new(BufReader::new(stream)))
    });
    open.await.unwrap()
}

#[tokio::test]
async fn an_id_that_is_no_good_here_begins_anew_and_one_that_is_none_is_refused() {
    let node = start().await;
    node.events.tell((1..=3).map(fact).collect()).unwrap();
    let id = page(&node, "").await.json()["items"][1]["id"].as_str().unwrap().to_owned();
    let (name, _) = id.split_once(':').unwrap();
    let (_, run) = name.split_once('-').unwrap();
    let other_run = format!("{}-{}:2", &name[..8], "9".repeat(16));
    for (after, why) in [
        (format!("00000000-{run}:2"), "other_node"),
        (other_run, "set_back"),
        (format!("{name}:4"), "set_back"),
        (format!("{name}:{}", u64::MAX), "set_back"),
    ] {
        let lines = follow(&node, &format!("?after={after}"), "").await;
        assert_eq!(field(&lines, "event:").await, "reset", "{after}");
        let data: Value = serde_json::from_str(&field(&lines, "data:").await).unwrap();
        assert_eq!((&data["event"], &data["why"]), (&"reset".into(), &why.into()), "{after}");
        assert_eq!(data["after"], format!("{name}:0"));
        for number in 1..=3 {
            assert_eq!(field(&lines, "id:").await, format!("{name}:{number}"), "all that there is follows");
        }
        let answer = page(&node, &format!("?after={after}")).await;
        assert_eq!(answer.status, 410, "{after}");
        let problem = answer.json();
        assert_eq!(
            (&problem["code"], &problem["why"], &problem["after"]),
            (&"events_reset".into(), &why.into(), &format!("{name}:0").into())
        );
    }
    for none in [
        "",
        "7",
        "x:1",
        &format!("{name}:"),
        &format!("{name}:-1"),
        &format!("{name}:01"),
        &format!("{name}:99999999999999999999"),
        &name.to_uppercase(),
        &format!("{name}:1:1"),
    ] {
        let answer = page(&node, &format!("?after={none}")).await;
        assert_eq!(answer.status, 422, "{none}");
        assert_eq!(answer.json()["field"], "after");
        if !none.is_empty() {
            let answer = send(node.address, "GET", "/v1/events", &[("last-event-id", none)], b"").await;
            assert_eq!(
                (answer.status, answer.json()["field"].clone()),
                (422, "Last-Event-ID".into()),
                "{none}"
            );
        }
    }
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?limit=4294967296", "?before=x"] {
        assert_eq!(page(&node, query).await.status, 422, "{query}");
    }
    send(node.address, "GET", "/v1/events", &[("accept", "image/png")], b"")
        .await
        .problem(406, "not_acceptable");
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let mut node = start().await;
    let lines = listen(&node, "").await;
    node.stop.take().unwrap().send(()).unwrap();
    while !line(&lines).await.is_empty() {}
    let served = tokio::time::timeout(Duration::from_secs(20), node.served.take().unwrap());
    served.await.expect("the API stops").unwrap().unwrap();
}
