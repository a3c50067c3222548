use std::time::Duration;

use popmesh_proto::io::Notice;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::double::{Double, NOTICES, OTHER, start};

type Lines = BufReader<TcpStream>;

/// Opens the stream and reads up to its first comment, after which nothing is missed.
async fn listen(node: &Double) -> Lines {
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let request = format!("GET /v1/notices HTTP/1.1\r\nhost: {}\r\n\r\n", node.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.contains(": listening") {
        head.push_str(&line(&mut lines).await);
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
    lines
}

async fn line(lines: &mut Lines) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), lines.read_line(&mut line));
    read.await.expect("a line in time").unwrap();
    line
}

/// The next line that begins so; chunk sizes and blank lines are skipped.
async fn field(lines: &mut Lines, name: &str) -> String {
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
    let mut lines = listen(&node).await;
    for notice in [Notice::Reachable { device: OTHER }, Notice::ProgrammeChanged] {
        node.notices.send(notice.clone()).unwrap();
        let name = field(&mut lines, "event:").await;
        let data: Notice = serde_json::from_str(&field(&mut lines, "data:").await).unwrap();
        assert_eq!(data, notice);
        assert_eq!(name, serde_json::to_value(&notice).unwrap()["notice"]);
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let node = start().await;
    let mut lines = listen(&node).await;
    // Sent without a pause for the server between, so that its buffer must overflow.
    for _ in 0..NOTICES + 3 {
        node.notices.send(Notice::ProgrammeChanged).unwrap();
    }
    assert_eq!(field(&mut lines, "event:").await, "missed");
    assert_eq!(field(&mut lines, "data:").await, r#"{"missed":3}"#);
    assert_eq!(field(&mut lines, "event:").await, "programme_changed");
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let mut node = start().await;
    let mut lines = listen(&node).await;
    node.stop.take().unwrap().send(()).unwrap();
    while !line(&mut lines).await.is_empty() {}
    let served = tokio::time::timeout(Duration::from_secs(20), node.served.take().unwrap());
    served.await.expect("the API stops").unwrap().unwrap();
}
