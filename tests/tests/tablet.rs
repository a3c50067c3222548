//! A tablet and a screen: one is let in by a code, over TLS, until it is taken back; the other needs none, and opens while the
//! node is off.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{Browser, Page, Settings, watched};
use popmesh_tests::stage::free_port;
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

/// What the console says under a key, in English.
fn say(key: &str) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the repository")?;
    let texts: Value =
        serde_json::from_str(&fs::read_to_string(root.join("node/src/console/texts/en.json"))?)?;
    let text = key.split('.').fold(&texts, |part, name| &part[name]);
    Ok(text.as_str().with_context(|| format!("no text {key}"))?.to_owned())
}

/// A node, with its TLS port and that of its screen.
fn till(event: &Event) -> Result<(Node<'static>, u16, u16)> {
    event.enrol("till-1", "pos", "hall-a")?;
    let (tablets, screen) = (free_port()?, free_port()?);
    let mut options = Options { api_port: tablets, quiet: true, ..Options::loopback(&[]) };
    let more = ["--tls".to_owned(), "--screen".to_owned(), format!("127.0.0.1:{screen}")];
    options.arguments.extend(more);
    Ok((Node::start(event, "till-1", options)?, tablets, screen))
}

/// Has a page call its node, as its own scripts do.
fn post(page: &Page<'_>, path: &str, body: Option<Value>) -> Result<Value> {
    let script = "const [path, body, done] = arguments; \
        const head = body === null ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }; \
        fetch(path, { method: 'POST', ...head }).then((answer) => answer.json()).then(done, (error) => done({ error: String(error) }));";
    page.script_that_waits(script, json!([path, body]))
}

#[test]
fn a_tablet_is_let_in_by_its_code_and_cut_off_when_that_is_taken_back() -> Result<()> {
    let event = Event::found("Neon Nights")?;
    let (_node, tablets, screen) = till(&event)?;
    let now = say("health.now")?;
    watched(&Settings::default(), |browser| {
        // The host's own screen needs nothing.
        let own = browser.open(&format!("http://127.0.0.1:{screen}/#/health"))?;
        own.wait_for(&now)?;
        let new = json!({"scope": "till", "name": "counter 1", "lasts_ms": 3_600_000});
        let made = post(&own, "/v1/tokens", Some(new))?;
        let token = made["text"].as_str().with_context(|| format!("no token: {made}"))?;
        let id = made["token"].as_str().context("no id")?;

        let tablet = browser.open_another("about:blank")?;
        tablet.protocol("Security.setIgnoreCertificateErrors", json!({"ignore": true}))?;
        let address = format!("https://127.0.0.1:{tablets}/");
        tablet.go(&address)?;
        tablet.wait_for(&say("frame.pair_title")?)?;
        ensure!(!tablet.text()?.contains("till-1"), "nobody is told which device this is");
        // As scanned: the console's address, with the token behind it.
        tablet.field(&say("frame.pair_token")?).types(&format!("{address}#token={token}&page=health"))?;
        tablet.button(&say("frame.pair")?).tap()?;
        tablet.wait_for("till-1")?;
        ensure!(!tablet.url()?.contains("popmesh_"), "the token is still in the address");
        // As opened by a camera.
        tablet.script("localStorage.clear()", json!([]))?;
        tablet.go("about:blank")?;
        tablet.go(&format!("{address}#token={token}&page=health"))?;
        tablet.wait_for(&now)?;
        ensure!(!tablet.url()?.contains("token"), "the token is still in the address");
        tablet.reload()?;
        tablet.wait_for(&now)?;

        post(&own, &format!("/v1/tokens/{id}/revoke"), None)?;
        tablet.wait_for(&say("problems.token_revoked")?)?;
        tablet.button(&say("frame.pair")?).seen()?;
        // It asks no more: whoever goes on showing a bad token is shut out, and with it all at that address.
        let again = json!({"scope": "till", "name": "counter 1", "lasts_ms": 3_600_000});
        let again = post(&own, "/v1/tokens", Some(again))?;
        let token = again["text"].as_str().context("no second token")?;
        tablet.field(&say("frame.pair_token")?).types(token)?;
        tablet.button(&say("frame.pair")?).tap()?;
        tablet.wait_for("till-1")?;
        Ok(())
    })
}

#[test]
fn a_screen_opens_while_its_node_is_off_and_goes_on_when_it_is_back() -> Result<()> {
    let event = Event::found("Neon Nights")?;
    let (mut node, _, screen) = till(&event)?;
    // Not watched: a browser notes each call that nobody answers.
    let browser = Browser::start(&Settings::default())?;
    let page = browser.open(&format!("http://127.0.0.1:{screen}/#/health"))?;
    let now = say("health.now")?;
    page.wait_for(&now)?;
    page.wait_until("the files to be kept", |page| {
        let kept =
            "const done = arguments[0]; caches.match('/release.json').then((one) => done(Boolean(one)));";
        Ok((page.script_that_waits(kept, json!([]))? == true).then_some(()))
    })?;
    node.kill()?;
    page.reload()?;
    page.wait_for(&say("frame.nobody_answers")?)?;
    let of_calls = "const done = arguments[0]; \
        caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name).then((one) => one.keys())))) \
        .then((all) => done(all.flat().filter((one) => one.url.includes('/v1/')).length));";
    assert_eq!(page.script_that_waits(of_calls, json!([]))?, 0, "nothing of what the API says is kept");
    node.restart()?;
    page.wait_for(&now)?;
    Ok(())
}
