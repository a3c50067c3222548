//! A drop's steps over real processes and sockets: an encoder runs the drop alone, with a token of its scope; a venue that was cut
//! off from before the opening until after the close sells what it held, and what of that was late is told alike everywhere.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::agree;
use popmesh_tests::{Answer, Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
const NAMES: [(&str, &str, &str); 4] =
    [("hq", "hq", "hall"), ("encoder", "encoder", "hall"), ("till", "pos", "hall"), ("yard", "pos", "yard")];
const HQ: usize = 0;
const ENCODER: usize = 1;
const TILL: usize = 2;
const YARD: usize = 3;

struct Encoder<'a> {
    node: &'a Api<'a>,
    token: String,
}

impl<'a> Encoder<'a> {
    /// Whoever has a token of scope encoder, at that node.
    fn at(event: &Event, node: &'a Api<'a>) -> Result<Self> {
        let made = event
            .popmesh(&["--data", "encoder", "api", "token", "new", "--for", "1h", "--scope", "encoder"])?;
        Ok(Self { node, token: made["token"].as_str().context("no token")?.to_owned() })
    }

    fn takes(&self, step: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.node.raw("POST", "/v1/drops/night/steps", &headers, step.to_string().as_bytes())
    }
}

fn drop_of(api: &Api<'_>) -> Result<Value> {
    api.get("/v1/drops/night")
}

fn wait_for_state(api: &Api<'_>, state: &str) -> Result<()> {
    api.wait_until(state, DEADLINE, |api| Ok((drop_of(api)?["state"] == state).then_some(())))
}

fn sold(api: &Api<'_>) -> Result<Value> {
    // On a busy machine what others have comes later than the first sale.
    let sale = json!({"items": [{"sku": "CAP"}], "drop": "night", "wait_ms": 20_000});
    Ok(api.post("/v1/sales", &sale, None)?.ok()?["claim"].clone())
}

/// What is listed as sold after a close, by claim.
fn late(api: &Api<'_>) -> Result<Vec<Value>> {
    Ok(api.list("/v1/drops/night/late")?.into_iter().map(|sale| sale["claim"].clone()).collect())
}

#[test]
fn an_encoder_runs_the_drop_while_hq_is_off_and_what_was_late_is_told_alike() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(71, NAMES.len())?;
    for (name, roles, venue) in NAMES {
        event.enrol(name, roles, venue)?;
    }
    let nodes = network.hosts().iter().zip(NAMES).map(|(host, (name, ..))| {
        Node::start(&event, name, Options { host: Some(host), ..Options::default() })
    });
    let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
    for node in &nodes {
        node.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == NAMES.len()).then_some(()))
        })?;
    }
    // Planned by hq, which then goes home for the night.
    nodes[HQ].done("/v1/products", &json!({"sku": "CAP", "name": "Cap", "price": 2500}))?;
    nodes[HQ].done("/v1/drops", &json!({"drop": "night", "title": "Night"}))?;
    nodes[HQ].done("/v1/lots", &json!({"drop": "night", "sku": "CAP", "first": 1, "last": 40}))?;
    let (till, yard) = (nodes[TILL].device()?, nodes[YARD].device()?);
    nodes[HQ].done(
        "/v1/transfers",
        &json!({"drop": "night", "sku": "CAP", "units": {"serials": "1-20"}, "to": till}),
    )?;
    nodes[HQ].done(
        "/v1/moves",
        &json!({"drop": "night", "sku": "CAP", "units": {"serials": "31-40"}, "place": "yard"}),
    )?;
    nodes[HQ].done(
        "/v1/transfers",
        &json!({"drop": "night", "sku": "CAP", "units": {"serials": "31-40"}, "to": yard}),
    )?;
    let all: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    agree(&all)?;
    for (at, expected) in [(HQ, "unknown_venue"), (ENCODER, "unknown_venue"), (TILL, "role_forbids")] {
        let answer =
            nodes[at].post("/v1/drops/night/steps", &json!({"step": "close", "venue": "moon"}), None)?;
        ensure!(answer.code() == expected, "at {}: {}", NAMES[at].0, answer.body);
    }
    nodes[HQ].kill()?;

    let (announced, closed_ms) = {
        let encoder = Encoder::at(&event, &nodes[ENCODER])?;
        let announced = encoder.takes(&json!({"step": "announce"}))?.ok()?;
        assert_eq!(announced["step"]["units"], json!([{"sku": "CAP", "units": 40}]));
        encoder.takes(&json!({"step": "open"}))?.ok()?;
        for at in [TILL, YARD] {
            wait_for_state(&nodes[at], "open")?;
        }
        network.cut_off(YARD);
        sold(&nodes[YARD])?;
        let sold_here = sold(&nodes[TILL])?;
        encoder.takes(&json!({"step": "last_call"}))?.ok()?;
        wait_for_state(&nodes[TILL], "last_call")?;
        sold(&nodes[TILL])?;
        let closed = encoder.takes(&json!({"step": "close"}))?.ok()?;
        assert_eq!((&closed["written"], &closed["drop"]["state"]), (&json!(true), &json!("closed")));
        let again = encoder.takes(&json!({"step": "close"}))?.ok()?;
        assert_eq!((&again["written"], &again["step"]["entry"]), (&json!(false), &closed["step"]["entry"]));
        let open = encoder.takes(&json!({"step": "open"}))?;
        assert_eq!((open.status, open.code()), (409, "step_unfit"), "{}", open.body);
        wait_for_state(&nodes[TILL], "closed")?;
        let refused = nodes[TILL].post("/v1/sales", &json!({"items": [{"sku": "CAP"}]}), None)?;
        assert_eq!((refused.status, refused.code()), (409, "drop_not_open"), "{}", refused.body);
        (sold_here, closed["step"]["at_ms"].as_u64())
    };
    // The yard has heard of nothing, and has every right to sell on.
    assert_eq!(drop_of(&nodes[YARD])?["state"], "open");
    // Later is what both clocks say.
    nodes[YARD].wait_until("its clock to be past the close", DEADLINE, |yard| {
        let now_ms = yard.get("/v1/drops/night/board")?["now_ms"].as_u64();
        Ok((now_ms > closed_ms).then_some(()))
    })?;
    let expected = vec![sold(&nodes[YARD])?, sold(&nodes[YARD])?];
    network.rejoin(YARD);
    nodes[HQ].restart()?;
    let all: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    for node in &all {
        node.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == NAMES.len()).then_some(()))
        })?;
        wait_for_state(node, "closed")?;
    }
    // What is left goes home.
    nodes[HQ].wait_until("what is left", DEADLINE, |hq| {
        Ok((hq.stock("CAP")?["own"]["available"] == 40 - 5).then_some(()))
    })?;
    agree(&all)?;
    let steps = nodes[HQ].list("/v1/drops/night/steps")?;
    let kinds: Vec<&Value> = steps.iter().map(|step| &step["step"]).collect();
    assert_eq!(kinds, ["announce", "open", "last_call", "close"]);
    for node in &all {
        assert_eq!(node.list("/v1/drops/night/steps")?, steps);
        assert_eq!(late(node)?, expected);
        assert_eq!(drop_of(node)?["late"], 2);
        for (claim, after_close) in [(&expected[0], json!(true)), (&announced, Value::Null)] {
            let claim = claim.as_str().context("no claim")?;
            assert_eq!(node.get(&format!("/v1/claims/{claim}"))?["after_close"], after_close);
        }
    }
    Ok(())
}
