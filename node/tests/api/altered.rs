//! Real bodies with some of their bytes changed: each is answered, and with a problem unless it still says something.

use std::io::{BufRead, BufReader, Write};

use crate::double::{DEVICE, start};
use crate::wire::{connect, request};

const BODIES: usize = 4_000;

/// A route and a body that it takes.
fn corpus() -> Vec<(&'static str, String)> {
    let claim = format!("{}:9", "01".repeat(16));
    vec![
        ("/v1/sales", r#"{"items":[{"sku":"CAP","quantity":2}],"drop":"neon","wait_ms":5000}"#.to_owned()),
        ("/v1/products", r#"{"sku":"CAP","name":"Cap","price":2500,"tax":1900}"#.to_owned()),
        ("/v1/lots", r#"{"drop":"neon","sku":"CAP","first":1,"last":100,"numbered":true}"#.to_owned()),
        (
            "/v1/transfers",
            format!(r#"{{"drop":"neon","sku":"CAP","units":{{"serials":"1-5,9"}},"to":"{DEVICE}"}}"#),
        ),
        ("/v1/redemptions", format!(r#"{{"claim":"{claim}","pin":"1234"}}"#)),
        ("/v1/refunds", format!(r#"{{"claim":"{claim}"}}"#)),
        ("/v1/settlements", format!(r#"{{"claim":"{claim}","payment":1,"failed":false}}"#)),
        (
            "/v1/drops",
            r#"{"drop":"neon","title":"Neon","pickup_within_ms":3600000,"unclaimed":"refund"}"#.to_owned(),
        ),
    ]
}

#[tokio::test]
async fn altered_bodies_are_answered_with_what_is_wrong() {
    let node = start().await;
    let to = node.address;
    let talk = tokio::task::spawn_blocking(move || {
        let corpus = corpus();
        let mut stream = BufReader::new(connect(to));
        // xorshift64: any chance will do, so long as it is the same each time.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        const PIECES: [&[u8]; 8] =
            [b"[", b"{", b"\"", b"-1", b"18446744073709551616", b"1e999", b"\\ud800", b"null"];
        let (mut done, mut refused) = (0, 0);
        for round in 0..BODIES {
            let (path, body) = &corpus[round % corpus.len()];
            let mut bytes = body.clone().into_bytes();
            let changes = if round < corpus.len() { 0 } else { 1 + below(3) };
            for _ in 0..changes {
                let at = below(bytes.len().max(1)).min(bytes.len());
                match below(6) {
                    0 if at < bytes.len() => drop(bytes.remove(at)),
                    1 => drop(bytes.splice(at..at, PIECES[below(PIECES.len())].iter().copied())),
                    2 => bytes.truncate(at),
                    3 => {
                        let piece = PIECES[below(2)].repeat(1 + below(5_000));
                        bytes.splice(at..at, piece);
                    }
                    _ if at < bytes.len() => bytes[at] = below(256) as u8,
                    _ => {}
                }
            }
            let head = request(to, "POST", path, &[("content-type", "application/json")], &bytes);
            let close = b"connection: close\r\n";
            let cut = head.windows(close.len()).position(|window| window == close).unwrap();
            // In one piece: small pieces wait for each other's acknowledgement.
            let whole = [&head[..cut], &head[cut + close.len()..]].concat();
            stream.get_mut().write_all(&whole).unwrap();
            let (status, problem) = answer(&mut stream);
            let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            assert!(changes > 0 || status < 300, "{path} refuses its own body {said}: {problem}");
            match status {
                200..300 => done += 1,
                400..500 => {
                    refused += 1;
                    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
                    assert!(problem["detail"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
                }
                _ => panic!("{status} to {said}: {problem}"),
            }
        }
        (done, refused)
    });
    let (done, refused) = talk.await.unwrap();
    println!("{BODIES} altered bodies: {refused} refused, {done} still said something");
    assert!(done > BODIES / 50 && refused > BODIES / 2);
}

fn answer(stream: &mut impl BufRead) -> (u16, String) {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "it hung up");
        if line.trim().is_empty() {
            break;
        }
        if status == 0 {
            status = line.split(' ').nth(1).unwrap().parse().unwrap();
        }
        if let Some(count) = line.to_lowercase().strip_prefix("content-length:") {
            length = count.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}
