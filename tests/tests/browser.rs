//! The tools of the browser tests have teeth: what goes wrong in a page is found, and what is not there is not.

use anyhow::{Result, ensure};
use popmesh_tests::Browser;
use popmesh_tests::browser::{Media, SIZES, Settings, watched};
use popmesh_tests::serve::{Page, serve};

/// A page that is as it should be, with something more in its head and its body.
fn page(head: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><title>Shop</title><link rel=icon href=data:,>{head}</head>\
         <body><main><h1>Shop</h1>{body}</main></body></html>"
    )
}

fn shown(head: &str, body: &str) -> Result<String> {
    let text = page(head, body);
    let address =
        serve(move |asked| if asked.path == "/" { Page::html(text.clone()) } else { Page::status(404) })?;
    Ok(format!("http://{address}/"))
}

#[test]
fn a_person_finds_what_is_on_a_page_and_nothing_else() -> Result<()> {
    let url = shown(
        "",
        "<button id=pay>Pay <span>cash</span></button><button disabled>Later</button><button hidden>Ghost</button>
         <label>Amount <input></label><p id=said></p><p id=keys></p>
         <script>
             pay.onclick = () => { said.textContent = `paid ${document.querySelector('input').value}`; };
             document.onkeydown = (event) => { keys.textContent += event.key; };
             setTimeout(() => document.querySelector('main').insertAdjacentHTML('beforeend', '<button>Late</button>'), 300);
         </script>",
    )?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&url)?;
        page.field("Amount").fills("20")?;
        page.button("Pay cash").tap()?;
        page.wait_for("paid 20")?;
        page.scan("A1-b")?;
        page.wait_for("A1-bEnter")?;
        page.button("Late").tap()?;
        assert_eq!(browser.taps(), 2);
        assert_eq!(page.focused()?, Some(("button".to_owned(), "Late".to_owned())));
        assert!(page.button("Ghost").now()?.is_none(), "what is hidden is not there");
        assert!(page.button("Later").now()?.is_some_and(|later| !later.enabled));
        ensure!(page.find("heading", "Shop").now()?.is_some(), "no heading");
        Ok(())
    })
}

#[test]
fn wishes_sizes_and_networks_reach_the_page() -> Result<()> {
    let url = shown("", "<p>Hello</p>")?;
    watched(&Settings::language("de"), |browser| {
        let page = browser.open(&url)?;
        let asks = "return [matchMedia('(prefers-color-scheme: dark)').matches, innerWidth, innerHeight, navigator.language,
            matchMedia('(prefers-reduced-motion: reduce)').matches, navigator.onLine].join()";
        page.resize(SIZES[2])?;
        assert_eq!(page.script(asks, serde_json::json!([]))?, "false,390,844,de,false,true");
        page.wish(Media { dark: true, reduced_motion: true, ..Media::default() })?;
        page.set_network(false)?;
        assert_eq!(page.script(asks, serde_json::json!([]))?, "true,390,844,de,true,false");
        page.set_network(true)?;
        let another = browser.open_another(&url)?;
        another.wait_for("Hello")?;
        another.close()?;
        page.wait_for("Hello").map(drop)
    })
}

/// What is held against a page with this in it.
fn blamed(browser: &Browser, head: &str, body: &str) -> Result<String> {
    let page = browser.open(&shown(head, body)?)?;
    page.wait_for("Shop")?;
    let read = "return document.readyState";
    page.wait_until("all to be loaded", |page| {
        Ok((page.script(read, serde_json::json!([]))? == "complete").then_some(()))
    })?;
    let blamed = browser.blame().err().map_or(String::new(), |error| error.to_string());
    browser.forget();
    Ok(blamed)
}

#[test]
fn what_goes_wrong_in_a_page_is_held_against_it() -> Result<()> {
    let browser = Browser::start(&Settings::default())?;
    assert_eq!(blamed(&browser, "", "<p>fine</p>")?, "");
    let policy = "<meta http-equiv=content-security-policy content=\"default-src 'self'\">";
    for (head, body, said) in [
        ("", "<script>null.x</script>", "Cannot read properties of null"),
        ("", "<script>Promise.reject(new Error('lost'))</script>", "lost"),
        ("", "<script>console.error('oh dear')</script>", "oh dear"),
        ("", "<img alt='' src=/none.png>", "404"),
        ("", "<img alt='' src=http://cdn.example/a.png>", "cdn.example"),
        (policy, "<p style='color:red'>red</p>", "Content Security Policy"),
        (policy, "<script>1</script>", "Content Security Policy"),
    ] {
        let blamed = blamed(&browser, head, body)?;
        ensure!(blamed.contains(said), "{body}: {blamed:?}");
    }
    Ok(())
}

#[test]
fn an_audit_finds_what_keeps_people_out() -> Result<()> {
    let url = shown("", "<p>fine</p>")?;
    let bad = shown(
        "<style>p { color: #aaa; background: #fff }</style>",
        "<p>pale</p><input><button></button><img src=data:,>",
    )?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&url)?;
        let found = page.audit()?;
        ensure!(found.is_empty(), "{found:?}");
        page.go(&bad)?;
        let found: Vec<_> = page.audit()?.into_iter().map(|one| (one.rule, one.impact)).collect();
        for rule in ["button-name", "color-contrast", "image-alt", "label"] {
            ensure!(
                found.iter().any(|(name, impact)| name == rule && impact != "minor"),
                "no {rule}: {found:?}"
            );
        }
        Ok(())
    })
}
