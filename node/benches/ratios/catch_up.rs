//! A device that catches up over sync, against Automerge's own sync protocol on the same changes.
//!
//! Both run in one thread, and in the time are both sides and the write to SQLite. popmesh checks signatures and
//! admits; Automerge does neither.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use automerge::Automerge;
use automerge::sync::{Message, State, SyncDoc};
use popmesh_proto::query::{Answer, Query};
use popmesh_store::Store;

use crate::Scale;
use crate::event::{Event, Night};
use crate::local::{Disk, Local, Meeting, meet};
use crate::measure::{Aim, Samples, Unit, compare, ratio, say};
use crate::sqlite::Bare;

const TILLS: u8 = 10;

type Documents = BTreeMap<String, Automerge>;

pub(crate) fn run(scale: Scale, folder: &Path) {
    let event = Event::new();
    let mut night = Night::of(&event, 1, TILLS, scale.of(10_000, 1_000));
    println!("  {} entries by {} devices", night.entries().len(), TILLS + 1);

    let full = documents(&mut night.hq);
    let (mut our_time, mut their_time) = (Samples::new(), Samples::new());
    let (mut our_bytes, mut their_bytes) = (0, 0);
    for round in 0..scale.of(15, 3) {
        let ours = folder.join(format!("ours-{round}"));
        let (seconds, meeting) = cold(&event, &mut night, &ours, round as u64);
        our_time.add(seconds);
        our_bytes = meeting.bytes;
        if round == 0 {
            println!("  {} messages; made-up time waited: {} ms", meeting.messages, meeting.waited_ms);
        }
        let theirs = folder.join(format!("theirs-{round}"));
        let mut empty: Documents = full.keys().map(|name| (name.clone(), Automerge::new())).collect();
        let (seconds, bytes) = automerge_sync(&full, &mut empty, &theirs);
        their_time.add(seconds);
        their_bytes = bytes;
    }
    say("all entries, checked and stored", &our_time, Unit::Seconds);
    say("Automerge's sync of them, stored", &their_time, Unit::Seconds);
    compare("time, of Automerge's", &our_time, &their_time, Aim::AtMost(0.8));
    println!("  {our_bytes} bytes over the link; Automerge's sync: {their_bytes}");
    ratio("bytes, of Automerge's", our_bytes as f64 / their_bytes as f64, Aim::AtMost(0.5));

    let had = night.entries().to_vec();
    let mut behind = full;
    night.one_more_sale();
    let ahead = documents(&mut night.hq);
    let config = event.newcomer(1_000);
    let mut late = Local::reopen(config, had.into_iter(), Disk::memory(), night.hq.now());
    let one = meet(&mut night.hq, &mut late);
    assert_eq!(late.stored, 1);
    let (_, one_theirs) = automerge_sync(&ahead, &mut behind, &folder.join("one"));
    println!("  one entry missing: {} bytes over the link; Automerge's sync: {one_theirs}", one.bytes);
    ratio("bytes for one entry, of the cold sync's", one.bytes as f64 / our_bytes as f64, Aim::AtMost(0.05));
    ratio("bytes for one entry, of Automerge's", one.bytes as f64 / one_theirs as f64, Aim::None);
}

/// A device that has nothing gets everything.
fn cold(event: &Event, night: &mut Night, folder: &Path, nonce: u64) -> (f64, Meeting) {
    let config = event.newcomer(nonce);
    let (store, _) = Store::open(folder, config.charter.event(), config.secret.id()).unwrap();
    let mut newcomer = Local::open(config, Disk::Store(Box::new(store)), night.hq.now());
    let wanted = night.entries().len() as u64;
    let before = Instant::now();
    let meeting = meet(&mut night.hq, &mut newcomer);
    let seconds = before.elapsed().as_secs_f64();
    assert_eq!(newcomer.stored, wanted);
    (seconds, meeting)
}

/// Every document of a device, as Automerge has it.
fn documents(device: &mut Local) -> Documents {
    let Answer::Export(files) = device.query(Query::Export) else { panic!("no documents") };
    files.into_iter().map(|(name, bytes)| (name, Automerge::load(&bytes).unwrap())).collect()
}

/// Automerge's sync of every document, each then saved and stored in one commit. Seconds, and bytes both ways.
fn automerge_sync(from: &Documents, to: &mut Documents, folder: &Path) -> (f64, usize) {
    std::fs::create_dir(folder).unwrap();
    let mut from = from.clone();
    let mut bare = Bare::open(folder);
    let mut bytes = 0;
    let before = Instant::now();
    for (name, source) in &mut from {
        let target = to.get_mut(name).unwrap();
        let (mut of_source, mut of_target) = (State::new(), State::new());
        loop {
            let forth = source.generate_sync_message(&mut of_source).map(Message::encode);
            if let Some(message) = &forth {
                bytes += message.len();
                target.receive_sync_message(&mut of_target, Message::decode(message).unwrap()).unwrap();
            }
            let back = target.generate_sync_message(&mut of_target).map(Message::encode);
            if let Some(message) = &back {
                bytes += message.len();
                source.receive_sync_message(&mut of_source, Message::decode(message).unwrap()).unwrap();
            }
            if forth.is_none() && back.is_none() {
                break;
            }
        }
        assert_eq!(source.get_heads(), target.get_heads());
    }
    let saved: Vec<Vec<u8>> = to.values().map(Automerge::save).collect();
    bare.append(saved.iter().map(Vec::as_slice));
    (before.elapsed().as_secs_f64(), bytes)
}
