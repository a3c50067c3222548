//! Pickups: a locker that is cut off hands out by the token alone, once, whatever happens to its power; and a refund
//! never races it.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, give, put_on_sale};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["hq", "till", "locker"];
/// The locker's place among the hosts.
const LOCKER: usize = 2;
const UNITS: u32 = 20;
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
const CUTS: usize = 3;

/// The event's nodes, and a locker that nobody can reach since before the first sale.
struct Evening<'a> {
    event: &'a Event,
    network: &'a Network,
    nodes: Vec<Node<'a>>,
}

impl<'a> Evening<'a> {
    fn begin(event: &'a Event, network: &'a Network) -> Result<Self> {
        for (name, roles) in NAMES.into_iter().zip(["hq", "pos", "locker"]) {
            event.enrol(name, roles, "hall-a")?;
        }
        let nodes =
            network.hosts().iter().zip(NAMES).map(|(host, name)| {
                Node::start(event, name, Options { host: Some(host), ..Options::default() })
            });
        let evening = Self { event, network, nodes: nodes.collect::<Result<Vec<_>>>()? };
        evening.wait_for_reachable("everybody", |_| NAMES.len())?;
        let [hq, till, _] = evening.devices();
        put_on_sale(hq, "CAP", UNITS)?;
        agree(&evening.devices())?;
        give(hq, "CAP", 4, till)?;
        agree(&evening.devices())?;
        network.cut_off(LOCKER);
        evening.wait_for_reachable("the locker out of reach", |name| if name == "locker" { 1 } else { 2 })?;
        Ok(evening)
    }

    fn wait_for_reachable(&self, what: &str, of: impl Fn(&str) -> usize) -> Result<()> {
        self.devices().iter().try_for_each(|device| {
            device.wait_until(what, DEADLINE, |device| {
                Ok((device.get("/v1/status")?["reachable"] == of(&device.name)).then_some(()))
            })
        })
    }

    fn devices(&self) -> [&Api<'a>; 3] {
        [&self.nodes[0], &self.nodes[1], &self.nodes[LOCKER]]
    }

    fn locker(&self) -> &Api<'a> {
        &self.nodes[LOCKER]
    }

    /// Sells two for pickup at the locker: the claim, and its token as a scanner reads it off the paper.
    fn sell_for_pickup(&self) -> Result<(String, String)> {
        let till: &Api<'_> = &self.nodes[1];
        let custodian = self.locker().device()?;
        let body =
            json!({"items": [{"sku": "CAP", "quantity": 2}], "pickup_at": custodian, "wait_ms": 10_000});
        let sold = till.done("/v1/sales", &body)?;
        ensure!(sold["state"] == "issued" && sold["custodian"] == json!(custodian), "{sold}");
        let claim = sold["claim"].as_str().context("no claim")?.to_owned();
        let token =
            till.get(&format!("/v1/claims/{claim}/token"))?["token"].as_str().context("no token")?.to_owned();
        let picture = self.event.path().join("token.png");
        let drawn = self.event.run(&["token", "qr", &token, "--png", &picture.display().to_string()])?;
        ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
        let scanned = scan(&picture)?;
        assert_eq!(scanned, token);
        Ok((claim, scanned))
    }

    fn show(&self, token: &str) -> Result<popmesh_tests::Answer> {
        self.locker().post("/v1/redemptions", &json!({ "token": token }), None)
    }

    /// The claim on each device, once all agree.
    fn agreed_claim(&self, claim: &str) -> Result<Vec<Value>> {
        agree(&self.devices())?;
        let of = |device: &&Api<'_>| -> Result<Value> {
            let known = device.claims()?.into_iter().find(|known| known["claim"] == claim);
            known.with_context(|| format!("{} does not know {claim}", device.name))
        };
        self.devices().iter().map(of).collect()
    }
}

fn scan(picture: &Path) -> Result<String> {
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "--nodbus"])
        .arg(picture)
        .output()
        .context("no zbarimg; on Debian and Ubuntu: apt-get install zbar-tools")?;
    ensure!(output.status.success(), "zbarimg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
}

#[test]
fn the_token_alone_opens_once_and_never_again() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(41, NAMES.len())?;
    let mut evening = Evening::begin(&event, &network)?;
    let (claim, token) = evening.sell_for_pickup()?;
    ensure!(evening.locker().claims()?.is_empty(), "the locker has heard of the sale");
    let elsewhere = evening.nodes[1].post("/v1/redemptions", &json!({ "token": token }), None)?;
    assert_eq!((elsewhere.status, elsewhere.code()), (409, "not_custodian"));
    println!("at the till: {}", elsewhere.body["detail"]);

    // Two at once, as a keyboard wedge sends them, and one of them is served.
    let wedge = format!("{}\r\n", token.to_lowercase());
    let answers = thread::scope(|scope| {
        let both = [&wedge, &token].map(|text| scope.spawn(|| evening.show(text)));
        both.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let handed: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let [handed] = handed.as_slice() else { panic!("not one hand-over: {answers:?}") };
    assert_eq!((&handed.body["claim"], &handed.body["items"][0]["sku"]), (&json!(claim), &json!("CAP")));
    let at_ms = handed.body["at_ms"].clone();
    for cut in 0..=CUTS {
        let again = evening.show(&token)?;
        assert_eq!(
            (again.status, again.code()),
            (409, "already_redeemed"),
            "after {cut} cuts: {}",
            again.body
        );
        assert_eq!((&again.body["at_ms"], &again.body["name"]), (&at_ms, &json!("locker")));
        if cut == 0 {
            println!("at the locker: {}", again.body["detail"]);
        }
        evening.nodes[LOCKER].kill()?;
        evening.nodes[LOCKER].restart()?;
    }
    evening.network.heal();
    for known in evening.agreed_claim(&claim)? {
        assert_eq!((&known["state"], &known["redeemed_at_ms"]), (&json!("redeemed"), &at_ms));
    }
    for device in evening.devices() {
        assert_eq!(check(device, "CAP")?, 2);
    }
    Ok(())
}

#[test]
fn a_pickup_wins_over_a_refund_asked_for_at_the_till() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(42, NAMES.len())?;
    let evening = Evening::begin(&event, &network)?;
    let (claim, token) = evening.sell_for_pickup()?;
    let asked = evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    assert_eq!((&asked["amount"], &asked["claim"]["state"]), (&json!(0), &json!("refund_requested")));
    evening.show(&token)?.ok()?;
    evening.network.heal();
    for known in evening.agreed_claim(&claim)? {
        assert_eq!(known["state"], "redeemed");
        let declined = known["refund_declined"].as_str().context("not declined")?;
        ensure!(declined.contains("was redeemed at") && declined.ends_with("at locker"), "{declined}");
    }
    println!("declined: {}", evening.agreed_claim(&claim)?[1]["refund_declined"]);
    Ok(())
}

#[test]
fn a_refund_that_reaches_the_locker_first_makes_the_token_worthless() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(43, NAMES.len())?;
    let evening = Evening::begin(&event, &network)?;
    let (claim, token) = evening.sell_for_pickup()?;
    evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    evening.network.heal();
    evening.locker().wait_until("the refund", DEADLINE, |locker| {
        let known = locker.claims()?.into_iter().find(|known| known["claim"] == claim.as_str());
        Ok(known.filter(|known| known["state"] == "refunded"))
    })?;
    let shown = evening.show(&token)?;
    assert_eq!((shown.status, shown.code()), (409, "already_refunded"));
    println!("at the locker: {}", shown.body["detail"]);
    for known in evening.agreed_claim(&claim)? {
        assert_eq!(known["state"], "refunded");
    }
    for device in evening.devices() {
        assert_eq!(check(device, "CAP")?, 0);
    }
    Ok(())
}
