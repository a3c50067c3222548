//! That everybody can use the pages: by the rules of axe, by keyboard alone, in the dark, with nothing that moves; and that a
//! slow tablet has them soon.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Page;
use popmesh_tests::browser::{Browser, Media, SIZES, Settings, TAB, watched};
use serde_json::{Value, json};

use crate::guard::PAGES;
use crate::shop::{CAP, TILLS, open_with};

/// The first view, all of it, compressed.
const FIRST_VIEW_BYTES: u64 = 150_000;
/// A tap has to land on so many CSS pixels at least.
const TARGET: f64 = 44.0;

/// Waits until a page has what it first shows.
fn settled(page: &Page<'_>) -> Result<()> {
    page.wait_until("the page to stand", |page| {
        let stands = "return document.readyState === 'complete'
            && document.querySelector('main h1, main h2, main button, #overlay > *') !== null
            && document.querySelector('[aria-busy=true]') === null";
        Ok((page.script(stands, json!([]))? == true).then_some(()))
    })
}

fn venue() -> Result<popmesh_tests::Stage> {
    let doors =
        |name: &str| if name == "hq" { vec!["--door".to_owned(), "virtual".to_owned()] } else { Vec::new() };
    open_with(&TILLS, 12, 12, doors)
}

#[test]
fn axe_finds_nothing_serious_on_any_page() -> Result<()> {
    let stage = venue()?;
    let mut wrong = Vec::new();
    for language in ["en", "de"] {
        watched(&Settings::language(language), |browser| {
            for name in PAGES {
                let page = browser.open(&stage.page("hq", name)?)?;
                page.reload()?;
                settled(&page)?;
                for dark in [false, true] {
                    page.wish(Media { dark, ..Media::default() })?;
                    for size in SIZES {
                        page.resize(size)?;
                        for found in page.audit()? {
                            let line = format!("{language} {name} {size} dark={dark} {found}");
                            println!("{line}");
                            if matches!(&*found.impact, "serious" | "critical") {
                                wrong.push(line);
                            }
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
    ensure!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// Whether what has the focus looks otherwise without it, where no outline says so: by its picture.
fn looks_otherwise(page: &Page<'_>, part: &Value) -> Result<bool> {
    let part = serde_json::from_value(part.clone())?;
    let with = page.picture_of(part)?;
    page.script("window.had = document.activeElement; window.had.blur()", json!([]))?;
    let without = page.picture_of(part)?;
    page.script("window.had.focus({ preventScroll: true, focusVisible: true })", json!([]))?;
    Ok(with != without)
}

/// Goes through a page by the Tab key; answers what got the focus, and complains of what got it unseen.
fn tab_through(page: &Page<'_>) -> Result<Vec<String>> {
    let script = "const here = document.activeElement;
        if (!here || here === document.body) return null;
        const style = getComputedStyle(here);
        const box = here.getBoundingClientRect();
        const label = (here.ariaLabel || here.innerText || here.name || here.id || here.tagName).slice(0, 60);
        const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
        const shadowed = style.boxShadow !== 'none';
        // It is on the screen, and nothing lies over it.
        const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
        const y = Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1);
        const top = document.elementFromPoint(x, y);
        const covered = box.width > 0 && top && !here.contains(top) && !top.contains(here) && !top.closest('label')?.contains(here);
        return { label, seen: outlined || shadowed, box: [box.left - 4, box.top - 4, box.width + 8, box.height + 8], on: box.bottom > 0 && box.top < innerHeight, covered: Boolean(covered) };";
    let mut order = Vec::new();
    for _ in 0..120 {
        page.keys(&TAB.to_string())?;
        let here = page.script(script, json!([]))?;
        if here.is_null() {
            return Ok(order);
        }
        let label = here["label"].as_str().unwrap_or_default().to_owned();
        ensure!(
            here["seen"] == true || looks_otherwise(page, &here["box"])?,
            "the focus on {label:?} is not visible"
        );
        ensure!(
            here["on"] == true && here["covered"] == false,
            "{label:?} has the focus where nobody sees it: {here}"
        );
        if order.first() == Some(&label) && order.len() > 2 {
            return Ok(order);
        }
        order.push(label);
    }
    Ok(order)
}

#[test]
fn the_keyboard_reaches_everything_and_the_focus_is_seen() -> Result<()> {
    let stage = venue()?;
    watched(&Settings::default(), |browser| {
        for name in PAGES.into_iter().filter(|name| *name != "overlay") {
            for size in SIZES {
                let page = browser.open(&stage.page("hq", name)?)?;
                page.resize(size)?;
                page.reload()?;
                settled(&page)?;
                let order = tab_through(&page).with_context(|| format!("{name} at {size}"))?;
                println!("{name} at {size}: {order:?}");
                let reached: BTreeSet<&str> = order.iter().map(String::as_str).collect();
                ensure!(reached.len() > 3, "{name} at {size}: hardly anything is reached: {order:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn nothing_moves_for_who_wants_no_motion() -> Result<()> {
    let stage = venue()?;
    watched(&Settings::default(), |browser| {
        for name in PAGES {
            let page = browser.open(&stage.page("hq", name)?)?;
            page.wish(Media { reduced_motion: true, ..Media::default() })?;
            page.reload()?;
            settled(&page)?;
            // Whatever takes longer than a blink.
            let moving = "return document.getAnimations().filter((one) => {
                const { duration, iterations } = one.effect.getComputedTiming();
                return duration > 10 && (duration > 300 || iterations === Infinity);
            }).map((one) => one.animationName || one.transitionProperty).join()";
            assert_eq!(page.script(moving, json!([]))?, "", "{name}");
        }
        Ok(())
    })
}

#[test]
fn no_page_is_wider_than_its_screen_and_what_is_tapped_is_large() -> Result<()> {
    let stage = venue()?;
    let mut wrong = Vec::new();
    watched(&Settings::language("de"), |browser| {
        for name in PAGES.into_iter().filter(|name| *name != "overlay") {
            let page = browser.open(&stage.page("hq", name)?)?;
            page.reload()?;
            for size in SIZES {
                page.resize(size)?;
                settled(&page)?;
                let wide =
                    page.script("return document.documentElement.scrollWidth - innerWidth", json!([]))?;
                if wide.as_f64() > Some(0.5) {
                    wrong.push(format!("{name} at {size} is {wide} pixels too wide"));
                }
                let small = "const [least] = arguments;
                    return [...document.querySelectorAll('button, select, input:not([type=checkbox], [type=radio], [type=hidden]), summary, nav a')]
                        .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest('.hidden, .skip'))
                        .map((one) => [one, one.getBoundingClientRect()])
                        .filter(([, box]) => box.width > 1 && (box.height < least - 0.5 || box.width < least - 0.5))
                        .map(([one, box]) => `${one.tagName} ${(one.ariaLabel || one.innerText || one.name).slice(0, 40)} ${box.width.toFixed()}x${box.height.toFixed()}`);";
                for one in page.script(small, json!([TARGET]))?.as_array().into_iter().flatten() {
                    wrong.push(format!("{name} at {size}: too small to tap: {one}"));
                }
            }
        }
        Ok(())
    })?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Notes when a page first shows something that can be used, and when the processor had a break after that: `usable`,
/// milliseconds from the start of its load.
const NOTES_WHEN_USABLE: &str = "
    let busy = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => { busy = one.startTime + one.duration; }))
        .observe({ type: 'longtask', buffered: true });
    const look = () => {
        const shown = document.querySelector('main, #overlay')?.textContent.trim().length > 40;
        if (!shown && !document.querySelector('#overlay > *')) return requestAnimationFrame(look);
        const at = performance.now();
        requestAnimationFrame(() => setTimeout(() => { window.popmeshUsable = [at, Math.max(at, busy)].map(Math.round); }));
    };
    requestAnimationFrame(look);";

/// The figures of docs/costs.md: bytes are asserted, times are printed.
#[test]
fn the_first_view_is_small() -> Result<()> {
    let stage = venue()?;
    let own = stage.device("hq")?.api();
    for name in PAGES {
        // A new profile each time: nothing is kept from before.
        let browser = Browser::start(&Settings::default())?;
        let page = browser.open("about:blank")?;
        page.slow_down(4)?;
        page.run_before(NOTES_WHEN_USABLE)?;
        page.go(&stage.page("hq", name)?)?;
        settled(&page)?;
        let usable = page.wait_until("the page to be of use", |page| {
            let noted = page.script("return window.popmeshUsable", json!([]))?;
            Ok((!noted.is_null()).then_some(noted))
        })?;
        let files: Vec<_> = browser.transfers()?;
        let bytes: u64 = files.iter().map(|transfer| transfer.bytes).sum();
        println!("{name}: {bytes} bytes in {} answers; [shown, usable] after ms: {usable}", files.len());
        ensure!(bytes > 5_000 && files.iter().all(|file| file.url.starts_with(own)), "{name}: {files:#?}");
        ensure!(bytes <= FIRST_VIEW_BYTES, "{name}: {bytes} bytes: {files:#?}");
        if name == "till" {
            page.button(CAP.1).tap()?;
        }
        browser.blame()?;
    }
    Ok(())
}
