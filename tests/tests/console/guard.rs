//! Whom a page talks to, and who may talk to the node through a browser.

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{Browser, Settings, watched};
use popmesh_tests::serve::{Page, serve};
use popmesh_tests::{Node, Options};
use serde_json::json;

use crate::shop::{CAP, TILLS, claims, open};
use crate::texts::Texts;

/// The pages of the console, and the overlay.
pub(crate) const PAGES: [&str; 6] = ["till", "desk", "encoder", "hq", "health", "overlay"];

#[test]
fn every_page_has_a_policy_and_asks_nobody_but_its_node() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    watched(&Settings::default(), |browser| {
        for name in PAGES {
            let page = browser.open(&stage.page("hq", name)?)?;
            page.reload()?;
            page.wait_until("something on the page", |page| {
                Ok((!page.text()?.trim().is_empty()).then_some(()))
            })?;
        }
        let own = stage.device("hq")?.api();
        let requests = browser.requests()?;
        ensure!(requests.len() > 20, "the requests are not seen: {requests:?}");
        ensure!(requests.iter().all(|request| request.origin() == own), "{requests:?}");
        // Every call says which device it means, so none ever reaches another.
        let calls = requests.iter().filter(|request| request.url[own.len()..].starts_with("/v1/"));
        let device = stage.device("hq")?.device()?;
        let unnamed: Vec<_> = calls
            .filter(|call| call.headers.get("popmesh-device") != Some(&device))
            .map(|call| call.url[own.len()..].to_owned())
            .collect();
        // Until the first answer a page does not know which it is.
        ensure!(
            unnamed.iter().all(|path| path == "/v1/status" || path.starts_with("/v1/drops")),
            "{unnamed:?}"
        );
        for answer in browser.transfers()? {
            if answer.headers.get("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
                let policy =
                    answer.headers.get("content-security-policy").context("a page without a policy")?;
                // OBS puts the look that its user wrote into the overlay as a style of its own; scripts it lets none in.
                let own = policy.replace("style-src 'self' 'unsafe-inline'", "");
                let lenient = answer.url.ends_with("/overlay");
                let policy = if lenient { &own } else { policy };
                ensure!(
                    !policy.contains("unsafe") && policy.contains("script-src 'self';"),
                    "{}: {policy}",
                    answer.url
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_policy_keeps_scripts_in_line_from_running() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let browser = Browser::start(&Settings::default())?;
    let page = browser.open(&stage.page("till-1", "")?)?;
    page.button(CAP.1).seen()?;
    let tries = "const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; } catch (error) { return 'refused'; }
        document.head.append(script);
        return window.ran ? 'ran' : 'refused';";
    assert_eq!(page.script(tries, json!([]))?, "refused");
    let html = "try { document.body.innerHTML = '<b>x</b>'; return 'written'; } catch { return 'refused'; }";
    assert_eq!(page.script(html, json!([]))?, "refused");
    let elsewhere = "const [done] = arguments;
        fetch('http://127.0.0.1:9/').then(() => done('answered'), (error) => done(String(error)));";
    page.script_that_waits(elsewhere, json!([]))?;
    let blamed = browser.blame().err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(blamed.contains("Content Security Policy"), "{blamed}");
    Ok(())
}

#[test]
fn a_page_of_another_site_gets_nothing_from_a_node() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let till = stage.device("till-1")?;
    let stranger =
        serve(|_| Page::html("<!doctype html><html lang=en><title>Evil</title><p>Win a prize</p>"))?;
    let browser = Browser::start(&Settings::default())?;
    let page = browser.open(&format!("http://{stranger}/"))?;
    let tries = "const [to, done] = arguments;
        const sale = { method: 'POST', body: JSON.stringify({ items: [{ sku: 'CAP' }], tender: 'cash' }) };
        const said = (answer) => answer.type === 'opaque' ? 'opaque' : answer.status;
        const each = [
            fetch(`${to}/v1/status`), fetch(`${to}/v1/sales`, sale), fetch(`${to}/v1/sales`, { ...sale, mode: 'no-cors' }),
            fetch(`${to}/v1/sales`, { ...sale, headers: { 'content-type': 'application/json' } }),
            fetch(`${to}/v1/sales`, { ...sale, mode: 'no-cors', headers: { 'content-type': 'text/plain' } }),
        ];
        Promise.all(each.map((one) => one.then(said, () => 'failed'))).then(done);";
    let said = page.script_that_waits(tries, json!([till.api()]))?;
    println!("what another site is told: {said}");
    let told = said.as_array().context("no answers")?;
    ensure!(told.iter().all(|one| one == "failed" || one == "opaque"), "{said}");
    // Nor can it frame the console and have it tapped unseen.
    let framed = "const [to, done] = arguments;
        const frame = document.createElement('iframe');
        frame.onload = () => { let reached = true; try { reached = frame.contentDocument !== null; } catch {} done(reached); };
        frame.src = to;
        document.body.append(frame);";
    page.script_that_waits(framed, json!([format!("{}/", till.api())]))?;
    let blamed = browser.blame().err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(blamed.contains("frame-ancestors"), "the console can be framed: {blamed}");
    let sold = claims(till, "redeemed")?;
    ensure!(sold.is_empty(), "another site has sold: {sold:?}");
    Ok(())
}

#[test]
fn a_page_is_bound_to_its_device_and_refuses_another_at_the_same_address() -> Result<()> {
    let mut stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let address = stage.page("till-1", "")?;
    let port: u16 = stage.device("till-1")?.api().rsplit(':').next().context("no port")?.parse()?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&address)?;
        page.button(CAP.1).tap()?;
        page.button(&texts.say("till.pay_now", &[("amount", &texts.money(2500))])?).tap()?;
        for name in ["till-1", "till-2"] {
            stage.node(name)?.kill()?;
        }
        let options = Options { api_port: port, quiet: true, ..Options::loopback(&[]) };
        let other = Node::start(stage.event(), "till-2", options)?;
        page.wait_for(&texts.say("frame.other_title", &[])?)?;
        ensure!(claims(&other, "redeemed")?.is_empty(), "the other one has sold");
        // Loaded anew, the page still knows which device it was.
        page.reload()?;
        page.wait_for(&texts.say("frame.other_title", &[])?)?;
        drop(other);
        stage.node("till-1")?.restart()?;
        page.wait_for_end_of(&texts.say("frame.other_title", &[])?)?;
        page.button(CAP.1).seen().map(drop)
    })
}
