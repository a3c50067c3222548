//! A hostile device: admitted to the event, with a certificate like any other, and bent on keeping one node from its work.
//!
//! It runs popmesh's own mesh and nothing behind it, links to one address, says `flooding`, and goes on until it is
//! killed. It gives way to others on the machine (`nice`), since what is to be seen is what it does to the node and not
//! that it uses up a processor itself.

mod author;
mod manner;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use popmesh::folder::Folder;
use popmesh::mesh::{Listen, Mesh, MeshConfig, MeshEvent};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use author::Author;
use manner::Flood;

/// How it gives way.
const NICE: i32 = 10;
/// Connections that it tries to hold at once.
const CONNECTIONS: usize = 10_000;
/// It holds no more than this many of its own files open, and goes on with others as they are closed.
const OPEN_AT_ONCE: usize = 512;
/// For how long it holds a connection that says nothing.
const HOLD: Duration = Duration::from_secs(20);
/// What it waits for when there is no room.
const PAUSE: Duration = Duration::from_micros(200);

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Manner {
    /// Valid entries without end, small ones
    Valid,
    /// Valid entries without end, as large as they may be
    Large,
    /// Entries that never fit, and heads of chains that nobody has
    Gaps,
    /// Gossip of valid entries that everybody has, ever in other pieces
    Gossip,
    /// Entries with wrong signatures
    Forged,
    /// Wants everything, again and again
    Wants,
    /// The same, and reads none of it
    Slow,
    /// Connections, 10,000 of them
    Connections,
}

/// Floods a node.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data folder of an enrolled device
    #[arg(long)]
    data: PathBuf,
    /// Where the node listens for the mesh
    #[arg(long)]
    at: SocketAddr,
    /// What to do
    #[arg(long)]
    manner: Manner,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rustix::process::nice(NICE).context("give way to others")?;
    if arguments.manner == Manner::Connections {
        connect(arguments.at).await
    } else {
        flood(&arguments).await
    }
}

async fn flood(arguments: &Arguments) -> Result<()> {
    let identity = Folder::new(&arguments.data).identity()?;
    let (mesh, mut events) = Mesh::start(MeshConfig {
        secret: identity.key.seed().into(),
        event: identity.charter.event().0,
        membership: popmesh::assemble::membership(&identity)?,
        certificate: identity.certificate.bytes().to_vec(),
        admit: Arc::new(|_, _| Ok(())),
        listen: Listen { tcp: true, quic: false, ..Listen::default() },
        peers: vec![format!("/ip4/{}/tcp/{}", arguments.at.ip(), arguments.at.port()).parse()?],
        mdns: false,
        ble: None,
    })
    .await?;
    let mut flood = Flood::new(arguments.manner, Author::new(identity));
    let (mut sent, mut linked) = (0_u64, None);
    loop {
        // One that reads nothing hears nothing but that it is linked.
        let deaf = arguments.manner == Manner::Slow && linked.is_some();
        while let Some(event) = if deaf { None } else { events.try_recv().ok() } {
            match event {
                MeshEvent::LinkUp { device, .. } => {
                    linked = Some(device);
                    flood.linked();
                    println!("flooding");
                }
                MeshEvent::LinkWidth { .. } => {}
                MeshEvent::LinkDown { .. } => {
                    linked = None;
                    println!("cut off after {sent} messages");
                }
                MeshEvent::Message { .. } => {}
                MeshEvent::Gossip { token, .. } => mesh.judge(token, popmesh::mesh::Verdict::Ignore),
            }
        }
        let Some(to) = linked else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let next = flood.next();
        if next.gossip {
            mesh.publish(next.bytes.into());
            sent += 1;
            if sent.is_multiple_of(64) {
                tokio::time::sleep(PAUSE).await;
            }
            continue;
        }
        let bytes = bytes::Bytes::from(next.bytes);
        while linked.is_some() && !mesh.send(to, bytes.clone()) {
            tokio::time::sleep(PAUSE).await;
            if events.capacity() < events.max_capacity() {
                break;
            }
        }
        sent += 1;
        tokio::task::yield_now().await;
    }
}

/// Opens connections that say nothing, as many as there may be.
async fn connect(at: SocketAddr) -> Result<()> {
    println!("flooding");
    let room = Arc::new(tokio::sync::Semaphore::new(OPEN_AT_ONCE));
    for number in 1.. {
        let permit = Arc::clone(&room).acquire_owned().await?;
        tokio::spawn(async move {
            if let Ok(Ok(mut stream)) = timeout(HOLD, TcpStream::connect(at)).await {
                let mut what_it_says = [0; 1_024];
                let held = async { while matches!(stream.read(&mut what_it_says).await, Ok(1..)) {} };
                let _ = timeout(HOLD, held).await;
            }
            drop(permit);
        });
        if number % CONNECTIONS == 0 {
            println!("{number} connections");
        }
    }
    Ok(())
}
