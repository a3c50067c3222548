//! Carts: what is put aside for a shopper.

use popmesh_proto::command::{Cart, CartAdd, CartNew, CartRemove, CartTake, Claim, Sell};
use popmesh_proto::query::CartToken;

use super::args_cart as args;
use super::client::{Client, print, segment};
use super::failure::Outcome;
use super::items::Typed;
use super::names::Names;
use super::sell::tell_sale;
use super::table::Table;
use super::{token, values};
use crate::api::List;
use crate::folder::Folder;

pub(super) fn cart(cart: args::Cart, folder: &Folder, json: bool) -> Outcome {
    match cart {
        args::Cart::New { items, quantity, drop, price, ttl, shopper, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let typed = Typed { items: &items, quantity, price: price.as_deref() };
            let (items, ttl_ms, wait_ms) = (typed.for_sale(&client)?, values::ms(ttl), values::ms(wait));
            let body = CartNew { items, drop, ttl_ms, shopper, wait_ms };
            let done = client.post("/v1/carts", Some(&body), retry.idempotency_key.as_deref());
            tell(&client, json, &typed.explain(done)?, "put aside")
        }
        args::Cart::Add { cart, items, quantity, price, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let typed = Typed { items: &items, quantity, price: price.as_deref() };
            let body = CartAdd { items: typed.for_sale(&client)?, wait_ms: values::ms(wait) };
            let path = format!("/v1/carts/{}/items", segment(&cart.to_string()));
            let done = client.post(&path, Some(&body), retry.idempotency_key.as_deref());
            tell(&client, json, &typed.explain(done)?, "in the cart now:")
        }
        args::Cart::Remove { cart, items, quantity, retry, target } => {
            let client = Client::find(&target, folder)?;
            let typed = Typed { items: &items, quantity, price: None };
            let body = CartRemove { items: typed.of_cart()? };
            let path = format!("/v1/carts/{}/removals", segment(&cart.to_string()));
            let done = client.post(&path, Some(&body), retry.idempotency_key.as_deref())?;
            tell(&client, json, &done, "left in the cart:")
        }
        args::Cart::Take { cart, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let wait_ms = values::ms(wait);
            let cart = cart.read("The cart")?;
            let body = match cart.parse() {
                Ok(cart) => CartTake { cart: Some(cart), token: None, wait_ms },
                Err(_) => CartTake { cart: None, token: Some(cart), wait_ms },
            };
            let done = client.post("/v1/carts/take", Some(&body), retry.idempotency_key.as_deref())?;
            tell(&client, json, &done, "here now:")
        }
        args::Cart::Token { cart, picture, target } => {
            let path = format!("/v1/carts/{}/token", segment(&cart.to_string()));
            let token: CartToken = Client::find(&target, folder)?.get(&path, &[])?;
            token::draw_answer(&token, &token.token, &picture, json)
        }
        args::Cart::List { shopper, target } => {
            let client = Client::find(&target, folder)?;
            let shopper = shopper.map(|who| who.to_string());
            let carts: List<Cart> = client.list("/v1/carts", &[("shopper", shopper)], None)?;
            let names = Names::unless(json, &client);
            print(json, &carts, || {
                let mut table = Table::new(&["until", "drop", "items", ">total", "for", "held by", "cart"]);
                for cart in &carts.items {
                    table.row([
                        values::clock(cart.until_ms),
                        cart.drop.to_string(),
                        names.items(&cart.items),
                        cart.currency.format(cart.total),
                        cart.shopper.as_ref().map_or_else(|| "-".to_owned(), |who| who.to_string()),
                        names.device(cart.holder),
                        cart.cart.to_string(),
                    ]);
                }
                if table.is_empty() { "No carts.".to_owned() } else { table.to_string() }
            })
        }
        args::Cart::Pay { cart, paying, pickup_at, retry, target } => {
            let client = Client::find(&target, folder)?;
            let body = Sell {
                cart: Some(cart),
                pickup_at: pickup_at.as_deref().map(|text| client.device(text)).transpose()?,
                wait_ms: 0,
                ..paying.sell(&client)?
            };
            let claim: Claim = client.post("/v1/sales", Some(&body), retry.idempotency_key.as_deref())?;
            tell_sale(&client, json, &claim)
        }
        args::Cart::Release { cart, retry, target } => {
            let client = Client::find(&target, folder)?;
            let path = format!("/v1/carts/{}/release", segment(&cart.to_string()));
            let done: Cart = client.post(&path, None::<&()>, retry.idempotency_key.as_deref())?;
            let names = Names::unless(json, &client);
            print(json, &done, || format!("back on sale: {}", names.items(&done.items)))
        }
    }
}

/// Says what is in a cart, and until when.
fn tell(client: &Client, json: bool, cart: &Cart, what: &str) -> Outcome {
    let names = Names::unless(json, client);
    print(json, cart, || {
        let (items, total) = (names.items(&cart.items), cart.currency.format(cart.total));
        format!("{what} {items}: {total}, until {}\ncart {}", values::clock(cart.until_ms), cart.cart)
    })
}
