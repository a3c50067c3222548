//! A node that has sold for long takes no more memory than the same node after a restart.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::put_on_sale;
use popmesh_tests::{Event, Node, Options};
use serde_json::json;

/// So many units are sold, one a sale, over so many connections at once.
const SALES: u32 = 8_000;
const CONNECTIONS: u32 = 8;
/// So often a console asks for all claims meanwhile.
const LOOKS: u32 = 8;
/// What a node may take beside a quarter more than after a restart: buffers of connections, and what is about to be given
/// back.
const BESIDE_KB: u64 = 16 << 10;

/// Memory that the process has for itself, in kB.
fn memory_kb(node: &Node<'_>) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", node.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Sells units one after the other over one connection, each under a key of its own.
fn sell(address: &str, name: &str, count: u32) -> Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_ref().set_nodelay(true)?;
    let body = json!({"items": [{"sku": "CAP"}], "wait_ms": 0}).to_string();
    for number in 0..count {
        let head = format!(
            "POST /v1/sales HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             idempotency-key: {name}-{number}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
        stream.read_line(&mut status)?;
        while stream.read_line(&mut line)? > 2 {
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse()?;
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        ensure!(status.starts_with("HTTP/1.1 201"), "{status}{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

#[test]
fn what_it_takes_is_what_a_restart_would_bring_back() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("till", "hq,pos", "hall-a")?;
    let mut till = Node::start(&event, "till", Options::loopback(&[]))?;
    put_on_sale(&till, "CAP", SALES)?;
    let begun = memory_kb(&till)?;
    let address = till.api().trim_start_matches("http://").to_owned();
    for look in 0..LOOKS {
        thread::scope(|scope| {
            let sellers: Vec<_> = (0..CONNECTIONS)
                .map(|seller| {
                    let (address, name) = (&address, format!("{look}-{seller}"));
                    scope.spawn(move || sell(address, &name, SALES / LOOKS / CONNECTIONS))
                })
                .collect();
            sellers.into_iter().try_for_each(|seller| seller.join().expect("a seller panicked"))
        })?;
        till.claims()?;
    }
    let sold = memory_kb(&till)?;
    till.kill()?;
    till.restart()?;
    assert_eq!(till.stock("CAP")?["mesh"]["sold"], SALES);
    let restarted = memory_kb(&till)?;
    println!("{begun} kB before the first sale, {sold} kB after {SALES}, {restarted} kB after a restart");
    ensure!(
        sold <= restarted + restarted / 4 + BESIDE_KB,
        "{sold} kB after {SALES} sales, {restarted} kB after a restart"
    );
    Ok(())
}
