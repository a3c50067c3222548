//! A till that was stolen and goes on running in reach of the others: after its retirement it hears nothing, gets no
//! certificate, and what lies on its disk opens nothing that is made from then on.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_proto::identity::unarmor;
use popmesh_proto::pin::{EventSecrets, Pin, PinTag};
use popmesh_proto::token::{UnprovenToken, from_text};
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Api, Child, Event, Host, Network, Node, Options};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["hq", "till", "stolen"];
const DEADLINE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(5);
/// A link within which something would be heard: a gossiped sale takes some ten milliseconds, a digest two seconds.
const HEARS_WITHIN: Duration = Duration::from_secs(6);

struct Evening<'a> {
    event: Event,
    network: &'a Network,
}

impl<'a> Evening<'a> {
    fn begin(network: &'a Network) -> Result<Self> {
        let event = Event::found("Neon Drop")?;
        for (name, roles) in NAMES.into_iter().zip(["hq,registrar", "pos,locker", "pos"]) {
            event.enrol(name, roles, "hall-a")?;
        }
        Ok(Self { event, network })
    }

    fn start(&self, at: usize, transport: &[&str]) -> Result<Node<'a>> {
        let arguments = transport.iter().map(|word| (*word).to_owned()).collect();
        let options = Options { host: Some(self.network.host(at)), arguments, ..Options::default() };
        Node::start(&self.event, NAMES[at], options)
    }

    /// Runs the binary on a host to its end.
    fn run(&self, at: usize, arguments: &[&str]) -> Result<(ExitStatus, String)> {
        let mut child = start(&self.event, self.network.host(at), arguments)?.quiet();
        let status = child.wait(DEADLINE)?;
        Ok((status, child.output()?))
    }
}

fn start(event: &Event, host: &Host, arguments: &[&str]) -> Result<Child> {
    let mut command = host.command(event.program());
    command.args(arguments).current_dir(event.path()).env_remove("POPMESH_DATA").env("NO_COLOR", "1");
    Child::start(arguments.first().copied().unwrap_or_default(), &mut command)
}

fn retire(hq: &Api<'_>, device: &str) -> Result<Value> {
    let risk = hq.get(&format!("/v1/devices/{device}/retirement"))?;
    hq.done("/v1/retirements", &json!({"device": device, "at_risk": risk["at_risk"], "reachable": true}))
}

fn entries(api: &Api<'_>) -> Result<u64> {
    api.get("/v1/status")?["entries"].as_u64().context("no entries")
}

/// What somebody reads off a disk: the event's secret, as the folder has it.
fn secrets(folder: &Path) -> Result<EventSecrets> {
    let text = fs::read_to_string(folder.join("event.secret"))?;
    let bytes = unarmor("popmesh-event-secret-1", &text).context("another file")?;
    EventSecrets::from_bytes(&bytes).context("no secrets")
}

/// Sells for pickup at the till with a PIN: the claim, and what its QR code says.
fn sold_with_pin(till: &Api<'_>, pin: &str) -> Result<(String, String)> {
    let at = till.device()?;
    let sale = json!({"items": [{"sku": "CAP"}], "pickup_at": at, "pin": pin, "wait_ms": 10_000});
    let claim = till.done("/v1/sales", &sale)?["claim"].as_str().context("no claim")?.to_owned();
    let token = till.get(&format!("/v1/claims/{claim}/token"))?;
    Ok((claim, token["token"].as_str().context("no token")?.to_owned()))
}

/// Tries all PINs of four digits on the photo of a code, with every secret there is.
fn try_all(secrets: &EventSecrets, photo: &str) -> Result<Option<String>> {
    let token = UnprovenToken::parse(&from_text(photo)?)?;
    let (tag, claim) = (token.token().pin.context("no PIN")?, token.token().claim);
    let alone: Vec<EventSecrets> =
        secrets.all().map(|secret| EventSecrets { first: Some(secret.clone()), later: Vec::new() }).collect();
    for number in 0..10_000 {
        let text = format!("{number:04}");
        let pin: Pin = text.parse()?;
        let fits = |secrets| PinTag::of(secrets, &claim, &pin).is_some_and(|made| made.code == tag.code);
        if alone.iter().any(fits) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// The whole of it over one transport.
fn hears_nothing(option: &str, seed: u64) -> Result<()> {
    let (network, transport) = (Network::new(seed, NAMES.len())?, &[option][..]);
    let evening = Evening::begin(&network)?;
    let nodes = (0..NAMES.len()).map(|at| evening.start(at, transport)).collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    let [hq, till, stolen] = [devices[0], devices[1], devices[2]];
    for device in &devices {
        device.wait_until("links to all", DEADLINE, |device| {
            let linked = device.list("/v1/devices")?.iter().filter(|of| of["linked"] == true).count();
            Ok((linked + 1 == NAMES.len()).then_some(()))
        })?;
    }
    put_on_sale(hq, "CAP", 20)?;
    agree(&devices)?;
    let (_, before) = sold_with_pin(till, "0417")?;
    agree(&devices)?;
    let folder = nodes[2].data().to_owned();
    let disk = secrets(&folder)?;
    let begun = Instant::now();
    assert_eq!(try_all(&disk, &before)?.as_deref(), Some("0417"), "what was made before is lost");
    println!("{option}: the PIN of an earlier claim falls in {:.1?}", begun.elapsed());

    let key = stolen.device()?;
    let retired = retire(hq, &key)?;
    let begun = Instant::now();
    // Whoever has it sees so, once.
    stolen.wait_until("its retirement to be told", DEADLINE, |stolen| {
        let own = stolen.get(&format!("/v1/devices/{}/retirement", stolen.device()?))?;
        Ok((own["retired_by"] == "hq").then_some(()))
    })?;
    println!("{option}: it was told within {:.1?}", begun.elapsed());
    agree(&[hq, till])?;
    for device in [hq, till] {
        device.wait_until("its link to be closed", DEADLINE, |device| {
            let devices = device.list("/v1/devices")?;
            let of = devices.iter().find(|of| of["device"] == key.as_str());
            Ok(of.filter(|of| of["linked"] == false).map(drop))
        })?;
    }
    println!("{option}: its links were closed within {:.1?}", begun.elapsed());
    let heard = entries(stolen)?;
    for _ in 0..3 {
        till.sell("CAP", WAIT, None)?.ok()?;
    }
    let (claim, photo) = sold_with_pin(till, "0417")?;
    agree(&[hq, till])?;
    std::thread::sleep(HEARS_WITHIN);
    assert_eq!(entries(stolen)?, heard, "it hears what is done after its retirement");

    // Before and after, the same disk: its node has run on, and kept all that it could open.
    for disk in [disk, secrets(&folder)?] {
        assert_eq!(try_all(&disk, &photo)?, None, "the PIN of a later claim falls to a photo");
    }
    let ours = secrets(nodes[1].data())?;
    assert_eq!(try_all(&ours, &photo)?.as_deref(), Some("0417"), "the search would find it");
    let with_pin = |pin: &str| json!({"claim": claim, "pin": pin});
    assert_eq!(till.post("/v1/redemptions", &with_pin("0418"), None)?.code(), "wrong_pin");
    till.done("/v1/redemptions", &with_pin("0417"))?;
    ensure!(retired["secret"]["exposed"] == 0 && retired["secret"]["epoch"].is_string(), "{retired}");
    for device in [hq, till] {
        let secret = &device.get("/v1/status")?["secret"];
        assert_eq!((&secret["epoch"], &secret["lacks_newest"]), (&retired["secret"]["epoch"], &json!(false)));
    }

    // It starts anew, and so do they: no more than before.
    drop(nodes);
    let nodes = (0..NAMES.len()).map(|at| evening.start(at, transport)).collect::<Result<Vec<_>>>()?;
    nodes[0]
        .wait_until("the till", DEADLINE, |hq| Ok((hq.get("/v1/status")?["reachable"] == 2).then_some(())))?;
    nodes[1].sell("CAP", WAIT, None)?.ok()?;
    agree(&[&nodes[0], &nodes[1]])?;
    std::thread::sleep(HEARS_WITHIN);
    // Two entries of its own chains, at the most, that say that it began.
    ensure!(entries(&nodes[2])? <= heard + 2, "{} entries after {heard}", entries(&nodes[2])?);
    Ok(())
}

#[test]
fn it_hears_nothing_over_tcp_and_its_disk_opens_nothing_later() -> Result<()> {
    hears_nothing("--tcp-only", 171)
}

#[test]
fn it_hears_nothing_over_quic_and_its_disk_opens_nothing_later() -> Result<()> {
    hears_nothing("--quic-only", 172)
}

#[test]
fn nothing_signs_for_its_key_any_more() -> Result<()> {
    let network = Network::new(173, NAMES.len())?;
    let evening = Evening::begin(&network)?;
    let event = &evening.event;
    let hq = evening.start(0, &[])?;
    put_on_sale(&hq, "CAP", 5)?;
    // A ticket that was made before, and is good for more than one.
    let ticket = ["--data", "hq", "device", "ticket", "--role", "pos", "--venue", "hall-a", "--count", "3"];
    let ticket = event.popmesh(&ticket)?;
    // The text of a ticket is not taken in arguments.
    let file = event.path().join("given.ticket");
    fs::write(&file, ticket["ticket"].as_str().context("no ticket")?)?;
    let ticket = format!("@{}", file.display());
    let mut serving = start(event, network.host(0), &["--data", "hq", "device", "admit", "--tickets"])?;
    serving.wait_for_output("until stopped", DEADLINE)?;
    let join =
        |data: &str| evening.run(2, &["--data", data, "join", "--name", "stolen", "--ticket", &ticket]);
    fs::remove_dir_all(event.path().join("stolen"))?;
    let (status, said) = join("stolen")?;
    ensure!(status.success(), "{said}");
    let stolen = evening.start(2, &[])?;
    let key = stolen.device()?;
    hq.wait_until("it to be known", DEADLINE, |hq| {
        let devices = hq.list("/v1/devices")?;
        Ok(devices.iter().any(|of| of["device"] == key.as_str()).then_some(()))
    })?;
    retire(&hq, &key)?;
    stolen.wait_until("its retirement to be told", DEADLINE, |stolen| {
        let own = stolen.get(&format!("/v1/devices/{}/retirement", stolen.device()?))?;
        Ok((own["retired_by"] == "hq").then_some(()))
    })?;
    stolen.stop()?;
    // With the ticket that it has, at the hq that retired it.
    let (status, said) = join("stolen")?;
    assert_eq!(status.code(), Some(1), "it joined again: {said}");
    ensure!(said.contains("was retired") && said.contains("new key"), "{said}");
    println!("by ticket: {}", said.lines().last().unwrap_or_default());
    // By its file, signed by hand.
    let sign = |data: &str, of: &str| {
        let enrolment = format!("{of}/{of}.enrolment");
        let output = format!("again-{of}.certificate");
        event.run(&[
            "--data", data, "device", "sign", &enrolment, "--role", "pos", "--venue", "hall-a", "-o", &output,
        ])
    };
    event.popmesh(&["--data", "fresh", "device", "new", "--name", "fresh"])?;
    ensure!(sign("hq", "fresh")?.status.success(), "a new key is signed for");
    // Renewing it is refused as well.
    let renewed = hq.post("/v1/devices/renewals", &json!({"device": key}), None)?;
    ensure!(renewed.status >= 400 && renewed.body.to_string().contains("retired"), "{}", renewed.body);
    // And a new key joins with what is left of the ticket.
    let (status, said) = join("repaired")?;
    ensure!(status.success(), "{said}");
    serving.kill()?;
    Ok(())
}
