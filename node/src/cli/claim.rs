//! What is done about a claim after the sale.

use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::{Claim, ClaimState, RefundItem, Refunded, Swept, Unlocked};
use popmesh_proto::pin::Pin;
use popmesh_proto::query::{ClaimToken, Status};
use popmesh_proto::text::DropId;
use serde_json::json;

use super::args_claim as args;
use super::ask::{self, Yes};
use super::client::{Client, print, segment};
use super::failure::{Failure, Outcome};
use super::names::Names;
use super::table::printable;
use super::{door, token, values};
use crate::api::SweepNow;
use crate::folder::Folder;

pub(super) fn claim(claim: args::Claim, folder: &Folder, json: bool) -> Outcome {
    match claim {
        args::Claim::Redeem { claim, pin, retry, target } => {
            let client = Client::find(&target, folder)?;
            let claim = claim.read("The claim")?;
            let pin: Option<Pin> = pin.map(|pin| pin.parse("The PIN")).transpose()?;
            let body = json!({ "claim": claim, "pin": pin });
            door::redeem(&client, &body, retry.idempotency_key.as_deref(), json)
        }
        args::Claim::Refund { claim, sku, serials, damaged, retry, target } => {
            let client = Client::find(&target, folder)?;
            let items: Vec<RefundItem> =
                sku.zip(serials).map(|(sku, serials)| RefundItem { sku, serials }).into_iter().collect();
            let body = json!({ "claim": claim.read("The claim")?, "items": items, "damaged": damaged });
            let key = retry.idempotency_key.as_deref();
            let done: Refunded = client.post("/v1/refunds", Some(&body), key)?;
            let names = Names::unless(json, &client);
            print(json, &done, || {
                let state = format!(
                    "claim {} ({}) is {}",
                    done.claim.code,
                    names.items(&done.claim.items),
                    done.claim.state
                );
                if done.receipts.is_empty() {
                    return format!(
                        "asked for: {state}; a person pays it, on a till or an hq that reaches its custodian"
                    );
                }
                format!("{}\n{state}", paid_back(&done))
            })
        }
        args::Claim::Show { claim, target } => {
            show(&claim.read("The claim")?, &Client::find(&target, folder)?, json)
        }
        args::Claim::Unlock { claim, retry, target } => {
            let path = format!("/v1/claims/{}/unlock", segment(&claim.read("The claim")?));
            let key = retry.idempotency_key.as_deref();
            let done: Unlocked = Client::find(&target, folder)?.post(&path, None::<&()>, key)?;
            print(json, &done, || {
                format!("{} PINs can be tried for claim {} here", done.tries, ClaimCode::of(&done.claim))
            })
        }
        args::Claim::Sweep { drop, device, claims, yes, retry, target } => {
            let client = Client::find(&target, folder)?;
            let key = retry.idempotency_key.as_deref();
            let done = match (device, claims) {
                (Some(device), Some(claims)) => {
                    let body = SweepNow { drop, device: client.device(&device)?, claims };
                    client.post("/v1/sweeps", Some(&body), key)?
                }
                _ => sweep_asking(&client, drop, yes, key)?,
            };
            let names = Names::unless(json, &client);
            print(json, &done, || tell_sweep(&done, &names))
        }
        args::Claim::Token { claim, picture, target } => {
            let path = format!("/v1/claims/{}/token", segment(&claim.read("The claim")?));
            let token: ClaimToken = Client::find(&target, folder)?.get(&path, &[])?;
            token::draw_answer(&token, &token.token, &picture, json)
        }
        args::Claim::Give { claim, to, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let (claim, to) = (claim.read("The claim")?, client.device(&to)?);
            let body = json!({ "claim": claim, "to": to, "wait_ms": values::ms(wait) });
            let done: Claim = client.post("/v1/custody", Some(&body), retry.idempotency_key.as_deref())?;
            let names = Names::unless(json, &client);
            print(json, &done, || {
                let items = names.items(&done.items);
                format!("claim {} ({items}) is in the custody of {}", done.code, names.device(done.custodian))
            })
        }
    }
}

/// What is to be paid back, how, and by which receipts.
pub(super) fn paid_back(done: &Refunded) -> String {
    let currency = done.claim.currency;
    let how = done.payments.iter().map(|part| {
        let paid = currency.format(part.amount.saturating_add(part.rounding));
        let not = if part.cancelled { ", not taken yet: cancelled" } else { "" };
        format!("{paid} {}{not}", part.tender)
    });
    let how = how.collect::<Vec<_>>().join("; ");
    let receipts = done.receipts.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    format!("pay {} back ({how})\nreceipt {receipts}", currency.format(done.amount))
}

/// Sweeps once somebody has seen how many claims are late.
fn sweep_asking(client: &Client, drop: DropId, yes: Yes, key: Option<&str>) -> Result<Swept, Failure> {
    let status: Status = client.get("/v1/status", &[])?;
    let body = SweepNow { drop, device: status.device.device, claims: 0 };
    // Under no key of the caller's: what is refused is asked for again.
    let problem = match client.post("/v1/sweeps", Some(&body), None) {
        Err(Failure::Problem(problem)) if problem.code == "not_as_said" => problem,
        done => return done,
    };
    let Some(claims) = problem.facts.get("claims").and_then(serde_json::Value::as_u64) else {
        return Err(Failure::Problem(problem));
    };
    let name = &status.device.name;
    eprintln!("{}: {claims} claims of drop {} are late.", printable(name), body.drop);
    ask::by_name(yes, name, &format!("--device {} --claims {claims}", printable(name)), "sweep them")?;
    client.post("/v1/sweeps", Some(&SweepNow { claims, ..body }), key)
}

fn tell_sweep(swept: &Swept, names: &Names) -> String {
    let Some(first) = swept.claims.first() else { return "nothing here is late".to_owned() };
    let mut lines: Vec<String> =
        swept.claims.iter().map(|claim| format!("{} {}", claim.code, names.items(&claim.items))).collect();
    let marked = |claim: &Claim| claim.state == ClaimState::RefundRequested;
    lines.push(match swept.amount {
        0 if swept.claims.iter().all(marked) => {
            let count = swept.claims.len();
            format!("{count} claims are marked; refund each on a till or an hq: nobody with a drawer is here")
        }
        0 => format!("{} claims are back in stock; nothing is paid back", swept.claims.len()),
        amount => {
            let amount = first.currency.format(amount);
            format!("{} claims are back in stock; pay {amount} back", swept.claims.len())
        }
    });
    if swept.left > 0 {
        lines.push(format!("{} more are late: sweep again", swept.left));
    }
    lines.join("\n")
}

/// One claim.
fn show(text: &str, client: &Client, json: bool) -> Outcome {
    let claim: Claim = client.get(&format!("/v1/claims/{}", segment(text)), &[])?;
    let names = Names::unless(json, client);
    let name = |device| names.device(device);
    print(json, &claim, || {
        let mut lines = vec![
            format!("claim      {}", claim.claim),
            format!("code       {}", claim.code),
            format!("state      {}", claim.state),
            format!("sold       {}, by {}, in {}", values::time(claim.at_ms), name(claim.seller), claim.drop),
            format!("items      {}", names.items(&claim.items)),
            format!("paid       {} ({})", claim.currency.format(claim.total), claim.tender),
            format!("custodian  {}", name(claim.custodian)),
        ];
        lines.extend(claim.pin.then(|| "PIN        asked for".to_owned()));
        lines.extend(claim.shopper.iter().map(|who| format!("for        {who}")));
        lines.extend(claim.expires_ms.map(|ms| format!("until      {}", values::time(ms))));
        let by = claim.redeemed_by.map(|by| format!(" at {}", name(by))).unwrap_or_default();
        lines.extend(claim.redeemed_at_ms.map(|ms| format!("redeemed   {}{by}", values::time(ms))));
        lines.extend(claim.door.iter().map(|door| format!("door       {}", door::in_short(door))));
        if !claim.refunded.is_empty() {
            lines.push(format!("taken back {}", names.items(&claim.refunded)));
        }
        let by = claim.refund_asked_by.map(|by| format!(" at {}", name(by))).unwrap_or_default();
        lines.extend(claim.refund_asked_at_ms.map(|ms| format!("asked back {}{by}", values::time(ms))));
        lines.extend(claim.refund_declined.iter().map(|why| format!("no refund  {why}")));
        if !claim.contested.is_empty() {
            lines.push(format!("CONTESTED  {}: an earlier sale has them", names.items(&claim.contested)));
        }
        lines.join("\n")
    })
}
