//! Sales.

use popmesh_proto::command::{Claim, MAX_WAIT_MS, Sell};

use super::args_sell as args;
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::items::Typed;
use super::names::Names;
use super::values;
use crate::folder::Folder;

pub(super) fn sell(sell: &args::Sell, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&sell.target, folder)?;
    let typed = Typed { items: &sell.items, quantity: sell.quantity, price: sell.price.as_deref() };
    let items = typed.for_sale(&client)?;
    let pickup_at = sell.pickup_at.as_deref().map(|text| client.device(text)).transpose()?;
    let wait_ms = values::ms(sell.wait);
    if wait_ms > MAX_WAIT_MS {
        return Err(Failure::with_help("a sale waits at most 60s", "give a shorter --wait"));
    }
    let body = Sell {
        items,
        drop: sell.drop.clone(),
        pickup_at,
        pickup_within_ms: sell.pickup_within.map(values::ms),
        pin: sell.pin.as_ref().map(|pin| pin.parse("The PIN")).transpose()?,
        shopper: sell.shopper.clone(),
        wait_ms,
        ..sell.paying.sell(&client)?
    };
    let sold = client.post("/v1/sales", Some(&body), sell.retry.idempotency_key.as_deref());
    tell_sale(&client, json, &typed.explain(sold)?)
}

pub(super) fn tell_sale(client: &Client, json: bool, claim: &Claim) -> Outcome {
    let names = Names::unless(json, client);
    print(json, claim, || {
        // Of a walk-in, the answer says that it is handed over.
        let next = match claim.redeemed_at_ms {
            None => format!("to be picked up at {}", names.device(claim.custodian)),
            Some(_) => "hand it over now".to_owned(),
        };
        let (items, total) = (names.items(&claim.items), claim.currency.format(claim.total));
        let mut text = format!("sold {items}: {total}, {next}\nclaim {} ({})", claim.code, claim.claim);
        for payment in &claim.payments {
            let due = claim.currency.format(payment.amount.saturating_add(payment.rounding));
            match payment.change {
                Some(change) => {
                    text.push_str(&format!("\nchange {} on {due}", claim.currency.format(change)));
                }
                None if payment.rounding != 0 => text.push_str(&format!("\ntake {due} in cash")),
                None => {}
            }
        }
        text.push_str(&format!("\nreceipt {}", claim.receipt));
        text
    })
}
