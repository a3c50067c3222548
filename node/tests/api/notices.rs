use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use popmesh_proto::io::Notice;

use crate::double::{Double, NOTICES, OTHER, start};
use crate::wire::connect;

type Lines = Arc<Mutex<BufReader<TcpStream>>>;

/// Opens the stream and reads up to its first comment, after which nothing is missed.
async fn listen(node: &Double) -> Lines {
    let address = node.address;
    let open = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        let request = format!("GET /v1/notices HTTP/1.1\r\nhost: {address}\r\n\r\n");
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

#[tokio::test]
async fn notices_come_as_they_happen() {
    let node = start().await;
    let lines = listen(&node).await;
    for notice in [Notice::Reachable { device: OTHER }, Notice::ProgrammeChanged] {
        node.notices.send(notice.clone()).unwrap();
        let name = field(&lines, "event:").await;
        let data: Notice = serde_json::from_str(&field(&lines, "data:").await).unwrap();
        assert_eq!(data, notice);
        assert_eq!(name, serde_json::to_value(&notice).unwrap()["notice"]);
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let node = start().await;
    let lines = listen(&node).await;
    // Sent without a pause for the server between, so that its buffer must overflow.
    for _ in 0..NOTICES + 3 {
        node.notices.send(Notice::ProgrammeChanged).unwrap();
    }
    assert_eq!(field(&lines, "event:").await, "missed");
    assert_eq!(field(&lines, "data:").await, r#"{"missed":3}"#);
    assert_eq!(field(&lines, "event:").await, "programme_changed");
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let mut node = start().await;
    let lines = listen(&node).await;
    node.stop.take().unwrap().send(()).unwrap();
    while !line(&lines).await.is_empty() {}
    let served = tokio::time::timeout(Duration::from_secs(20), node.served.take().unwrap());
    served.await.expect("the API stops").unwrap().unwrap();
}
