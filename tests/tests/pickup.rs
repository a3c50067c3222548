//! Pickups: a locker that is cut off opens its door by the token alone, once, whatever happens to its power; and a refund
//! never races it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
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
const UNITS: u32 = 100;
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
const CUTS: usize = 3;
const COMPARTMENT: &str = "07";

/// The event's nodes, and a locker that nobody can reach since before the first sale.
struct Evening<'a> {
    event: &'a Event,
    network: &'a Network,
    nodes: Vec<Node<'a>>,
}

impl<'a> Evening<'a> {
    /// The locker's doors are opened by `driver`; it has stowed four units, and a till may sell them.
    fn begin(event: &'a Event, network: &'a Network, driver: &str) -> Result<Self> {
        for (name, roles) in NAMES.into_iter().zip(["hq", "pos", "locker"]) {
            event.enrol(name, roles, "hall-a")?;
        }
        let nodes = network.hosts().iter().zip(NAMES).map(|(host, name)| {
            let arguments = match name {
                "locker" => vec!["--door".to_owned(), driver.to_owned()],
                _ => Vec::new(),
            };
            Node::start(event, name, Options { host: Some(host), arguments, ..Options::default() })
        });
        let evening = Self { event, network, nodes: nodes.collect::<Result<Vec<_>>>()? };
        evening.wait_for_reachable("everybody", |_| NAMES.len())?;
        let [hq, till, locker] = evening.devices();
        put_on_sale(hq, "CAP", UNITS)?;
        agree(&evening.devices())?;
        give(hq, "CAP", 4, locker)?;
        agree(&evening.devices())?;
        let place = format!("locker/{COMPARTMENT}");
        let stowed = locker.done(
            "/v1/moves",
            &json!({"drop": "cap", "sku": "CAP", "units": {"count": 4}, "place": place}),
        )?;
        let units = json!({ "serials": stowed["units"] });
        let right = json!({"drop": "cap", "sku": "CAP", "units": units, "to": till.device()?});
        locker.done("/v1/transfers", &right)?;
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

    /// The doors that were opened for a claim, once it is known how they behaved.
    fn door(&self, claim: &str) -> Result<Value> {
        self.locker().get(&format!("/v1/claims/{claim}/door?wait_ms=20000"))
    }

    /// How often each virtual door has opened since the locker started.
    fn opened(&self) -> Result<Vec<Value>> {
        let doors = self.locker().get("/v1/doors")?;
        let each = doors["virtual_doors"].as_array().context("no virtual doors")?;
        Ok(each.iter().map(|door| json!([door["compartment"], door["opened"]])).collect())
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
    let mut evening = Evening::begin(&event, &network, "virtual")?;
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
    assert_eq!(handed.body["items"][0]["compartment"], COMPARTMENT);
    assert_eq!(handed.body["doors"], json!([COMPARTMENT]));
    assert_eq!(evening.door(&claim)?["state"], "opened");
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
        // Virtual doors count from each start of the node.
        let once = [json!([COMPARTMENT, 1])];
        assert_eq!(evening.opened()?, if cut == 0 { &once[..] } else { &[] }, "after {cut} cuts");
        let open = evening.locker().post("/v1/doors/open", &json!({ "claim": claim }), None)?;
        assert_eq!((open.status, open.code()), (409, "door_done"), "{}", open.body);
        if cut == 0 {
            println!("at the locker: {}", again.body["detail"]);
        }
        evening.nodes[LOCKER].kill()?;
        evening.nodes[LOCKER].restart()?;
    }
    evening.network.heal();
    for known in evening.agreed_claim(&claim)? {
        assert_eq!((&known["state"], &known["redeemed_at_ms"]), (&json!("redeemed"), &at_ms));
        assert_eq!(known["door"]["state"], "opened");
    }
    for device in evening.devices() {
        assert_eq!(check(device, "CAP")?, 2);
    }
    Ok(())
}

/// A program that opens no door before its node has gone: it leaves a line each time that it is run.
fn hanging_program(event: &Event) -> Result<(String, std::path::PathBuf)> {
    let (program, runs) = (event.path().join("open-door"), event.path().join("runs"));
    let text = format!(
        "#!/bin/sh\necho \"$1\" >> {}\nwhile kill -0 $PPID 2>/dev/null; do sleep 0.05; done\n",
        runs.display()
    );
    fs::write(&program, text)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok((format!("exec:{}", program.display()), runs))
}

#[test]
fn a_power_cut_before_the_door_leaves_it_in_doubt_for_a_person_to_settle() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(44, NAMES.len())?;
    let (driver, runs) = hanging_program(&event)?;
    let mut evening = Evening::begin(&event, &network, &driver)?;
    let (claim, token) = evening.sell_for_pickup()?;
    let handed = evening.show(&token)?.ok()?;
    assert_eq!(handed["doors"], json!([COMPARTMENT]));
    let asked = || -> Result<Option<String>> {
        Ok(fs::read_to_string(&runs).ok().filter(|text| text.ends_with('\n')))
    };
    let first = evening.locker().wait_until("the door to be asked for", DEADLINE, |_| asked())?;
    assert_eq!(first, format!("{COMPARTMENT}\n"));
    let now = evening.locker().get(&format!("/v1/claims/{claim}/door"))?;
    assert_eq!((&now["being_opened"], &now["in_doubt"]), (&json!(true), &json!(false)));
    for _ in 0..CUTS {
        evening.nodes[LOCKER].kill()?;
        evening.nodes[LOCKER].restart()?;
        let doors = evening.locker().get("/v1/doors")?;
        let door = &doors["to_look_at"][0];
        assert_eq!((&door["claim"], &door["in_doubt"]), (&json!(claim), &json!(true)), "{doors}");
        assert_eq!(evening.show(&token)?.code(), "already_redeemed");
    }
    let settle = json!({"claim": claim, "handed_over": false, "by": "Ana"});
    assert_eq!(evening.locker().post("/v1/doors/settle", &settle, None)?.ok()?["state"], "settled");
    assert_eq!(evening.locker().post("/v1/doors/settle", &settle, None)?.code(), "door_done");
    let open = evening.locker().post("/v1/doors/open", &json!({ "claim": claim }), None)?;
    assert_eq!(open.code(), "door_done");
    println!("at the locker: {}", open.body["detail"]);
    assert_eq!(asked()?, Some(first), "nobody asked for the door again");

    evening.network.heal();
    for known in evening.agreed_claim(&claim)? {
        assert_eq!((&known["state"], &known["door"]["handed_over"]), (&json!("redeemed"), &json!(false)));
    }
    let to_look_at = |device: &Api<'_>| -> Result<usize> {
        Ok(device.get("/v1/doors")?["to_look_at"].as_array().context("no list")?.len())
    };
    for device in evening.devices() {
        assert_eq!(to_look_at(device)?, 1, "{} shows what was not handed over", device.name);
    }
    evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    agree(&evening.devices())?;
    for device in evening.devices() {
        assert_eq!((to_look_at(device)?, check(device, "CAP")?), (0, 0), "{}", device.name);
    }
    Ok(())
}

#[test]
fn a_pickup_wins_over_a_refund_asked_for_at_the_till() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(42, NAMES.len())?;
    let evening = Evening::begin(&event, &network, "virtual")?;
    let (claim, token) = evening.sell_for_pickup()?;
    let asked = evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    assert_eq!((&asked["amount"], &asked["claim"]["state"]), (&json!(0), &json!("refund_requested")));
    evening.show(&token)?.ok()?;
    evening.network.heal();
    for known in evening.agreed_claim(&claim)? {
        assert_eq!(known["state"], "redeemed");
        let declined = known["refund_declined"].as_str().context("not declined")?;
        ensure!(declined.contains("was redeemed 20") && declined.ends_with("at locker"), "{declined}");
    }
    println!("declined: {}", evening.agreed_claim(&claim)?[1]["refund_declined"]);
    Ok(())
}

#[test]
fn a_refund_that_a_person_pays_at_the_till_makes_the_token_worthless() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(43, NAMES.len())?;
    let evening = Evening::begin(&event, &network, "virtual")?;
    let (claim, token) = evening.sell_for_pickup()?;
    let asked = evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    assert_eq!(asked["claim"]["state"], "refund_requested");
    evening.network.heal();
    // The locker hears of the request, and pays nothing.
    evening.agreed_claim(&claim)?;
    let at_locker = evening.locker().call("POST", "/v1/refunds", Some(&json!({ "claim": claim })), None)?;
    assert_eq!((at_locker.status, at_locker.code()), (403, "unattended"));
    println!("at the locker: {}", at_locker.body["detail"]);
    evening.wait_for_reachable("everybody again", |_| NAMES.len())?;
    let paid = evening.nodes[1].done("/v1/refunds", &json!({ "claim": claim }))?;
    assert_eq!(paid["claim"]["state"], "refunded");
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
