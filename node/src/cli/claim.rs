//! What is done about a claim after the sale.

use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::{
    Claim, ClaimState, GiveCustody, Redeem, Refund, RefundItem, Refunded, Swept, Unlocked,
};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::query::{ClaimToken, Status};
use popmesh_proto::text::DropId;

use super::act::in_words;
use super::args_claim as args;
use super::client::{Client, print, segment};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::trust::confirm;
use super::{door, token, values};
use crate::api::{ClaimList, SweepNow};
use crate::folder::Folder;

pub(super) fn claim(claim: args::Claim, folder: &Folder, json: bool) -> Outcome {
    match claim {
        args::Claim::Redeem { claim, pin, retry, target } => {
            let client = Client::find(&target, folder)?;
            let claim = claim.read("The claim")?;
            let pin = pin.map(|pin| pin.parse("The PIN")).transpose()?;
            let by = match claim.parse() {
                Ok(claim) => Redeem::of(claim),
                Err(_) => Redeem::by_token(claim),
            };
            let body = Redeem { pin, ..by };
            door::redeem(&client, &body, retry.idempotency_key.as_deref(), json)
        }
        args::Claim::Refund { claim, sku, serials, damaged, retry, target } => {
            let client = Client::find(&target, folder)?;
            let items = sku.zip(serials).map(|(sku, serials)| RefundItem { sku, serials });
            let body = Refund { claim, items: items.into_iter().collect(), damaged };
            let key = retry.idempotency_key.as_deref();
            let done: Refunded = client.post("/v1/refunds", Some(&body), key)?;
            print(json, &done, || {
                let amount = done.claim.currency.format(done.amount);
                let claim = format!("claim {} is {}", done.claim.claim, done.claim.state);
                if done.receipts.is_empty() {
                    return format!(
                        "asked for: {claim}; a person pays it, on a till or an hq that reaches its custodian"
                    );
                }
                let how = done.payments.iter().map(|part| {
                    let paid = part.amount.saturating_add(part.rounding);
                    let paid = done.claim.currency.format(paid);
                    let not = if part.cancelled { ", not taken yet: cancelled" } else { "" };
                    format!("{paid} {}{not}", part.tender)
                });
                let how = how.collect::<Vec<_>>().join("; ");
                let receipts = done.receipts.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                format!("pay {amount} back ({how})\n{claim}\nreceipt {receipts}")
            })
        }
        args::Claim::Show { claim, target } => show(&claim, &Client::find(&target, folder)?, json),
        args::Claim::Unlock { claim, retry, target } => {
            let path = format!("/v1/claims/{}/unlock", segment(&claim.to_string()));
            let key = retry.idempotency_key.as_deref();
            let done: Unlocked = Client::find(&target, folder)?.post(&path, None::<&()>, key)?;
            print(json, &done, || format!("{} PINs can be tried for claim {} here", done.tries, done.claim))
        }
        args::Claim::Sweep { drop, device, claims, retry, target } => {
            let client = Client::find(&target, folder)?;
            let key = retry.idempotency_key.as_deref();
            let done = match (device, claims) {
                (Some(device), Some(claims)) => {
                    let body = SweepNow { drop, device: client.device(&device)?, claims };
                    client.post("/v1/sweeps", Some(&body), key)?
                }
                _ => sweep_asking(&client, drop, key)?,
            };
            print(json, &done, || tell_sweep(&done))
        }
        args::Claim::Token { claim, picture, target } => {
            let path = format!("/v1/claims/{}/token", segment(&claim.to_string()));
            let token: ClaimToken = Client::find(&target, folder)?.get(&path, &[])?;
            token::draw_answer(&token, &token.token, &picture, json)
        }
        args::Claim::Give { claim, to, wait, retry, target } => {
            let client = Client::find(&target, folder)?;
            let body = GiveCustody { claim, to: client.device(&to)?, wait_ms: values::ms(wait) };
            let done: Claim = client.post("/v1/custody", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &done, || format!("claim {} is in the custody of {}", done.claim, printable(&to)))
        }
    }
}

/// Sweeps once somebody has seen how many claims are late.
fn sweep_asking(client: &Client, drop: DropId, key: Option<&str>) -> Result<Swept, Failure> {
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
    confirm(name, &format!("--device {} --claims {claims}", printable(name)), "sweep them")?;
    client.post("/v1/sweeps", Some(&SweepNow { claims, ..body }), key)
}

fn tell_sweep(swept: &Swept) -> String {
    let Some(first) = swept.claims.first() else { return "nothing here is late".to_owned() };
    let mut lines: Vec<String> =
        swept.claims.iter().map(|claim| format!("{} {}", claim.code, in_words(&claim.items))).collect();
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

/// One claim, by its reference or its short code.
fn show(text: &str, client: &Client, json: bool) -> Outcome {
    let claim: Claim = match (text.parse::<Ref>(), text.parse::<ClaimCode>()) {
        (Ok(claim), _) => client.get(&format!("/v1/claims/{}", segment(&claim.to_string())), &[])?,
        (_, Ok(code)) => {
            let query = [("code", Some(code.to_string()))];
            let mut found: ClaimList = client.list("/v1/claims", &query, None)?;
            match found.items.len() {
                1 => found.items.remove(0),
                0 => return Err(Failure::here(format!("no claim with the code {code} is known here"))),
                _ => {
                    let all: Vec<String> = found.items.iter().map(|claim| claim.claim.to_string()).collect();
                    let help = format!("show one of {}", all.join(", "));
                    return Err(Failure::with_help(format!("several claims have the code {code}"), help));
                }
            }
        }
        (Err(_), Err(error)) => {
            let help = "give a claim, or its short code; see `popmesh claims`";
            return Err(Failure::with_help(error.to_string(), help));
        }
    };
    let devices = client.devices()?;
    let name = |device| devices.iter().find(|info| info.device == device).map(|info| printable(&info.name));
    let name = |device: DeviceId| name(device).unwrap_or_else(|| device.short());
    print(json, &claim, || {
        let mut lines = vec![
            format!("claim      {}", claim.claim),
            format!("code       {}", claim.code),
            format!("state      {}", claim.state),
            format!("sold       {}, by {}, in {}", values::time(claim.at_ms), name(claim.seller), claim.drop),
            format!("items      {}", in_words(&claim.items)),
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
            lines.push(format!("taken back {}", in_words(&claim.refunded)));
        }
        let by = claim.refund_asked_by.map(|by| format!(" at {}", name(by))).unwrap_or_default();
        lines.extend(claim.refund_asked_at_ms.map(|ms| format!("asked back {}{by}", values::time(ms))));
        lines.extend(claim.refund_declined.iter().map(|why| format!("no refund  {why}")));
        if !claim.contested.is_empty() {
            lines.push(format!("CONTESTED  {}: an earlier sale has them", in_words(&claim.contested)));
        }
        lines.join("\n")
    })
}
