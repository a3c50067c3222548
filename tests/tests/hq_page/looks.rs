//! Categories and pictures of products.

use std::fs;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_tests::{Api, Event};
use serde_json::json;

use super::{DEADLINE, pair};

/// A PNG of one pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

/// The same with a comment of so many bytes.
fn padded(bytes: usize) -> Result<Vec<u8>> {
    let mut png = BASE64_STANDARD.decode(PIXEL)?;
    let comment = [&(bytes as u32).to_be_bytes()[..], b"tEXt", &vec![b'x'; bytes], &[0; 4]].concat();
    // Behind the signature and the header, which is 25 bytes.
    png.splice(33..33, comment);
    Ok(png)
}

/// The status, the media type and the bytes of a picture.
fn picture(node: &Api<'_>, sku: &str) -> Result<(u16, String, Vec<u8>)> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let mut answer = agent.get(format!("{}/v1/products/{sku}/picture", node.api())).call()?;
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let media_type = header("content-type").context("no type")?;
    if answer.status() == 200 {
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header("content-security-policy").as_deref(), Some("default-src 'none'; sandbox"));
        ensure!(header("etag").is_some_and(|tag| tag.len() == 66), "no tag");
    }
    let mut bytes = Vec::new();
    let status = answer.status().as_u16();
    answer.body_mut().as_reader().read_to_end(&mut bytes)?;
    Ok((status, media_type, bytes))
}

#[test]
fn a_picture_goes_to_every_device_as_it_came_and_nothing_else_does() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let [hq, till] = pair(&event)?;
    let png = BASE64_STANDARD.decode(PIXEL)?;
    fs::write(event.path().join("cap.png"), &png)?;
    let add = ["--data", "hq", "product", "add", "CAP", "Cap", "--price", "25.00"];
    let made = event.popmesh(&[&add[..], &["--category", "Hats", "--picture", "cap.png"]].concat())?;
    assert_eq!(
        (&made["category"], &made["picture"]["type"]),
        (&json!("Hats"), &json!("image/png")),
        "{made}"
    );
    assert_eq!(
        (&made["picture"]["width"], &made["picture"]["bytes"]),
        (&json!(1), &json!(png.len())),
        "{made}"
    );

    let there = till.wait_until("the product", DEADLINE, |till| {
        let answer = till.call("GET", "/v1/products/CAP", None, None)?;
        Ok((answer.status == 200).then_some(answer.body))
    })?;
    assert_eq!(there, made, "it is the same there");
    assert_eq!(picture(&till, "CAP")?, (200, "image/png".to_owned(), png));

    // Another price leaves it; nothing of it travels again.
    let price = hq.done("/v1/products", &json!({"sku": "CAP", "name": "Cap", "price": 2600}))?;
    assert_eq!((&price["picture"], &price["category"]), (&made["picture"], &made["category"]));

    let svg =
        BASE64_STANDARD.encode("<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>");
    let large = BASE64_STANDARD.encode(padded(8_192)?);
    for (field, bad) in [
        ("picture", json!({"picture": svg})),
        ("picture", json!({"picture": large})),
        ("picture", json!({"picture": "not base64!"})),
        ("category", json!({"category": "x".repeat(41)})),
        ("category", json!({"category": " "})),
    ] {
        let mut body = json!({"sku": "CAP", "name": "Cap", "price": 2600});
        body.as_object_mut().context("no object")?.extend(bad.as_object().cloned().unwrap_or_default());
        let refused = hq.post("/v1/products", &body, None)?;
        assert_eq!((refused.status, refused.code(), &refused.body["field"]), (422, "invalid", &json!(field)));
    }
    fs::write(event.path().join("cap.svg"), "<svg/>")?;
    let refused = event.run(&[&add[..], &["--picture", "cap.svg"]].concat())?;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr)?;
    ensure!(said.contains("neither a PNG, a JPEG nor a WebP") && said.contains("give a still"), "{said}");

    // Taken away, it is taken away everywhere.
    event.popmesh(&[&add[..], &["--category", "", "--no-picture"]].concat())?;
    till.wait_until("neither", DEADLINE, |till| {
        let product = till.get("/v1/products/CAP")?;
        Ok((product.get("picture").is_none() && product.get("category").is_none()).then_some(()))
    })?;
    let (status, _, said) = picture(&till, "CAP")?;
    assert_eq!(status, 404);
    ensure!(String::from_utf8(said)?.contains("no_picture"), "no code");
    Ok(())
}

#[test]
fn all_pictures_together_are_bounded_and_one_can_take_the_place_of_another() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let [hq, till] = pair(&event)?;
    let largest = padded(8_192 - 12 - BASE64_STANDARD.decode(PIXEL)?.len())?;
    assert_eq!(largest.len(), 8_192);
    let picture = BASE64_STANDARD.encode(&largest);
    let add = |sku: usize| {
        let body = json!({"sku": format!("SKU-{sku}"), "name": "Thing", "price": 100, "picture": picture});
        hq.post("/v1/products", &body, None)
    };
    for sku in 0..32 {
        add(sku)?.ok()?;
    }
    let refused = add(32)?;
    assert_eq!((refused.code(), &refused.body["field"]), ("invalid", &json!("picture")), "{}", refused.body);
    add(7)?.ok()?;
    till.wait_until("all pictures", DEADLINE, |till| {
        let products = till.list("/v1/products")?;
        let with = products.iter().filter(|product| product.get("picture").is_some()).count();
        Ok((with == 32).then_some(()))
    })?;
    Ok(())
}
