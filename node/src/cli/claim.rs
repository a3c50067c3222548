//! What is done about a claim after the sale.

use popmesh_proto::command::{Claim, GiveCustody, Redeem, Redeemed, Refund, RefundItem, Refunded};

use popmesh_proto::query::ClaimToken;

use super::args;
use super::client::{Client, print, segment};
use super::failure::Outcome;
use super::table::printable;
use super::{token, values};
use crate::folder::Folder;

pub(super) fn claim(claim: args::Claim, folder: &Folder, json: bool) -> Outcome {
    match claim {
        args::Claim::Redeem { claim, retry, target } => {
            let client = Client::find(&target, folder)?;
            let body = match claim.parse() {
                Ok(claim) => Redeem { claim: Some(claim), token: None },
                Err(_) => Redeem { claim: None, token: Some(claim) },
            };
            let key = retry.idempotency_key.as_deref();
            let done: Redeemed = client.post("/v1/redemptions", Some(&body), key)?;
            print(json, &done, || {
                let items: Vec<String> = done
                    .items
                    .iter()
                    .map(|item| format!("{} × {} ({})", item.units.len(), item.sku, item.units))
                    .collect();
                let at = values::clock(done.at_ms);
                format!("hand out {}\nclaim {} is redeemed, {at}", items.join(", "), done.claim)
            })
        }
        args::Claim::Refund { claim, sku, serials, damaged, retry, target } => {
            let client = Client::find(&target, folder)?;
            let items = sku.zip(serials).map(|(sku, serials)| RefundItem { sku, serials });
            let body = Refund { claim, items: items.into_iter().collect(), damaged };
            let key = retry.idempotency_key.as_deref();
            let done: Refunded = client.post("/v1/refunds", Some(&body), key)?;
            print(json, &done, || {
                let amount = done.claim.currency.format(done.amount);
                match done.amount {
                    0 => format!("asked for: claim {} is {}", done.claim.claim, done.claim.state),
                    _ => {
                        let how = done.claim.tender;
                        format!(
                            "pay {amount} back ({how})\nclaim {} is {}",
                            done.claim.claim, done.claim.state
                        )
                    }
                }
            })
        }
        args::Claim::Token { claim, picture, target } => {
            let path = format!("/v1/claims/{}/token", segment(&claim.to_string()));
            let token: ClaimToken = Client::find(&target, folder)?.get(&path, &[])?;
            token::draw(&token.token, &picture, json)
        }
        args::Claim::Give { claim, to, retry, target } => {
            let client = Client::find(&target, folder)?;
            let body = GiveCustody { claim, to: client.device(&to)? };
            let done: Claim = client.post("/v1/custody", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &done, || format!("claim {} is in the custody of {}", done.claim, printable(&to)))
        }
    }
}
