//! Power cuts under load: each of three tills is killed again and again while shoppers buy, and started again.
//!
//! A shopper who got no answer asks again under the same key, as a till does, until there is one. In the end each key
//! that was answered with a sale is exactly one sale on every device, and there is no other.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, claim_id, put_on_sale, serials};
use popmesh_tests::node::wait_until;
use popmesh_tests::{Api, Event, Network, Node, Options, Random};
use serde_json::Value;

const NAMES: [&str; 3] = ["hq", "till-1", "till-2"];
const CUTS_EACH: usize = 4;
const SHOPPERS: usize = 2;
const UNITS: u32 = 8_000;
/// How many more sales a till makes at most before the next cut, and how much later that falls at most.
const SALES_BETWEEN_CUTS_MAX: u64 = 30;
const MICROSECONDS_LATER_MAX: u64 = 5_000;
const WAIT: Duration = Duration::from_secs(10);
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// A till, and what its shoppers went through so far.
struct Till<'a> {
    api: Api<'a>,
    sales: AtomicUsize,
    unanswered: AtomicUsize,
    /// Sales that were made before the cut and answered after it.
    answered_late: AtomicUsize,
}

impl<'a> Till<'a> {
    fn new(node: &Node<'a>) -> Self {
        let none = || AtomicUsize::new(0);
        Self { api: node.to_api(), sales: none(), unanswered: none(), answered_late: none() }
    }
}

#[test]
fn what_was_acknowledged_survives_and_retries_sell_nothing_twice() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in NAMES.into_iter().zip(["hq,pos", "pos", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let network = Network::new(21, NAMES.len())?;
    let nodes = network.hosts().iter().zip(NAMES).map(|(host, name)| {
        // The same port after each start: whoever asks again asks there.
        let options = Options { host: Some(host), api_port: 7401, ..Options::default() };
        Node::start(&event, name, options)
    });
    let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
    let tills: Vec<Till<'_>> = nodes.iter().map(Till::new).collect();
    let apis: Vec<&Api<'_>> = tills.iter().map(|till| &till.api).collect();
    put_on_sale(apis[0], "CAP", UNITS)?;
    for api in &apis {
        api.wait_until("stock to sell", DEADLINE, |api| {
            let stock = api.get("/v1/stock?sku=CAP")?;
            Ok(stock["items"][0]["own"]["available"].as_u64().filter(|units| *units > 0))
        })?;
    }

    let over = AtomicBool::new(false);
    let bought = thread::scope(|scope| {
        let shoppers: Vec<_> = tills
            .iter()
            .flat_map(|till| (0..SHOPPERS).map(move |number| (till, number)))
            .map(|(till, number)| {
                (
                    till,
                    scope.spawn({
                        let over = &over;
                        move || shop(till, number, over)
                    }),
                )
            })
            .collect();
        let cut = cut_again_and_again(&mut nodes, &tills);
        over.store(true, Ordering::Relaxed);
        let mut bought: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
        for (till, shopper) in shoppers {
            let claims = shopper.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            bought.entry(&till.api.name).or_default().extend(claims);
        }
        cut.map(|()| bought)
    })?;
    for till in &tills {
        println!(
            "{}: {} sales, {} requests without an answer, {} of their sales were made all the same",
            till.api.name,
            bought[till.api.name.as_str()].len(),
            till.unanswered.load(Ordering::Relaxed),
            till.answered_late.load(Ordering::Relaxed),
        );
        retry_some(till, &bought[till.api.name.as_str()])?;
    }
    agree(&apis)?;
    compare(&apis, bought.values().flat_map(BTreeMap::values))
}

/// Buys until it is over; answers the claim under each key. Asks again until there is an answer.
fn shop(till: &Till<'_>, number: usize, over: &AtomicBool) -> Result<BTreeMap<String, Value>> {
    let mut bought = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        let key = format!("{}-{number}-{}", till.api.name, bought.len());
        let answer = wait_until("an answer", DEADLINE, || match till.api.sell("CAP", WAIT, Some(&key)) {
            Err(_) => {
                till.unanswered.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            // The node stops taking requests before it is gone, or works on this one for whoever asked first.
            Ok(answer) if answer.code() == "in_progress" => Ok(None),
            Ok(answer) => Ok(Some(answer)),
        })?;
        till.answered_late.fetch_add(usize::from(answer.replayed), Ordering::Relaxed);
        bought.insert(key, answer.ok()?);
        till.sales.fetch_add(1, Ordering::Relaxed);
    }
    Ok(bought)
}

fn cut_again_and_again(nodes: &mut [Node<'_>], tills: &[Till<'_>]) -> Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    println!("cuts fall by seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..CUTS_EACH {
        for (node, till) in nodes.iter_mut().zip(tills) {
            let sold = till.sales.load(Ordering::Relaxed);
            let enough = sold + 1 + (random.next() % SALES_BETWEEN_CUTS_MAX) as usize;
            wait_until("sales before the cut", DEADLINE, || {
                Ok((till.sales.load(Ordering::Relaxed) >= enough).then_some(()))
            })?;
            // Somewhere within a sale, not always right after one.
            thread::sleep(Duration::from_micros(random.next() % MICROSECONDS_LATER_MAX));
            node.kill()?;
            let before = Instant::now();
            node.restart()?;
            let answers = before.elapsed();
            let first = till.api.sell("CAP", WAIT, Some(&format!("{}-first-{enough}", till.api.name)))?;
            let took = before.elapsed();
            println!("{}: answers {answers:?} after its start, has sold after {took:?}", till.api.name);
            ensure!(first.status == 201, "{}: the first sale: {}", till.api.name, first.body);
        }
    }
    Ok(())
}

/// Asks again under keys that were answered: the answer is the same, and says that it is.
fn retry_some(till: &Till<'_>, bought: &BTreeMap<String, Value>) -> Result<()> {
    for (key, claim) in bought.iter().step_by(7) {
        let again = till.api.sell("CAP", WAIT, Some(key))?;
        assert!(again.replayed, "{key} was sold anew: {}", again.body);
        assert_eq!(again.ok()?, *claim, "{key}");
    }
    Ok(())
}

/// Every claim that was acknowledged is on every device, and no other but the first sales after the cuts.
fn compare<'v>(apis: &[&Api<'_>], acknowledged: impl Iterator<Item = &'v Value>) -> Result<()> {
    let acknowledged: BTreeMap<String, Vec<u32>> =
        acknowledged.map(|claim| Ok((claim_id(claim)?, serials(claim)?))).collect::<Result<_>>()?;
    let units: BTreeSet<u32> = acknowledged.values().flatten().copied().collect();
    assert_eq!(units.len(), acknowledged.len(), "a unit was sold under two keys");
    let first_sales = CUTS_EACH * NAMES.len();
    for api in apis {
        let claims = api.claims()?;
        let known: BTreeMap<String, Vec<u32>> =
            claims.iter().map(|claim| Ok((claim_id(claim)?, serials(claim)?))).collect::<Result<_>>()?;
        let missing: Vec<_> =
            acknowledged.iter().filter(|(id, units)| known.get(*id) != Some(*units)).collect();
        assert!(missing.is_empty(), "{} lost acknowledged sales: {missing:?}", api.name);
        let others = known.len() - acknowledged.len();
        assert_eq!(others, first_sales, "{}: sales that nobody was told of", api.name);
        let sold = check(api, "CAP").context("books that do not close")?;
        assert_eq!(sold as usize, known.len(), "{}", api.name);
    }
    println!("{} sales over {first_sales} cuts, all there, none twice", acknowledged.len() + first_sales);
    Ok(())
}
