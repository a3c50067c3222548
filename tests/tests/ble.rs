//! Nodes in radio range of each other and with no network between them: real nodes, each on a virtual Bluetooth controller.
//!
//! Times are printed, not asserted: they are the machine's as much as ours.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_ble::testing::{Controllers, free_ports};
use popmesh_tests::books::{agree, check, give, put_on_sale, serials};
use popmesh_tests::{Api, Event, Node, Options};
use serde_json::json;

/// In a line: the ends do not hear each other.
const NAMES: [&str; 3] = ["till", "hq", "locker"];
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a sale waits for units from elsewhere.
const WAIT: Duration = Duration::from_secs(30);
const UNITS: u32 = 12;
/// How strong virtual controllers hear each other.
const RSSI_DBM: i64 = -50;

struct Line<'a> {
    ports: [u16; 3],
    controllers: Option<Controllers>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Line<'a> {
    fn start(event: &'a Event) -> Result<Self> {
        for (name, roles) in NAMES.into_iter().zip(["pos", "hq", "locker,pos"]) {
            event.enrol(name, roles, "hall-a")?;
        }
        let ports = free_ports()?;
        let controllers = Some(controllers(ports)?);
        let nodes = NAMES.into_iter().zip(ports).map(|(name, port)| {
            let arguments = ["--ble-only", "--ble", &format!("tcp:127.0.0.1:{port}")].map(str::to_owned);
            Node::start(event, name, Options { arguments: arguments.into(), ..Options::default() })
        });
        Ok(Self { ports, controllers, nodes: nodes.collect::<Result<Vec<_>>>()? })
    }

    fn devices(&self) -> [&Api<'a>; 3] {
        [&self.nodes[0], &self.nodes[1], &self.nodes[2]]
    }

    /// Waits until each has links to those it hears, over the radio, and to nobody else.
    fn is_linked(&self) -> Result<Duration> {
        let started = Instant::now();
        for (device, wanted) in self.devices().iter().zip([1, 2, 1]) {
            device.wait_until("its links", DEADLINE, |device| {
                let links = device.links()?;
                ensure!(links.iter().all(|link| link["transport"] == "ble"), "{links:?}");
                ensure!(links.len() <= wanted, "{} hears too many: {links:?}", device.name);
                Ok((links.len() == wanted).then_some(()))
            })?;
        }
        Ok(started.elapsed())
    }
}

fn controllers(ports: [u16; 3]) -> Result<Controllers> {
    let [till, hq, locker] = ports;
    Controllers::start(&ports, &[(till, hq), (hq, locker)]).context("virtual controllers")
}

/// How strong signals are, in all three places where links are shown; and that `doctor` leaves the adapter to the node.
fn what_people_see(event: &Event, line: &Line<'_>) -> Result<()> {
    let [_, hq, _] = line.devices();
    // Whoever was dialled may not have been heard yet.
    hq.wait_until("signals", DEADLINE, |device| {
        Ok(device.links()?.iter().all(|link| link["rssi_dbm"] == RSSI_DBM).then_some(()))
    })?;
    let metrics = hq.call("GET", "/metrics", None, None)?.ok()?;
    let metrics = metrics.as_str().context("no text")?;
    let strong = |line: &&str| line.contains("ble_rssi_dbm{") && line.ends_with(&RSSI_DBM.to_string());
    ensure!(metrics.lines().filter(strong).count() == 2, "{metrics}");
    let table = event.run(&["peers", "--api", hq.api()])?.stdout;
    let table = String::from_utf8(table)?;
    ensure!(
        table.contains(&format!("ble in {RSSI_DBM} dBm"))
            || table.contains(&format!("ble out {RSSI_DBM} dBm")),
        "{table}"
    );
    let said = event.run(&["--data", line.nodes[1].data().to_str().context("a path")?, "doctor"])?.stdout;
    let said = String::from_utf8(said)?;
    ensure!(said.contains("the node has the adapter: 2 links"), "{said}");
    Ok(())
}

#[test]
fn a_venue_without_a_network_sells_hands_out_and_gets_over_lost_adapters() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut line = Line::start(&event)?;
    println!("linked {:?} after the last node was up", line.is_linked()?);
    what_people_see(&event, &line)?;
    let [till, hq, locker] = line.devices();

    put_on_sale(hq, "CAP", UNITS)?;
    agree(&line.devices())?;
    give(hq, "CAP", UNITS, locker)?;
    println!("the three agreed {:?} after the gift", agree(&line.devices())?);

    // The till holds nothing and does not hear who holds all.
    let answer = till.sell("CAP", WAIT, None)?;
    println!("a unit from two hops away took {:?}", answer.took);
    ensure!(serials(&answer.ok()?)?.len() == 1);

    let custodian = locker.device()?;
    let wanted =
        json!({"items": [{"sku": "CAP"}], "pickup_at": custodian, "wait_ms": WAIT.as_millis() as u64});
    let sold = till.done("/v1/sales", &wanted)?;
    let claim = sold["claim"].as_str().context("no claim")?;
    let token = till.get(&format!("/v1/claims/{claim}/token"))?["token"].clone();
    let redeemed = locker.done("/v1/redemptions", &json!({ "token": token }))?;
    ensure!(redeemed["claim"] == claim, "{redeemed}");
    let again = locker.post("/v1/redemptions", &json!({ "token": token }), None)?;
    ensure!(again.code() == "already_redeemed", "{}", again.code());
    println!("the three agreed {:?} after the redemption", agree(&line.devices())?);
    for device in line.devices() {
        assert_eq!(check(device, "CAP")?, 2, "sold, and the books are in order");
    }

    // The adapters are pulled out, and put back.
    let ports = line.ports;
    drop(line.controllers.take());
    for device in line.devices() {
        device.wait_until("no link", DEADLINE, |device| Ok(device.links()?.is_empty().then_some(())))?;
    }
    let [_, _, locker] = line.devices();
    locker.sell("CAP", WAIT, None)?.ok()?;
    line.controllers = Some(controllers(ports)?);
    println!("linked again {:?} after the adapters were back", line.is_linked()?);
    let [till, ..] = line.devices();
    till.sell("CAP", WAIT, None)?.ok()?;
    println!("the three agreed {:?} after that", agree(&line.devices())?);
    for device in line.devices() {
        assert_eq!(check(device, "CAP")?, 4);
    }
    for node in line.nodes {
        node.stop()?;
    }
    Ok(())
}
