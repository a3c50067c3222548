//! Selling at a till's page: by tap and by scan, refused with what to do next, cut off and healed, brought back, taken back.

use anyhow::{Context, Result, ensure};
use popmesh_tests::Page;
use popmesh_tests::books::{agree, check};
use popmesh_tests::browser::{Settings, watched};

use crate::shop::{CAP, PIN, TILLS, claims, free, has_some, open, units};
use crate::texts::Texts;

/// Sells what was put into the cart, paid in cash to the cent.
pub(crate) fn pay_exactly(page: &Page<'_>, texts: &Texts, cents: u32) -> Result<()> {
    page.button(&texts.say("till.pay_now", &[("amount", &texts.money(cents))])?).tap()?;
    page.button(&texts.say("till.exact", &[("amount", &texts.money(cents))])?).tap()
}

/// Waits until a walk-in sale is done, and goes on to the next.
pub(crate) fn hand_over(page: &Page<'_>, texts: &Texts) -> Result<()> {
    page.wait_for(&texts.say("till.sold_now", &[])?)?;
    page.button(&texts.say("till.next", &[])?).tap()?;
    page.wait_for_end_of(&texts.say("till.sold_now", &[])?)
}

#[test]
fn a_cart_is_sold_in_both_languages() -> Result<()> {
    for language in ["en", "de"] {
        let stage = open(&TILLS, 12, 12)?;
        let texts = Texts::load(language)?;
        watched(&Settings::language(language), |browser| {
            let page = browser.open(&stage.page("till-1", "")?)?;
            // In the cart there are buttons that are called after the product, too.
            let pin = format!("{} {}", PIN.1, texts.money(PIN.2));
            page.button(CAP.1).tap()?;
            page.button(&pin).tap()?;
            page.button(&pin).tap()?;
            page.button(&texts.say("till.pay_now", &[("amount", &texts.money(4000))])?).tap()?;
            // A note that is larger: the page says what to give back.
            page.button(&texts.money(5000)).tap()?;
            let shown = page.wait_for(&texts.say("till.sold_now", &[])?)?;
            ensure!(shown.contains(&texts.money(1000)), "no change of ten: {shown}");
            page.button(&texts.say("till.next", &[])?).tap()?;
            page.wait_for(&texts.say("till.empty", &[])?)?;
            // And by card, with the number on the slip.
            page.button(CAP.1).tap()?;
            page.button(&texts.say("till.pay_now", &[("amount", &texts.money(2500))])?).tap()?;
            page.button(&texts.say("till.tender.card", &[])?).tap()?;
            page.field(&texts.say("till.reference", &[])?).fills("SLIP-7")?;
            page.button(&texts.say("till.take.card", &[("amount", &texts.money(2500))])?).tap()?;
            hand_over(&page, &texts)
        })?;
        let till = stage.device("till-1")?;
        let sold = claims(till, "redeemed")?;
        assert_eq!(sold.len(), 2, "{sold:?}");
        let total: u64 = sold.iter().filter_map(|claim| claim["total"].as_u64()).sum();
        assert_eq!(total, 6500);
        let by_slip = till.list("/v1/claims?named=SLIP-7")?;
        ensure!(by_slip.len() == 1 && by_slip[0]["tender"] == "card", "{by_slip:?}");
        assert_eq!((check(till, CAP.0)?, check(till, PIN.0)?), (2, 2));
    }
    Ok(())
}

#[test]
fn a_scanner_that_types_fills_the_cart() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(CAP.1).seen()?;
        page.scan(CAP.0)?;
        page.wait_for(&texts.say("till.cart_count", &[("count", "1")])?)?;
        // The focus is on a product now, which Enter would press once more.
        page.button(PIN.1).tap()?;
        page.wait_for(&texts.say("till.cart_count", &[("count", "2")])?)?;
        page.scan(PIN.0)?;
        page.wait_for(&texts.say("till.cart_count", &[("count", "3")])?)?;
        page.scan_until_shown("NO-SUCH", &texts.say("till.unknown_scan", &[("text", "NO-SUCH")])?)?;
        pay_exactly(&page, &texts, 4000)?;
        hand_over(&page, &texts)
    })?;
    let mut sold = units(&claims(stage.device("till-1")?, "redeemed")?)?;
    sold.sort();
    assert_eq!(sold.len(), 2, "one line of caps, one of pins: {sold:?}");
    Ok(())
}

#[test]
fn a_till_that_is_cut_off_sells_what_it_holds_and_then_says_who_has_more() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    has_some(&stage, "till-1", CAP.0)?;
    let till = stage.device("till-1")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.wait_for(&texts.say("frame.linked", &[("count", "2")])?)?;
        till.set_links(false)?;
        // It is said calmly, and nothing is refused for it.
        page.wait_for(&texts.say("frame.alone", &[])?)?;
        let held = free(till, CAP.0)?;
        ensure!(held > 0, "it holds nothing");
        for sold in 0..held {
            page.button(CAP.1).tap().with_context(|| format!("after {sold} of {held}"))?;
            pay_exactly(&page, &texts, 2500)?;
            hand_over(&page, &texts)?;
        }
        // What is gone is said with who has some, and since when that is known; a tap on it sells nothing.
        let gone = texts.say("till.flag.apart", &[])?;
        let tile = page.button(CAP.1).seen_when(|seen| seen.name.contains(&gone))?;
        println!("cut off: {}", tile.name);
        ensure!(
            tile.name.contains("till-2") || tile.name.contains("hq") || tile.name.contains("others"),
            "{tile:?}"
        );
        till.set_links(true)?;
        page.wait_for(&texts.say("frame.linked", &[("count", "2")])?)?;
        page.button(CAP.1).tap()?;
        pay_exactly(&page, &texts, 2500)?;
        hand_over(&page, &texts)
    })?;
    agree(&stage.devices())?;
    for device in stage.devices() {
        ensure!(check(device, CAP.0)? >= 2, "{}", device.name);
    }
    Ok(())
}

#[test]
fn a_refusal_says_why_and_what_to_do_next() -> Result<()> {
    let stage = open(&TILLS, 8, 12)?;
    let texts = Texts::load("en")?;
    has_some(&stage, "till-1", CAP.0)?;
    let till = stage.device("till-1")?;
    let sold = watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(CAP.1).seen()?;
        till.set_links(false)?;
        page.wait_for(&texts.say("frame.alone", &[])?)?;
        let held = u32::try_from(free(till, CAP.0)?)?;
        let tile = format!("{} {}", CAP.1, texts.money(CAP.2));
        for _ in 0..held {
            page.button(&tile).tap()?;
        }
        page.wait_for(&texts.say("till.cart_count", &[("count", &held.to_string())])?)?;
        // Meanwhile one of them is sold here, from elsewhere.
        till.sell(CAP.0, std::time::Duration::ZERO, None)?.ok()?;
        pay_exactly(&page, &texts, held * CAP.2)?;
        page.wait_for(&texts.say("till.not_sold", &[])?)?;
        // The best next step is the one large button.
        let left = (held - 1).to_string();
        page.button(&texts.say("till.step.less", &[("count", &left)])?).tap()?;
        page.wait_for(&texts.say("till.cart_count", &[("count", &left)])?)?;
        pay_exactly(&page, &texts, (held - 1) * CAP.2)?;
        hand_over(&page, &texts)?;
        Ok(u64::from(held))
    })?;
    till.set_links(true)?;
    agree(&stage.devices())?;
    for device in stage.devices() {
        assert_eq!(check(device, CAP.0)?, sold, "{}", device.name);
    }
    Ok(())
}

#[test]
fn what_was_sold_last_is_taken_back_and_what_is_brought_back_is_paid_back() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let till = stage.device("till-1")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(CAP.1).tap()?;
        pay_exactly(&page, &texts, 2500)?;
        hand_over(&page, &texts)?;
        // It asks first, and says what will happen.
        page.find("button", &texts.say("till.undo_last", &[])?).tap()?;
        page.wait_for(&texts.say("till.undo_title", &[])?)?;
        assert_eq!(claims(till, "redeemed")?.len(), 1, "a question does nothing");
        page.button(&texts.say("till.undo_yes", &[])?).tap()?;
        page.wait_for(&texts.say("till.pay_back", &[])?)?;
        page.button(&texts.say("till.paid_back_done", &[])?).tap()?;
        till.wait_until("the sale to be taken back", crate::shop::DEADLINE, |till| {
            Ok((claims(till, "returned")?.len() == 1).then_some(()))
        })?;
        // A sale is found again by its receipt, and one of two is brought back, damaged.
        page.button(PIN.1).tap()?;
        page.button(PIN.1).tap()?;
        pay_exactly(&page, &texts, 1500)?;
        let shown = page.wait_for(&texts.say("till.sold_now", &[])?)?;
        println!("{shown}");
        page.button(&texts.say("till.next", &[])?).tap()?;
        page.button(&texts.say("till.find", &[])?).tap()?;
        page.wait_for(&texts.say("till.find_title", &[])?)?;
        Ok(())
    })
}
