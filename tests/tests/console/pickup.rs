//! What is bought at a till and fetched at a locker: the code is shown to the shopper's eyes and read off the screen, the locker
//! hands out once, and says why it does not do so again.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{Settings, watched};
use popmesh_tests::stage::Cast;
use popmesh_tests::{Page, Stage};
use serde_json::json;

use crate::sale::pay_exactly;
use crate::shop::{CAP, DEADLINE, DROP, PIN, claims, open_with};
use crate::texts::Texts;

/// An hq, a till, and a locker with doors.
pub(crate) const PICKUP: [Cast<'static>; 3] =
    [("hq", "hq,registrar"), ("till-1", "pos"), ("locker", "locker")];

pub(crate) fn with_doors(name: &str) -> Vec<String> {
    if name == "locker" { ["--door", "virtual"].map(str::to_owned).to_vec() } else { Vec::new() }
}

/// Reads the QR code off the screen, as a scanner does.
pub(crate) fn read_code(page: &Page<'_>, stage: &Stage) -> Result<String> {
    let picture = stage.event().path().join("screen.png");
    page.screenshot(&picture)?;
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "--nodbus"])
        .arg(&picture)
        .output()
        .context("no zbarimg; on Debian and Ubuntu: apt-get install zbar-tools")?;
    ensure!(output.status.success(), "no code on the screen: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Sells a cap at the till's page, to be picked up at the locker.
pub(crate) fn sell_for_pickup(page: &Page<'_>, texts: &Texts, pin: Option<&str>) -> Result<()> {
    page.button(CAP.1).tap()?;
    page.find("disclosuretriangle", &texts.say("till.more", &[])?).tap()?;
    let place = texts.say("till.pickup_at", &[("name", "locker"), ("venue", "hall-a")])?;
    page.field(&texts.say("till.pickup", &[])?).chooses(&place)?;
    if let Some(pin) = pin {
        page.field(&texts.say("till.pin", &[])?).fills(pin)?;
    }
    pay_exactly(page, texts, 2500)?;
    page.wait_for(&texts.say("till.sold_pickup", &[("name", "locker")])?).map(drop)
}

#[test]
fn a_pickup_is_handed_out_once_by_its_code_alone() -> Result<()> {
    let stage = open_with(&PICKUP, 12, 12, with_doors)?;
    let texts = Texts::load("en")?;
    // The locker hears of nothing: it goes by the code alone.
    stage.device("locker")?.set_links(false)?;
    watched(&Settings::default(), |browser| {
        let till = browser.open(&stage.page("till-1", "")?)?;
        sell_for_pickup(&till, &texts, None)?;
        till.button(&texts.say("till.show_code", &[])?).tap()?;
        till.wait_for(&texts.say("till.code_where", &[("name", "locker")])?)?;
        let token = read_code(&till, &stage)?;
        ensure!(stage.device("locker")?.claims()?.is_empty(), "the locker has heard of it");

        let desk = browser.open_another(&stage.page("locker", "")?)?;
        desk.wait_for(&texts.say("desk.ready", &[])?)?;
        desk.scan_until_shown("popmesh1:NONSENSE", &texts.say("desk.do_not", &[])?)
            .or_else(|_| desk.wait_for(&texts.say("desk.answers.token_damaged.word", &[])?))?;
        let said = desk.scan_until_shown(&token, &texts.say("desk.hand_out", &[])?)?;
        ensure!(said.contains(CAP.0) || said.contains(CAP.1), "what to hand out is not said: {said}");
        desk.scan_until_shown(&token, &texts.say("desk.answers.already_redeemed.word", &[])?)?;
        Ok(())
    })?;
    stage.device("locker")?.set_links(true)?;
    stage.devices().into_iter().try_for_each(|device| {
        device.wait_until("the hand-over", DEADLINE, |device| {
            Ok((claims(device, "redeemed")?.len() == 1).then_some(()))
        })
    })
}

#[test]
fn a_pin_is_asked_for_and_a_wrong_one_counts() -> Result<()> {
    let stage = open_with(&PICKUP, 12, 12, with_doors)?;
    let texts = Texts::load("de")?;
    let (till, locker) = (stage.device("till-1")?, stage.device("locker")?);
    let sale = json!({"drop": DROP, "items": [{"sku": PIN.0}], "tender": "card", "pickup_at": locker.device()?, "pin": "0417"});
    let sold = till.done("/v1/sales", &sale)?;
    let token = till.get(&format!("/v1/claims/{}/token", sold["claim"].as_str().context("no claim")?))?;
    let token = token["token"].as_str().context("no token")?.to_owned();
    watched(&Settings::language("de"), |browser| {
        let desk = browser.open(&stage.page("locker", "desk")?)?;
        desk.wait_for(&texts.say("desk.ready", &[])?)?;
        desk.scan_until_shown(&token, &texts.say("desk.answers.pin_needed.word", &[])?)?;
        let field = desk.field(&texts.say("desk.pin.label", &[])?);
        field.fills("9999")?;
        desk.button(&texts.say("desk.pin.ok", &[])?).tap()?;
        desk.wait_for(&texts.say("desk.answers.wrong_pin.word", &[])?)?;
        field.fills("0417")?;
        desk.button(&texts.say("desk.pin.ok", &[])?).tap()?;
        desk.wait_for(&texts.say("desk.hand_out", &[])?).map(drop)
    })?;
    assert_eq!(claims(locker, "redeemed")?.len(), 1);
    Ok(())
}

#[test]
fn five_wrong_pins_lock_a_pickup_until_somebody_has_looked() -> Result<()> {
    let stage = open_with(&PICKUP, 12, 12, with_doors)?;
    let texts = Texts::load("en")?;
    let (till, locker) = (stage.device("till-1")?, stage.device("locker")?);
    let sale = json!({"drop": DROP, "items": [{"sku": PIN.0}], "tender": "card", "pickup_at": locker.device()?, "pin": "0417"});
    let sold = till.done("/v1/sales", &sale)?;
    let claim = sold["claim"].as_str().context("no claim")?;
    let token = till.get(&format!("/v1/claims/{claim}/token"))?;
    let token = token["token"].as_str().context("no token")?.to_owned();
    watched(&Settings::default(), |browser| {
        let desk = browser.open(&stage.page("locker", "desk")?)?;
        desk.wait_for(&texts.say("desk.ready", &[])?)?;
        desk.scan_until_shown(&token, &texts.say("desk.answers.pin_needed.word", &[])?)?;
        for left in (0..5).rev() {
            desk.field(&texts.say("desk.pin.label", &[])?).fills("9999")?;
            desk.button(&texts.say("desk.pin.ok", &[])?).tap()?;
            let said = match left {
                0 => texts.say("desk.answers.pin_locked.word", &[])?,
                left => texts.say(
                    "desk.answers.wrong_pin.reason",
                    &[("tries", &left.to_string()), ("count", &left.to_string())],
                )?,
            };
            desk.wait_for(&said)?;
        }
        // The right one does not help any more.
        let refused = locker.post("/v1/redemptions", &json!({"claim": claim, "pin": "0417"}), None)?;
        assert_eq!(refused.code(), "pin_locked", "{}", refused.body);
        Ok(())
    })?;
    assert_eq!(claims(locker, "redeemed")?.len(), 0);
    Ok(())
}
