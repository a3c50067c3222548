//! A small HTTP server on loopback, for pages that are none of a node's: what the demo is controlled by, and pages with faults
//! that tests must find.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The longest head and the longest body that are taken.
const HEAD_BYTES_MAX: u64 = 16 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Within this a request must be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, with what is asked for behind it.
    pub path: String,
    /// The headers, by lower-case names, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside length and connection.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Page {
    /// A page of HTML.
    pub fn html(body: impl Into<String>) -> Self {
        let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Self { status: 200, headers, body: body.into() }
    }

    /// Nothing but a status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }
}

/// Answers requests at a free port of loopback for as long as the process lives, each on a thread of its own.
///
/// # Errors
/// When there is no free port.
pub fn serve(answer: impl Fn(&Asked) -> Page + Send + Sync + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // Whoever goes before it is answered harms nobody.
            thread::spawn(move || drop(one(&stream, &*answer)));
        }
    });
    Ok(address)
}

fn one(stream: &TcpStream, answer: &dyn Fn(&Asked) -> Page) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let asked = read(&mut reader)?;
    let page = answer(&asked);
    let mut head = format!("HTTP/1.1 {} -\r\nconnection: close\r\ncache-control: no-store\r\n", page.status);
    for (name, value) in &page.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", page.body.len()));
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(page.body.as_bytes())?;
    Ok(())
}

fn read(reader: &mut impl BufRead) -> Result<Asked> {
    let mut asked = Asked::default();
    {
        let mut head = reader.take(HEAD_BYTES_MAX);
        let mut line = String::new();
        head.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        asked.method = words.next().context("no method")?.to_owned();
        asked.path = words.next().context("no path")?.to_owned();
        loop {
            let mut line = String::new();
            ensure!(head.read_line(&mut line)? > 0, "the head has no end");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            asked.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    let length: usize = asked.header("content-length").parse().unwrap_or(0);
    ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    asked.body = String::from_utf8(body).context("a body in UTF-8")?;
    Ok(asked)
}
