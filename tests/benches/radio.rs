//! What popmesh costs on the air, beside Automerge's own sync of the same documents over the same kind of link.
//!
//! `./scripts/test ble` once, for the virtual controllers, then `cargo build -p popmesh && cargo test -p popmesh-tests --bench radio`:
//! bytes do not depend on the profile. They are counted at the HCI, those of links alone, in both directions, with all headers: of Bluetooth, and, for popmesh, of noise, yamux and its own messages.
//! Automerge's messages go over the bare stream, neither encrypted nor authenticated, each with its length.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use automerge::Automerge;
use automerge::sync::{Message, State, SyncDoc};
use futures::{AsyncReadExt, AsyncWriteExt};
use popmesh_ble::testing::{Controllers, adapter, free_ports};
use popmesh_ble::{Ble, BleConfig, BleEvent, BleStream, ShortId};
use popmesh_tests::books::{agree, give, put_on_sale};
use popmesh_tests::{Api, Event, Node, Options};
use tokio::sync::mpsc;

/// Sales before anything is measured, and in the catch-up.
const BEFORE: u32 = 100;
const MISSED: u32 = 1_000;
/// A sale has gone to its neighbour, and the digest after it has come back.
const SETTLE: Duration = Duration::from_secs(5);
/// A whole number of all periods at work: presences come every minute or less, digests every two, pings every five.
const IDLE_MINUTES: u64 = 10;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

type Documents = BTreeMap<String, Automerge>;

fn main() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in [("hq", "hq"), ("till", "pos")] {
        event.enrol(name, roles, "hall-a")?;
    }
    let ports = free_ports::<2>()?;
    let _controllers = Controllers::start(&ports, &[(ports[0], ports[1])])?;
    let start = |(name, port): (&str, u16)| {
        let arguments = ["--ble-only", "--ble", &format!("tcp:127.0.0.1:{port}")].map(str::to_owned);
        Node::start(&event, name, Options { arguments: arguments.into(), ..Options::default() })
    };
    let nodes = ["hq", "till"].into_iter().zip(ports).map(start).collect::<Result<Vec<_>>>()?;
    let (hq, till): (&Api<'_>, &Api<'_>) = (&nodes[0], &nodes[1]);
    linked(till)?;
    put_on_sale(hq, "CAP", BEFORE + MISSED + 10)?;
    agree(&[hq, till])?;
    give(hq, "CAP", BEFORE + MISSED + 5, till)?;
    agree(&[hq, till])?;
    sell(till, BEFORE)?;
    agree(&[hq, till])?;
    std::thread::sleep(SETTLE);

    let first = documents(&event, till)?;
    let before = on_air(till)?;
    sell(till, 1)?;
    agree(&[hq, till])?;
    std::thread::sleep(SETTLE);
    let sale = on_air(till)? - before;
    let second = documents(&event, till)?;

    let before = each_way(till)?;
    let mut last = before;
    for minute in 1..=IDLE_MINUTES {
        std::thread::sleep(Duration::from_secs(60));
        let now = each_way(till)?;
        println!("idle minute {minute}: {} bytes in, {} out", now[0] - last[0], now[1] - last[1]);
        last = now;
    }
    let idle = [last[0] - before[0], last[1] - before[1]];

    till.set_links(false)?;
    sell(till, MISSED)?;
    let before = on_air(till)?;
    till.set_links(true)?;
    let began = Instant::now();
    linked(till)?;
    let took = agree(&[hq, till])?;
    println!("linked and caught up in {:?}, of which {took:?} after the link was up", began.elapsed());
    std::thread::sleep(SETTLE);
    let missed = on_air(till)? - before;
    let third = documents(&event, till)?;
    for node in nodes {
        node.stop()?;
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (their_sale, their_missed) = runtime.block_on(async {
        let sale = automerge_sync(&first, &second).await?;
        anyhow::Ok((sale, automerge_sync(&second, &third).await?))
    })?;
    println!("\nbytes at the HCI                       popmesh  Automerge's sync   ratio");
    for (what, ours, theirs) in [
        ("one sale", sale, Some(their_sale)),
        ("1,000 sales missed, with the link", missed, Some(their_missed)),
        ("ten idle minutes", idle[0] + idle[1], None),
    ] {
        match theirs {
            Some(theirs) => println!("{what:36} {ours:9} {theirs:17} {:7.2}", ours as f64 / theirs as f64),
            None => println!("{what:36} {ours:9}"),
        }
    }
    let each_second = idle.map(|bytes| bytes as f64 / (60 * IDLE_MINUTES) as f64);
    println!(
        "an idle link takes {:.1} bytes a second one way, {:.1} the other",
        each_second[0], each_second[1]
    );
    Ok(())
}

fn linked(device: &Api<'_>) -> Result<()> {
    device.wait_until("a link", LONG, |device| Ok((!device.links()?.is_empty()).then_some(())))?;
    Ok(())
}

/// Sells so many units, one after the other.
fn sell(device: &Api<'_>, units: u32) -> Result<()> {
    for _ in 0..units {
        device.sell("CAP", Duration::ZERO, None)?.ok()?;
    }
    Ok(())
}

/// Bytes of links that have passed a node's adapter, in and out.
fn each_way(device: &Api<'_>) -> Result<[u64; 2]> {
    let ble = &device.get("/v1/peers")?["ble"];
    let bytes = |name: &str| ble[name].as_u64().with_context(|| format!("no {name} in {ble}"));
    Ok([bytes("link_bytes_in")?, bytes("link_bytes_out")?])
}

fn on_air(device: &Api<'_>) -> Result<u64> {
    Ok(each_way(device)?.iter().sum())
}

/// Every document of a device, as Automerge has it.
fn documents(event: &Event, device: &Api<'_>) -> Result<Documents> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().to_str().context("a path")?;
    event.popmesh(&["export", to, "--api", device.api()])?;
    let mut documents = Documents::new();
    gather(folder.path(), &mut documents)?;
    ensure!(!documents.is_empty(), "nothing was exported");
    Ok(documents)
}

fn gather(folder: &Path, documents: &mut Documents) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "automerge") {
            let document = Automerge::load(&std::fs::read(&path)?)?;
            documents.insert(path.file_name().context("a name")?.to_string_lossy().into_owned(), document);
        }
    }
    Ok(())
}

/// Brings documents up to date over a link between two hosts, and says what that took on the air.
async fn automerge_sync(behind: &Documents, ahead: &Documents) -> Result<u64> {
    let ports = free_ports::<2>()?;
    let _controllers = Controllers::start(&ports, &[(ports[0], ports[1])])?;
    let (one, mut sighted) = host(ports[0], 1)?;
    let (_other, mut incoming) = host(ports[1], 2)?;
    let dial = async {
        while let Some(event) = sighted.recv().await {
            if let BleEvent::Sighted { id: ShortId([2, ..]), .. } = event {
                match one.dial(ShortId([2; 4])).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => println!("dialled again: {error}"),
                }
            }
        }
        bail!("the host ended")
    };
    let accept = async {
        while let Some(event) = incoming.recv().await {
            if let BleEvent::Incoming(stream) = event {
                return Ok(stream);
            }
        }
        bail!("the host ended")
    };
    let (mut near, mut far) =
        tokio::time::timeout(LONG, async { tokio::try_join!(dial, accept) }).await.context("no link")??;
    for mut events in [sighted, incoming] {
        tokio::spawn(async move { while events.recv().await.is_some() {} });
    }
    let before = one.counters();
    for (name, full) in ahead {
        let mut full = full.clone();
        let mut partial = behind.get(name).cloned().unwrap_or_else(Automerge::new);
        let (mut near_state, mut far_state) = (State::new(), State::new());
        loop {
            let to_far = full.generate_sync_message(&mut near_state);
            let done = to_far.is_none();
            if let Some(message) = to_far {
                let message = carry(&mut near, &mut far, message).await?;
                partial.receive_sync_message(&mut far_state, message)?;
            }
            match partial.generate_sync_message(&mut far_state) {
                Some(message) => {
                    let message = carry(&mut far, &mut near, message).await?;
                    full.receive_sync_message(&mut near_state, message)?;
                }
                None if done => break,
                None => {}
            }
        }
        ensure!(full.get_heads() == partial.get_heads(), "{name} differs");
    }
    let after = one.counters();
    Ok(after.link_bytes_in + after.link_bytes_out - before.link_bytes_in - before.link_bytes_out)
}

fn host(port: u16, id: u8) -> Result<(Ble, mpsc::Receiver<BleEvent>)> {
    let (adapter, keys, id) = (adapter(port), vec![[7; 32].into()], ShortId([id; 4]));
    Ok(Ble::start(BleConfig { adapter, keys, id, links_max: 4, address_for: 10 * LONG })?)
}

/// Sends a message over the link and reads it at the other end.
async fn carry(from: &mut BleStream, to: &mut BleStream, message: Message) -> Result<Message> {
    let bytes = message.encode();
    let length = u32::try_from(bytes.len())?.to_be_bytes();
    let framed = [&length[..], &bytes].concat();
    let mut received = vec![0; framed.len()];
    let send = async {
        from.write_all(&framed).await?;
        from.flush().await
    };
    tokio::try_join!(send, to.read_exact(&mut received))?;
    Ok(Message::decode(&received[4..])?)
}
