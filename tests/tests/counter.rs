//! The counter as crew have it: real nodes and the real binary. Several things in one sale, carts that grow, claims by what is in
//! hand, taking back, and questions before what stays.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, books};
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

/// Who types at one device.
struct Crew<'a> {
    event: &'a Event,
    device: &'a str,
}

impl Crew<'_> {
    fn types(&self, words: &str) -> Result<Output> {
        let words: Vec<&str> = ["--data", self.device].into_iter().chain(words.split(' ')).collect();
        self.event.run(&words)
    }

    /// What a command that succeeds prints.
    fn sees(&self, words: &str) -> Result<String> {
        let output = self.types(words)?;
        ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn json(&self, words: &str) -> Result<Value> {
        serde_json::from_str(&self.sees(&format!("--json {words}"))?).with_context(|| words.to_owned())
    }

    /// What a command that is refused says; nothing is printed then.
    fn is_refused(&self, words: &str) -> Result<String> {
        let output = self.types(words)?;
        ensure!(output.status.code() == Some(1), "{words}: {:?}", output.status);
        ensure!(output.stdout.is_empty(), "{words}: {}", String::from_utf8_lossy(&output.stdout));
        Ok(String::from_utf8(output.stderr)?)
    }

    /// The same at a terminal, where somebody answers.
    fn answers(&self, words: &str, answer: &str) -> Result<(bool, String)> {
        let line = format!("{} --data {} {words}", self.event.program().display(), self.device);
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(self.event.path())
            .env_remove("POPMESH_DATA")
            .env("HOME", self.event.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run `script`, of util-linux")?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(format!("{answer}\n").as_bytes())?;
        let output = child.wait_with_output()?;
        drop(stdin);
        Ok((output.status.success(), String::from_utf8(output.stdout)?))
    }
}

const PROGRAMME: [&str; 6] = [
    "product add TEE-M Neon_tee --price 25.00",
    "product add STICKER Sticker --price 3.00",
    "drop new night",
    "drop open night",
    "lot mint --drop night --sku TEE-M --serials 1-20",
    "lot mint --drop night --sku STICKER --serials 1-50 --unnumbered",
];

fn evening(event: &Event) -> Result<(Node<'static>, Node<'static>)> {
    event.enrol("till-1", "hq,pos", "hall")?;
    event.enrol("till-2", "pos", "hall")?;
    let first = Node::start(event, "till-1", Options::loopback(&[]))?;
    let address = first.get("/v1/peers")?["listening"][0].as_str().context("listens nowhere")?.to_owned();
    let crew = Crew { event, device: "till-1" };
    PROGRAMME.iter().try_for_each(|words| crew.sees(words).map(|_| ()))?;
    let second = Node::start(event, "till-2", Options::loopback(&[address]))?;
    agree(&[&first, &second])?;
    Ok((first, second))
}

#[test]
fn several_things_are_one_sale() -> Result<()> {
    let event = Event::found("Neon Night")?;
    let (first, _second) = evening(&event)?;
    let crew = Crew { event: &event, device: "till-1" };
    let sold = crew.sees("sell TEE-M STICKER*2")?;
    assert!(
        sold.contains("sold 1 × Neon_tee (TEE-M 1), 2 × Sticker (STICKER 1-2): 31.00 EUR, hand it over now"),
        "{sold}"
    );
    assert!(sold.contains("\nclaim ") && sold.contains("\nreceipt 1"), "{sold}");
    for (words, total) in [
        ("sell TEE-M:2 3*STICKER", 5_900),
        ("sell STICKER STICKER STICKER*2", 1_200),
        ("sell STICKER*2@2.50 TEE-M@20.00", 2_500),
        ("sell TEE-M --price 19.00 -n 2", 3_800),
        ("sell STICKER×2", 600),
    ] {
        assert_eq!(crew.json(words)?["total"], total, "{words}");
    }
    first.set_links(false)?;
    let before = books(&first)?;
    for (words, says) in [
        ("sell TEE-M STICKER -n 2", "-n is for one item"),
        ("sell TEE-M STICKER --price 2.00", "--price is for one item"),
        ("sell TEE-M@20.00 TEE-M@19.00", "at two prices"),
        ("sell STICKERx2", "write STICKER:2"),
        ("sell TEE-M 2", "how many is written as SKU:2"),
        ("sell STICKER*99", "not enough STICKER"),
        ("sell TEE-M HAT*2", "no SKU HAT"),
    ] {
        let said = crew.is_refused(words)?;
        assert!(said.contains(says), "{words}: {said}");
    }
    for words in ["sell STICKER*0", "sell STICKER*2*3", "sell 12*2", "sell", "sell STICKER*"] {
        assert_eq!(crew.types(words)?.status.code(), Some(2), "{words}");
    }
    assert_eq!(books(&first)?, before, "what is refused changes nothing");
    Ok(())
}

#[test]
fn a_cart_grows_and_is_paid_as_one() -> Result<()> {
    let event = Event::found("Neon Night")?;
    let (first, second) = evening(&event)?;
    let crew = Crew { event: &event, device: "till-1" };
    let cart = crew.json("cart new TEE-M STICKER*2 --shopper order-7")?;
    let name = cart["cart"].as_str().context("no cart")?.to_owned();
    let grown = crew.sees(&format!("cart add {name} TEE-M STICKER"))?;
    assert!(
        grown.starts_with("in the cart now: 2 × Neon_tee (TEE-M 1-2), 3 × Sticker (STICKER 1-3): 59.00 EUR"),
        "{grown}"
    );
    assert!(grown.contains(&name), "it keeps its name: {grown}");
    let less = crew.json(&format!("cart remove {name} STICKER*2"))?;
    assert_eq!(
        (&less["cart"], &less["total"], &less["shopper"]),
        (&json!(name), &json!(5_300), &json!("order-7"))
    );
    assert_eq!(
        less["until_ms"].as_u64().map(|ms| ms / 60_000),
        cart["until_ms"].as_u64().map(|ms| ms / 60_000)
    );
    agree(&[&first, &second])?;
    let elsewhere = Crew { event: &event, device: "till-2" };
    assert!(elsewhere.is_refused(&format!("cart add {name} STICKER"))?.contains("cart take"));
    assert!(crew.is_refused(&format!("cart add {name} STICKER*99 --wait 0s"))?.contains("STICKER"));
    assert!(crew.is_refused(&format!("cart remove {name} STICKER TEE-M*2"))?.contains("release it instead"));
    let taken = elsewhere.sees(&format!("cart take {name}"))?;
    assert!(taken.contains("2 × Neon_tee") && taken.contains("53.00 EUR"), "{taken}");
    let paid = elsewhere.json(&format!("cart pay {name}"))?;
    assert_eq!((&paid["total"], &paid["shopper"]), (&json!(5_300), &json!("order-7")));
    assert!(elsewhere.is_refused(&format!("cart add {name} STICKER"))?.contains("no cart"));
    agree(&[&first, &second])?;
    Ok(())
}

#[test]
fn a_claim_is_what_is_in_hand() -> Result<()> {
    let event = Event::found("Neon Night")?;
    let (first, second) = evening(&event)?;
    let crew = Crew { event: &event, device: "till-1" };
    let elsewhere = Crew { event: &event, device: "till-2" };
    let sells = |more: &str| crew.json(&format!("sell TEE-M --pickup-at till-1 {more}"));
    let text = |claim: &Value, field: &str| claim[field].as_str().map(str::to_owned).context("no text");
    let one = sells("--shopper order-7 --tender card --reference T-4711")?;
    let (claim, code) = (text(&one, "claim")?, text(&one, "code")?);
    let token = text(&crew.json(&format!("claim token {code}"))?, "token")?;
    agree(&[&first, &second])?;
    for (who, named) in [
        (&crew, claim.clone()),
        (&crew, code.clone()),
        (&crew, code.to_lowercase().replace('-', "")),
        (&crew, one["receipt"].to_string()),
        (&elsewhere, format!("till-1:{}", one["receipt"])),
        (&elsewhere, "T-4711".to_owned()),
        (&elsewhere, "order-7".to_owned()),
        (&elsewhere, code.clone()),
    ] {
        let shown = who.json(&format!("claim show {named}"))?;
        assert_eq!(shown["claim"], json!(claim), "{named}");
    }
    assert!(elsewhere.is_refused("claim show order-8")?.contains("no claim is known here by \"order-8\""));
    let words = format!("claim redeem {code}");
    let handed = crew.sees(&words)?;
    assert!(handed.contains("hand out 1 × Neon_tee (TEE-M 1)") && handed.contains(&code), "{handed}");
    assert!(crew.is_refused("claim redeem T-4711")?.contains("redeemed"));
    let back = crew.sees("claim refund order-7 --sku TEE-M --serials 1")?;
    assert!(back.contains("pay 25.00 EUR back (25.00 EUR card)"), "{back}");
    ensure!(token.starts_with("POPMESH1:"), "{token}");

    // Several that fit are listed, and nothing is done.
    let two = sells("--shopper order-9")?;
    let three = sells("--shopper order-9")?;
    let before = books(&first)?;
    for words in [
        "claim refund order-9",
        "claim redeem order-9",
        "claim give order-9 --to till-2",
        "claim unlock order-9",
    ] {
        let said = crew.is_refused(words)?;
        assert!(said.contains("order-9 fits 2 claims"), "{words}: {said}");
        assert!(said.contains(&text(&two, "code")?) && said.contains(&text(&three, "code")?), "{said}");
        assert!(
            said.contains("1 × TEE-M") && said.contains("25.00 EUR") && said.contains("till-1"),
            "{said}"
        );
    }
    assert_eq!(books(&first)?, before);
    // A token says more than which claim it is.
    let token = text(&crew.json(&format!("claim token {}", text(&two, "code")?))?, "token")?;
    assert_eq!(crew.event.popmesh(&["--data", "till-1", "claim", "redeem", &token])?["claim"], two["claim"]);
    let given = crew.sees(&format!("claim give {} --to till-2", text(&three, "code")?))?;
    assert!(given.contains("is in the custody of till-2"), "{given}");
    let deferred = crew.json("sell STICKER --tender card --deferred --reference T-1")?;
    let settled = crew.sees("payment settle T-1 --reference AUTH-9")?;
    assert!(settled.contains("3.00 EUR") && settled.contains(&text(&deferred, "code")?), "{settled}");
    assert_eq!(crew.json("claim show AUTH-9")?["claim"], deferred["claim"]);
    assert_eq!(crew.json("claims --named order-9")?["count"], 2);
    Ok(())
}

#[test]
fn what_was_done_last_is_taken_back() -> Result<()> {
    let event = Event::found("Neon Night")?;
    let (first, second) = evening(&event)?;
    let crew = Crew { event: &event, device: "till-1" };
    let stock = || -> Result<(Value, Value)> {
        Ok((first.stock("TEE-M")?["own"].clone(), first.stock("STICKER")?["own"].clone()))
    };
    let before = stock()?;
    let sold = crew.json("sell TEE-M STICKER*2")?;
    let shown = crew.sees("undo --show")?;
    assert!(shown.contains("till-1 sold TEE-M 1, STICKER 1-2 for 31.00 EUR (cash)"), "{shown}");
    assert!(shown.contains("Taking it back pays 31.00 EUR back"), "{shown}");
    // Nobody is there, and nobody said yes.
    let said = crew.is_refused("undo")?;
    assert!(
        said.contains("nobody is there to confirm it; nothing was done") && said.contains("--yes"),
        "{said}"
    );
    let (no, asked) = crew.answers("undo", "n")?;
    assert!(!no && asked.contains("Take it back? [y/N]") && asked.contains("nothing was done"), "{asked}");
    assert_eq!(crew.json("undo --show")?["entry"], sold["claim"]);
    let (yes, told) = crew.answers("undo --idempotency-key undo-1", "y")?;
    assert!(yes && told.contains("pay 31.00 EUR back (31.00 EUR cash)"), "{told}");
    assert!(told.contains("taken back: 1 × Neon_tee (TEE-M 1), 2 × Sticker (STICKER 1-2)"), "{told}");
    let (units, _) = (stock()?, before.clone());
    assert_eq!(
        (&units.0["available"], &units.1["available"]),
        (&before.0["available"], &before.1["available"])
    );
    // Under the same key it is told again, and not done again; under another it is not what was done last.
    let entry = sold["claim"].as_str().context("no claim")?;
    let again = crew.json(&format!("undo --entry {entry} --yes --idempotency-key undo-1"))?;
    assert_eq!(again["refund"]["amount"], 3_100);
    let said = crew.is_refused(&format!("undo --entry {entry} --yes"))?;
    assert!(said.contains("that was not the last thing done on this device"), "{said}");
    let said = crew.is_refused("undo --yes")?;
    assert!(said.contains("cannot be taken back") && said.contains("sell it again"), "{said}");

    for (words, told) in [
        ("cart new TEE-M*2", "back on sale: 2 × Neon_tee"),
        (
            "move --drop night --sku TEE-M --serials 3-5 --place stall",
            "back where it lay: 3 × Neon_tee (TEE-M 3-5)",
        ),
        ("product add TEE-M Neon_tee --price 19.00", "Neon_tee (TEE-M) costs 25.00 EUR again"),
    ] {
        let before = (first.get("/v1/programme")?, stock()?.0["available"].clone());
        crew.sees(words)?;
        let undone = crew.sees("undo --yes")?;
        assert!(undone.contains(told), "{words}: {undone}");
        assert_eq!((first.get("/v1/programme")?, stock()?.0["available"].clone()), before, "{words}");
    }
    for (words, says) in [
        ("transfer --drop night --sku TEE-M --count 1 --to till-2", "`popmesh transfer` gives it back"),
        ("damage --drop night --sku TEE-M --serials 9", "minted anew"),
        ("lot mint --drop night --sku TEE-M --serials 101-102", "popmesh damage"),
        ("drop close night", "popmesh drop open --again"),
    ] {
        crew.sees(words)?;
        let said = crew.is_refused("undo --yes")?;
        assert!(said.contains("cannot be taken back") && said.contains(says), "{words}: {said}");
    }
    agree(&[&first, &second])?;
    Ok(())
}

#[test]
fn what_stays_is_asked_about_and_nothing_is_done_unasked() -> Result<()> {
    let event = Event::found("Neon Night")?;
    let (first, second) = evening(&event)?;
    let crew = Crew { event: &event, device: "till-1" };
    let made =
        event.popmesh(&["--data", "till-1", "api", "token", "new", "--scope", "till", "--for", "1h"])?;
    let token = made["id"].as_str().context("no id")?.to_owned();
    let asked = [
        "damage --drop night --sku TEE-M --count 2".to_owned(),
        "retire till-2".to_owned(),
        "leave".to_owned(),
        "past accept".to_owned(),
        "people erase --shopper order-7".to_owned(),
        "registrar give till-2".to_owned(),
        format!("api token revoke {token}"),
        "incidents resolve 00000000000000000000000000000000:1 --note done".to_owned(),
        "door settle 7K2-M9Q --handed-over".to_owned(),
    ];
    crew.sees("sell TEE-M")?;
    agree(&[&first, &second])?;
    // Cut off, so that nothing but this could change it: stock drifts to where it sells.
    first.set_links(false)?;
    let before = (books(&first)?, first.digest()?);
    for words in &asked {
        let said = crew.is_refused(words)?;
        assert!(said.contains("nobody is there to confirm it; nothing was done"), "{words}: {said}");
        assert!(said.contains("--yes"), "{words}: {said}");
        let json = crew.types(&format!("--json {words}"))?;
        assert_eq!((json.status.code(), json.stdout.len()), (Some(1), 0), "{words}");
        let (yes, said) = crew.answers(words, "no")?;
        assert!(!yes && said.contains("nothing was done"), "{words}: {said}");
    }
    assert_eq!((books(&first)?, first.digest()?), before, "nothing was done");
    first.set_links(true)?;
    let (yes, said) = crew.answers("damage --drop night --sku TEE-M --count 2", "y")?;
    assert!(yes && said.contains("2 units of TEE-M of drop night go out of sale for good."), "{said}");
    assert!(said.contains("out of sale: 2 × Neon_tee (TEE-M 2-3)"), "{said}");
    // One broken piece is not asked about.
    crew.sees("damage --drop night --sku TEE-M --count 1")?;
    let printed = crew.json("people erase --shopper order-7 --yes")?;
    assert!(printed["erased"].is_array(), "{printed}");
    crew.sees(&format!("api token revoke {token} --yes"))?;
    agree(&[&first, &second])?;
    let (left, said) = crew.answers("leave --to till-2", "till-1")?;
    assert!(left && said.contains("Type its name to have it leave"), "{said}");
    agree(&[&first, &second])?;
    Ok(())
}
