//! A device's events, with real nodes: whatever is killed, set back or slow, a listener hears each fact once, under an id that
//! no other has, and misses none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{claim_id, put_on_sale};
use popmesh_tests::listener::{Listener, all_facts, number};
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(90);
const KILLS: usize = 8;
const UNITS: u32 = 5_000;
/// As many streams as there may be on one host: its own and those for everybody.
const STREAMS: usize = 32 + 128;

fn hq(event: &Event) -> Result<Node<'static>> {
    event.enrol("hq", "hq,pos", "hall-a")?;
    Node::start(event, "hq", Options::loopback(&[]))
}

fn sold(facts: &[(String, Value)]) -> Vec<String> {
    let sold = facts.iter().filter(|(_, fact)| fact["event"] == "sold");
    sold.map(|(_, fact)| fact["claim"].to_string()).collect()
}

/// The facts that a device keeps are those of its log: each sale is told once.
fn compare(node: &Node<'_>) -> Result<Vec<(String, Value)>> {
    let facts = all_facts(node)?;
    let told = sold(&facts);
    let claims: BTreeSet<String> = node.claims()?.iter().map(claim_id).collect::<Result<_>>()?;
    ensure!(told.len() == claims.len(), "{} sales, {} told", claims.len(), told.len());
    ensure!(told.into_iter().collect::<BTreeSet<_>>() == claims, "other sales were told");
    for (expected, (id, _)) in (1..).zip(&facts) {
        ensure!(number(id)? == expected, "{id} where {expected} should be");
    }
    Ok(facts)
}

/// Chance that follows from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Listens until `done` and everything has come; its connection breaks at any byte.
fn follow(url: &Mutex<String>, done: &AtomicBool, target: &Mutex<u64>, seed: u64) -> Result<Listener> {
    let mut chance = Chance(seed);
    let mut listener = Listener::default();
    let ends = |listener: &Listener| {
        let target = *target.lock().unwrap_or_else(|lock| lock.into_inner());
        let at = listener.last.as_deref().and_then(|id| number(id).ok());
        done.load(Ordering::SeqCst) && at >= Some(target)
    };
    loop {
        let at = url.lock().unwrap_or_else(|lock| lock.into_inner()).clone();
        // While the node is dead there is nobody to connect to.
        let Ok(mut connection) = listener.connect(&at) else {
            thread::yield_now();
            continue;
        };
        let bytes = if done.load(Ordering::SeqCst) { usize::MAX } else { chance.below(60_000) as usize };
        if listener.listen(&mut connection, bytes, ends)? {
            return Ok(listener);
        }
    }
}

#[test]
fn whatever_is_killed_each_fact_comes_once_and_none_is_missing() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut hq = hq(&event)?;
    let url = Arc::new(Mutex::new(hq.api().to_owned()));
    let (done, target) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
    // Before anything happens: what they are told first is the place to go on from.
    let listeners: Vec<_> = (1..=2)
        .map(|seed| {
            let (url, done, target) = (Arc::clone(&url), Arc::clone(&done), Arc::clone(&target));
            thread::spawn(move || follow(&url, &done, &target, seed))
        })
        .collect();
    put_on_sale(&hq, "CAP", UNITS)?;
    let mut chance = Chance(7);
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let sales = 5 + chance.below(40);
        let till = hq.to_api();
        let selling = thread::spawn(move || -> Vec<Value> {
            let sell = |number: u64| {
                let key = format!("{round}-{number}");
                till.sell("CAP", Duration::ZERO, Some(&key)).ok().filter(|answer| answer.status == 201)
            };
            (0..10_000).map_while(sell).filter_map(|answer| answer.ok().ok()).collect()
        });
        let before = all_facts(&hq)?.len() as u64;
        hq.wait_until("some sales", DEADLINE, |hq| {
            Ok((all_facts(hq)?.len() as u64 >= before + sales).then_some(()))
        })?;
        hq.kill()?;
        let made = selling.join().map_err(|_| anyhow::anyhow!("the shopper failed"))?;
        acknowledged.extend(made.iter().map(claim_id).collect::<Result<Vec<_>>>()?);
        hq.restart()?;
        *url.lock().unwrap_or_else(|lock| lock.into_inner()) = hq.api().to_owned();
    }
    let facts = compare(&hq)?;
    let told: BTreeSet<String> = sold(&facts).into_iter().collect();
    assert!(acknowledged.is_subset(&told), "what was acknowledged is told");
    *target.lock().unwrap_or_else(|lock| lock.into_inner()) = facts.len() as u64;
    done.store(true, Ordering::SeqCst);
    // Who has all of it already waits for something to come.
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    let facts = compare(&hq)?;
    for listener in listeners {
        let listener = listener.join().map_err(|_| anyhow::anyhow!("a listener failed"))??;
        assert_eq!(listener.resets, Vec::<Value>::new());
        let heard = listener.facts.len();
        assert!(heard + 1 >= facts.len(), "{heard} of {}", facts.len());
        assert!(listener.facts == facts[..heard], "both have heard what is stored");
    }
    Ok(())
}

#[test]
fn each_fact_says_when_what_and_how_much() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let hq = hq(&event)?;
    put_on_sale(&hq, "CAP", 10)?;
    let sale = hq.done("/v1/sales", &json!({"items": [{"sku": "CAP", "quantity": 3}], "wait_ms": 0}))?;
    let claim = &sale["claim"];
    let facts = all_facts(&hq)?;
    let (_, fact) = facts.iter().find(|(_, fact)| fact["event"] == "sold").context("the sale")?;
    assert_eq!(fact["at_ms"], sale["at_ms"], "{fact}");
    assert_eq!(
        (&fact["claim"], &fact["entry"], &fact["by_name"]),
        (&sale["claim"], &sale["claim"], &json!("hq"))
    );
    assert_eq!((&fact["amount"], &fact["items"][0]["units"]), (&sale["total"], &json!(3)), "{fact}");
    assert_eq!(fact["items"][0]["sku"], "CAP");
    assert!(fact["items"][0]["name"].is_string(), "{fact}");
    hq.done("/v1/refunds", &json!({"claim": claim, "units": 1}))
        .or_else(|_| hq.done("/v1/refunds", &json!({"claim": claim})))?;
    let facts = all_facts(&hq)?;
    let (_, fact) = facts.last().context("the refund")?;
    assert_eq!(fact["event"], "refunded", "{fact}");
    assert!(fact["amount"].as_i64() > Some(0) && fact["items"][0]["sku"] == "CAP", "{fact}");
    for (_, fact) in &facts {
        assert!(fact["at_ms"].as_u64() > Some(1_600_000_000_000) && fact["entry"].is_string(), "{fact}");
    }
    Ok(())
}

#[test]
fn a_listener_that_comes_late_reads_what_is_in_memory_no_more_and_one_that_takes_nothing_is_let_go()
-> Result<()> {
    let event = Event::found("Neon Drop")?;
    let hq = hq(&event)?;
    let early = Listener::default();
    // It takes nothing until the end.
    let mut untaken = early.connect(hq.api())?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let shoppers: Vec<_> = (0..4)
        .map(|_| {
            let hq = hq.to_api();
            thread::spawn(move || -> Result<()> {
                (0..375).try_for_each(|_| hq.sell("CAP", Duration::ZERO, None)?.ok().map(drop))
            })
        })
        .collect();
    for shopper in shoppers {
        shopper.join().map_err(|_| anyhow::anyhow!("a shopper failed"))??;
    }
    let facts = compare(&hq)?;
    assert!(facts.len() > 1_500);
    let end = facts.last().map(|(id, _)| id.clone());
    let mut early = early;
    assert!(early.listen(&mut untaken, usize::MAX, |listener| listener.last == end)?);
    assert!(early.facts == facts && early.resets.is_empty(), "{} of {}", early.facts.len(), facts.len());
    let beginning = facts[0].0.replace(":1", ":0");
    let mut late = Listener { last: Some(beginning.clone()), ..Listener::default() };
    let mut connection = late.connect(hq.api())?;
    assert!(late.listen(&mut connection, usize::MAX, |listener| listener.last == end)?);
    assert!(late.facts == facts && late.resets.is_empty());
    drop((untaken, connection));

    // As many as there can be take nothing, and say nothing more.
    let address = hq.api().trim_start_matches("http://").to_owned();
    let memory = memory_kib(hq.id())?;
    let open = || -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&address)?;
        let request = format!("GET /v1/events?after={beginning} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    };
    let is_open = |stream: &mut TcpStream| -> Result<bool> {
        let mut first = [0; 12];
        stream.read_exact(&mut first)?;
        Ok(&first == b"HTTP/1.1 200")
    };
    // A connection that has just ended may still have its place.
    let dead: Vec<TcpStream> = hq.wait_until("all streams", DEADLINE, |_| {
        let mut streams: Vec<TcpStream> = (0..STREAMS).map(|_| open()).collect::<Result<_>>()?;
        let mut all = true;
        for stream in &mut streams {
            all &= is_open(stream)?;
        }
        Ok(all.then_some(streams))
    })?;
    ensure!(!is_open(&mut open()?)?, "more streams than there may be");
    let grown = memory_kib(hq.id())?.saturating_sub(memory);
    assert!(grown < 64 * 1024, "{STREAMS} that take nothing cost {grown} KiB");
    // Meanwhile it sells as ever, and then they are gone.
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    hq.wait_until("a stream to be free", DEADLINE, |_| Ok(is_open(&mut open()?)?.then_some(())))?;
    drop(dead);
    Ok(())
}

fn memory_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let to = to.join(file.file_name());
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to)?;
        }
    }
    Ok(())
}

/// Hears all that there is by now.
fn catch_up(listener: &mut Listener, node: &Node<'_>) -> Result<()> {
    let end = all_facts(node)?.last().map(|(id, _)| id.clone());
    let mut connection = listener.connect(node.api())?;
    ensure!(listener.listen(&mut connection, usize::MAX, |listener| listener.last == end)?, "it ended");
    Ok(())
}

#[test]
fn a_database_that_was_set_back_or_copied_gives_no_id_again() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut hq = hq(&event)?;
    put_on_sale(&hq, "CAP", 50)?;
    let (folder, image) = (event.path().join("hq"), event.path().join("image"));
    let last = all_facts(&hq)?.first().map(|(id, _)| id.replace(":1", ":0"));
    let mut listener = Listener { last, ..Listener::default() };
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    catch_up(&mut listener, &hq)?;
    // All of the folder, so that nothing in it can tell.
    hq.kill()?;
    copy_folder(&folder, &image)?;
    hq.restart()?;
    for _ in 0..3 {
        hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    }
    catch_up(&mut listener, &hq)?;
    assert_eq!(listener.resets.len(), 0, "a restart resets nothing");
    let (known, heard) = (listener.last.clone(), listener.facts.len());
    for round in 0..2 {
        hq.kill()?;
        for file in fs::read_dir(&folder)? {
            let file = file?;
            if file.file_type()?.is_file() {
                fs::remove_file(file.path())?;
            }
        }
        copy_folder(&image, &folder)?;
        hq.restart()?;
        // What is sold now gets the numbers of what was sold before, and other ids.
        hq.sell("CAP", Duration::ZERO, None)?.ok()?;
        hq.sell("CAP", Duration::ZERO, None)?.ok()?;
        catch_up(&mut listener, &hq)?;
        assert_eq!(listener.resets.len(), round + 1);
        let reset = &listener.resets[round];
        assert_eq!(reset["why"], "set_back", "{reset}");
        assert_eq!(listener.facts.len(), heard - 1);
        assert!(listener.facts == compare(&hq)?, "it begins anew, and has all that there is");
    }
    let ids: BTreeMap<u64, usize> = listener.ever.keys().fold(BTreeMap::new(), |mut ids, id| {
        *ids.entry(number(id).unwrap_or(0)).or_default() += 1;
        ids
    });
    let last = known.as_deref().map(number).transpose()?.context("an id")?;
    assert_eq!(ids[&(last - 1)], 3, "one number, three events: {:?}", listener.ever.keys());

    // An id of another device.
    event.enrol("till", "pos", "hall-a")?;
    let till = Node::start(&event, "till", Options::loopback(&[]))?;
    let connection = listener.connect(till.api())?;
    let mut connection = connection;
    listener.listen(&mut connection, usize::MAX, |listener| listener.resets.len() == 3)?;
    assert_eq!(listener.resets[2]["why"], "other_node");
    Ok(())
}

/// Rounds of sales with and without listeners, by turns, and sales of each.
const ROUNDS: usize = 12;
const SALES_A_ROUND: usize = 40;
const LISTENERS: usize = 100;

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A measurement, for a machine that does nothing else: it prints, and bounds nothing.
#[test]
#[ignore = "a measurement, whose figures are read by a person"]
fn a_sale_beside_listeners_that_read_nothing() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let hq = hq(&event)?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let open =
        || -> Result<Vec<_>> { (0..LISTENERS).map(|_| Listener::default().connect(hq.api())).collect() };
    let sell = |times: &mut Vec<Duration>| -> Result<()> {
        for _ in 0..SALES_A_ROUND {
            let begun = Instant::now();
            hq.sell("CAP", Duration::ZERO, None)?.ok()?;
            times.push(begun.elapsed());
        }
        Ok(())
    };
    sell(&mut Vec::new())?;
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // Which goes first changes, so that what a growing log costs is in both.
        for listened in [round % 2 == 0, round % 2 == 1] {
            if listened {
                // Those of the round before may still have their places.
                let dead = hq.wait_until("all listeners", DEADLINE, |_| Ok(open().ok()))?;
                sell(&mut with)?;
                drop(dead);
            } else {
                sell(&mut without)?;
            }
        }
        ratios.push(median(&mut with).as_secs_f64() / median(&mut without).as_secs_f64());
        alone.extend(without);
        beside.extend(with);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (alone, beside) = (median(&mut alone), median(&mut beside));
    println!(
        "a sale's median: {alone:?} alone, {beside:?} beside {LISTENERS} that read nothing: {:.3}; rounds {ratios:.3?}",
        beside.as_secs_f64() / alone.as_secs_f64()
    );
    Ok(())
}
