//! Carts: what is put aside for a shopper.

use popmesh_proto::command::{Cart, CartNew, CartTake, Claim, Sell, SellItem};

use popmesh_proto::query::CartToken;

use super::act::{in_words, price_in_event, tell_sale};
use super::args_cart as args;
use super::client::{Client, print, segment};
use super::failure::Outcome;
use super::table::Table;
use super::{token, values};
use crate::api::List;
use crate::folder::Folder;

pub(super) fn cart(cart: args::Cart, folder: &Folder, json: bool) -> Outcome {
    match cart {
        args::Cart::New { sku, quantity, drop, price, ttl, shopper, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let unit_price = price.as_deref().map(|price| price_in_event(&client, price)).transpose()?;
            let items = vec![SellItem { sku, quantity, unit_price }];
            let body = CartNew { items, drop, ttl_ms: values::ms(ttl), shopper, wait_ms: values::ms(wait) };
            let done: Cart = client.post("/v1/carts", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &done, || {
                let (items, total) = (in_words(&done.items), done.currency.format(done.total));
                format!(
                    "put aside {items}: {total}, until {}\ncart {}",
                    values::clock(done.until_ms),
                    done.cart
                )
            })
        }
        args::Cart::Take { cart, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let wait_ms = values::ms(wait);
            let cart = cart.read("The cart")?;
            let body = match cart.parse() {
                Ok(cart) => CartTake { cart: Some(cart), token: None, wait_ms },
                Err(_) => CartTake { cart: None, token: Some(cart), wait_ms },
            };
            let done: Cart = client.post("/v1/carts/take", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &done, || {
                let (items, total) = (in_words(&done.items), done.currency.format(done.total));
                format!(
                    "here now: {items}: {total}, until {}\ncart {}",
                    values::clock(done.until_ms),
                    done.cart
                )
            })
        }
        args::Cart::Token { cart, picture, target } => {
            let path = format!("/v1/carts/{}/token", segment(&cart.to_string()));
            let token: CartToken = Client::find(&target, folder)?.get(&path, &[])?;
            token::draw_answer(&token, &token.token, &picture, json)
        }
        args::Cart::List { shopper, target } => {
            let client = Client::find(&target, folder)?;
            let devices = client.devices()?;
            let shopper = shopper.map(|who| who.to_string());
            let carts: List<Cart> = client.list("/v1/carts", &[("shopper", shopper)], None)?;
            print(json, &carts, || {
                let mut table = Table::new(&["until", "drop", "items", ">total", "for", "held by", "cart"]);
                for cart in &carts.items {
                    let holder = devices.iter().find(|info| info.device == cart.holder);
                    table.row([
                        values::clock(cart.until_ms),
                        cart.drop.to_string(),
                        in_words(&cart.items),
                        cart.currency.format(cart.total),
                        cart.shopper.as_ref().map_or_else(|| "-".to_owned(), |who| who.to_string()),
                        holder.map_or_else(|| cart.holder.short(), |info| info.name.clone()),
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
            tell_sale(json, &claim, pickup_at.as_deref())
        }
        args::Cart::Release { cart, retry, target } => {
            let path = format!("/v1/carts/{}/release", segment(&cart.to_string()));
            let key = retry.idempotency_key.as_deref();
            let done: Cart = Client::find(&target, folder)?.post(&path, None::<&()>, key)?;
            print(json, &done, || format!("back on sale: {}", in_words(&done.items)))
        }
    }
}
