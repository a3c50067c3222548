//! A cart on a till that loses its power: nobody sells what is in it meanwhile, and it is there again afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, give, put_on_sale, serials};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const UNITS: u32 = 10;
const IN_CART: u32 = 3;
const WAIT: Duration = Duration::from_secs(2);

fn carts(api: &Api<'_>) -> Result<Vec<Value>> {
    api.list("/v1/carts")
}

#[test]
fn it_survives_the_power_cut_and_is_never_sold_twice() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in [("hq", "hq,pos"), ("till", "pos")] {
        event.enrol(name, roles, "hall-a")?;
    }
    let network = Network::new(51, 2)?;
    let start = |at: usize, name| {
        Node::start(&event, name, Options { host: Some(network.host(at)), ..Options::default() })
    };
    let (hq, mut till) = (start(0, "hq")?, start(1, "till")?);
    put_on_sale(&hq, "CAP", UNITS)?;
    agree(&[&hq, &till])?;
    give(&hq, "CAP", IN_CART, &till)?;
    agree(&[&hq, &till])?;
    let put_aside = |api: &Api<'_>, quantity: u32, ttl_ms: u64| {
        let items = json!([{"sku": "CAP", "quantity": quantity}]);
        api.done("/v1/carts", &json!({"items": items, "ttl_ms": ttl_ms, "wait_ms": 5_000}))
    };
    let cart = put_aside(&till, IN_CART - 1, 600_000)?;
    // Its time is over before the power is back.
    let short = put_aside(&till, 1, 1)?;
    agree(&[&hq, &till])?;
    till.kill()?;

    let mut sold = Vec::new();
    loop {
        let answer = hq.sell("CAP", WAIT, None)?;
        if answer.code() == "held_elsewhere" {
            println!("at hq, with the till off: {}", answer.body["detail"]);
            break;
        }
        sold.extend(serials(&answer.ok()?)?);
        ensure!(sold.len() <= UNITS as usize, "more than there is: {sold:?}");
    }
    let in_cart = serials(&cart)?;
    ensure!(in_cart.iter().all(|serial| !sold.contains(serial)), "{in_cart:?} are among {sold:?}");

    till.restart()?;
    let left = carts(&till)?;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["cart"], &left[0]["items"]), (&cart["cart"], &cart["items"]));
    let (then, now) = (cart["until_ms"].as_u64(), left[0]["until_ms"].as_u64());
    let (then, now) = then.zip(now).context("no time")?;
    ensure!(now.abs_diff(then) < 5_000, "until {then}, and now {now}");
    let expired = till.post("/v1/sales", &json!({"cart": short["cart"]}), None)?;
    assert_eq!((expired.status, expired.code()), (404, "unknown_cart"));
    println!("at the till: {}", expired.body["detail"]);
    let elsewhere = hq.post("/v1/sales", &json!({"cart": cart["cart"]}), None)?;
    assert_eq!((elsewhere.status, elsewhere.code()), (409, "cart_elsewhere"));
    let paid = till.done("/v1/sales", &json!({"cart": cart["cart"], "tender": "card"}))?;
    assert_eq!(serials(&paid)?, in_cart);
    agree(&[&hq, &till])?;
    for device in [&*hq, &*till] {
        assert_eq!(check(device, "CAP")?, sold.len() as u64 + u64::from(IN_CART) - 1);
        assert_eq!(carts(device)?, Vec::<Value>::new());
    }
    Ok(())
}
