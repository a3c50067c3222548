//! Each route, called with a token of each lesser scope, as badly as it can be called: none of them empties the device, of its
//! stock or of the claims in its custody, and none answers for its past. What a till or a locker is there for, it does one at
//! a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Answer, Api, Event, Node, Options, wait_until};
use serde_json::{Value, json};

const UNITS: u64 = 60;
const CLAIMS: usize = 30;
/// So often each of them is called: a loop, as a thief's program would be.
const TIMES: usize = 40;
/// Units and claims that a lesser token gives away at once, in all; see the API's description.
const GIVES_UNITS: u64 = 6;
const GIVES_CLAIMS: u64 = 20;
const WAIT: Duration = Duration::from_secs(5);
const LESSER: [&str; 4] = ["till", "locker", "encoder", "read-only"];

/// What is served to shoppers: it takes stock or claims away, one by one, and is what the token is there for.
const SERVES: [&str; 4] = ["/v1/sales", "/v1/carts", "/v1/redemptions", "/v1/refunds"];

struct Stage<'a> {
    till: &'a Api<'a>,
    hq: String,
    own: String,
    claims: Vec<String>,
}

impl Stage<'_> {
    /// The worst body for a route that acts; an error for a route that nobody has thought about.
    fn body(&self, path: &str, number: usize) -> Result<Value> {
        let claim = &self.claims[number % self.claims.len()];
        let (hq, own) = (&self.hq, &self.own);
        let all = json!({"drop": "cap", "sku": "CAP", "units": {"count": UNITS / 2}});
        let one = json!({"drop": "cap", "sku": "CAP", "units": {"count": 1}});
        // By turns all at once, and one after the other.
        let mut units = if number.is_multiple_of(2) { all } else { one };
        Ok(match path {
            "/v1/leave" => {
                json!({"to": hq, "device": own, "units": self.units()?, "claims": self.custody()?})
            }
            "/v1/past/acceptance" => json!({"device": own, "entries": 0}),
            "/v1/sweeps" => json!({"drop": "cap", "device": own, "claims": 0}),
            "/v1/transfers" => {
                units["to"] = json!(hq);
                units
            }
            "/v1/damage" => units,
            "/v1/moves" => {
                units["place"] = json!("nowhere");
                units
            }
            "/v1/custody" => json!({"claim": claim, "to": hq}),
            "/v1/refunds" | "/v1/redemptions" => json!({"claim": claim}),
            "/v1/sales" => json!({"items": [{"sku": "CAP"}]}),
            "/v1/carts" => json!({"items": [{"sku": "CAP"}], "ttl_ms": 60_000}),
            "/v1/carts/take" => json!({"cart": claim}),
            "/v1/carts/{cart}/items" => json!({"items": [{"sku": "CAP", "quantity": 9}]}),
            "/v1/carts/{cart}/removals" => json!({"items": [{"sku": "CAP"}]}),
            "/v1/undo" => json!({"entry": self.till.get("/v1/undo")?["entry"]}),
            "/v1/settlements" => json!({"claim": claim, "payment": 1, "failed": true}),
            "/v1/doors/open" => json!({"claim": claim}),
            "/v1/doors/settle" => json!({"claim": claim, "handed_over": true, "by": "x"}),
            "/v1/doors/jam" => json!({"compartment": "L1", "jammed": true}),
            "/v1/people" => json!({"kind": "note", "content": "x"}),
            "/v1/people/erase" => json!({"shopper": "order-7"}),
            "/v1/products" => json!({"sku": "CAP", "name": "Cap", "price": 1}),
            "/v1/drops" => json!({"drop": "other", "title": "Other"}),
            "/v1/lots" => json!({"drop": "cap", "sku": "CAP", "first": 900, "last": 999}),
            "/v1/resolutions" => json!({"incident": claim, "note": "x"}),
            "/v1/retirements" => json!({"device": own, "at_risk": 0, "reachable": true}),
            "/v1/devices/renewals" => json!({}),
            "/v1/registrars" => json!({"to": own}),
            "/v1/rules" => json!({"ordinary_wish": 1}),
            "/v1/limits" => json!({"device": own, "amount": 0}),
            "/v1/links" => json!({"on": false}),
            "/v1/claims/{claim}/unlock" | "/v1/carts/{cart}/release" | "/v1/carts/{cart}/paying" => {
                Value::Null
            }
            "/v1/drops/{drop}/steps" => json!({"step": "close"}),
            "/v1/admissions" => json!({"roles": ["pos"], "venue": "hall"}),
            "/v1/tokens" => json!({"scope": "manager", "name": "x", "lasts_ms": 60_000}),
            "/v1/admissions/{admission}/close" | "/v1/tokens/{token}/revoke" => Value::Null,
            other => anyhow::bail!("what is the worst that can be done at {other}? say so here"),
        })
    }

    fn units(&self) -> Result<u64> {
        let risk = self.till.get(&format!("/v1/devices/{}/retirement", self.own))?;
        Ok(risk["held"].as_array().into_iter().flatten().filter_map(|held| held["units"].as_u64()).sum())
    }

    fn custody(&self) -> Result<u64> {
        let risk = self.till.get(&format!("/v1/devices/{}/retirement", self.own))?;
        risk["claims"].as_u64().context("no claims")
    }

    fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        if !body.is_null() {
            headers.push(("content-type", "application/json"));
        }
        self.till.raw(method, path, &headers, &bytes)
    }

    /// The path of a route, about this device, and a claim or a drop of it.
    fn place(&self, route: &str) -> String {
        let claim = &self.claims[0];
        route
            .replace("{claim}", claim)
            .replace("{cart}", claim)
            .replace("{drop}", "cap")
            .replace("{admission}", "0123456789abcdef")
            .replace("{token}", "0123456789abcdef")
            .replace("{device}", &self.own)
            .replace("{number}", "1")
            .replace("{document}", "programme")
            .replace("{kind}", "stock")
    }
}

#[test]
fn no_lesser_scope_empties_the_device_by_any_route() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq", "hall-a")?;
    event.enrol("till", "hq,pos,encoder", "hall-a")?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let listening = hq.get("/v1/peers")?;
    let addresses = listening["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let near = addresses.filter(|address| address.contains("/tcp/")).map(str::to_owned).next();
    let near = near.with_context(|| format!("hq listens nowhere: {listening}"))?;
    let till = Node::start(&event, "till", Options::loopback(&[near]))?;
    till.wait_until("a link", Duration::from_secs(30), |till| Ok((!till.links()?.is_empty()).then_some(())))?;
    put_on_sale(&till, "CAP", UNITS as u32 + CLAIMS as u32)?;
    let own = till.device()?;
    let mut claims = Vec::new();
    for _ in 0..CLAIMS {
        let pickup = json!({"items": [{"sku": "CAP"}], "pickup_at": own, "wait_ms": 2_000});
        let sold = till.post("/v1/sales", &pickup, None)?.ok()?;
        claims.push(sold["claim"].as_str().context("no claim")?.to_owned());
    }
    agree(&[&hq, &till])?;
    let stage = Stage { till: &till, hq: hq.device()?, own, claims };
    let tokens = LESSER.into_iter().chain(["manager"]).map(|scope| {
        let made =
            event.popmesh(&["--data", "till", "api", "token", "new", "--for", "1h", "--scope", scope])?;
        Ok((scope, made["token"].as_str().context("no token")?.to_owned()))
    });
    let tokens = tokens.collect::<Result<BTreeMap<_, _>>>()?;
    let api = till.get("/v1/openapi.json")?;
    let mut routes = BTreeSet::new();
    for (path, item) in api["paths"].as_object().context("no paths")? {
        routes.extend(
            item.as_object()
                .into_iter()
                .flat_map(serde_json::Map::keys)
                .map(|method| (path.clone(), method.to_uppercase())),
        );
    }
    ensure!(routes.len() > 50, "{routes:?}");

    let (mut given, mut answered) = (0, BTreeMap::new());
    for (scope, token) in LESSER.into_iter().map(|scope| (scope, &tokens[scope])) {
        for (route, method) in &routes {
            let path = stage.place(route);
            // A stream has no end of its own.
            if route == "/v1/events" {
                continue;
            }
            let before = (stage.units()?, stage.custody()?);
            let times = if method == "GET" || SERVES.contains(&route.as_str()) { 1 } else { TIMES };
            let mut last = (0, String::new());
            for number in 0..times {
                let body = if method == "GET" { Value::Null } else { stage.body(route, number)? };
                // The pace of a token is not what is tried here.
                let answer = wait_until("the token's pace", WAIT, || {
                    let answer = stage.call(token, method, &path, &body)?;
                    Ok((answer.code() != "too_many_requests").then_some(answer))
                })?;
                ensure!(answer.status != 500, "{scope}: {method} {path}: {}", answer.body);
                last = (answer.status, answer.code().to_owned());
                if last.0 == 403 && last.1 == "wrong_scope" {
                    break;
                }
            }
            let after = (stage.units()?, stage.custody()?);
            let (units, custody) = (before.0.saturating_sub(after.0), before.1.saturating_sub(after.1));
            println!(
                "{scope:9} {method:4} {route:40} {} {:20} -{units} units -{custody} claims",
                last.0, last.1
            );
            answered.insert((scope, route.clone()), last);
            // One more for each minute that it takes.
            let is_within = match SERVES.contains(&route.as_str()) {
                true => units + custody <= 1,
                false => units <= GIVES_UNITS + 1 && custody <= GIVES_CLAIMS + 1,
            };
            ensure!(is_within, "{scope}: {method} {route} took {units} units and {custody} claims");
            given += units + custody;
        }
        for route in ["/v1/leave", "/v1/past/acceptance", "/v1/sweeps", "/v1/transfers", "/v1/links"] {
            let (status, code) = &answered[&(scope, route.to_owned())];
            ensure!((*status, code.as_str()) == (403, "wrong_scope"), "{scope}: {route}: {status} {code}");
        }
    }
    // Both of those that give anything away, and what was served.
    ensure!(given <= 2 * (GIVES_UNITS + GIVES_CLAIMS + 6), "{given} were given away by lesser scopes");
    ensure!(stage.units()? > UNITS / 2, "{} units are left", stage.units()?);
    ensure!(till.get("/v1/status")?["past_unknown"] == false);

    // A manager does what its token is for, and not before saying what there is.
    let manager = &tokens["manager"];
    let (units, claims) = (stage.units()?, stage.custody()?);
    let leave = |device: &str, units: u64, claims: u64| json!({"to": stage.hq, "device": device, "units": units, "claims": claims});
    for wrong in [
        leave(&stage.own, units + 1, claims),
        leave(&stage.own, units, claims + 1),
        leave(&stage.hq, units, claims),
    ] {
        let refused = stage.call(manager, "POST", "/v1/leave", &wrong)?;
        assert_eq!((refused.status, refused.code()), (409, "not_as_said"), "{}", refused.body);
        assert_eq!((&refused.body["units"], &refused.body["claims"]), (&json!(units), &json!(claims)));
        assert_eq!(refused.body["device"], json!(stage.own));
    }
    let past = json!({"device": stage.own, "entries": 7});
    assert_eq!(stage.call(manager, "POST", "/v1/past/acceptance", &past)?.code(), "not_as_said");
    assert_eq!((stage.units()?, stage.custody()?), (units, claims), "what was refused changed something");
    for cart in till.list("/v1/carts")?.iter().filter_map(|cart| cart["cart"].as_str()) {
        till.call("POST", &format!("/v1/carts/{cart}/release"), None, None)?.ok()?;
    }
    // The encoder's token has closed the drop, as it may.
    till.done("/v1/drops/cap/steps", &json!({"step": "open", "again": true}))?;
    till.sell("CAP", WAIT, None)?.ok()?;
    let now = leave(&stage.own, stage.units()?, stage.custody()?);
    let left = stage.call(manager, "POST", "/v1/leave", &now)?.ok()?;
    assert_eq!((stage.units()?, stage.custody()?), (0, 0), "{left}");
    Ok(())
}
