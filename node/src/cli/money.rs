//! Money: the rules for it, how things are paid, receipts and takings.

use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::{EventRules, LimitSet, PaymentNew, RulesSet, Sell, Settled, Tender};
use popmesh_proto::money::Currency;
use popmesh_proto::query::{Receipt, ReceiptKind, Status, Takings, WaitingPayment};

use serde_json::json;

use super::args_money as args;
use super::client::{Client, print, say, segment};
use super::failure::{Failure, Outcome};
use super::table::{Table, printable};
use super::values;
use crate::api::List;
use crate::folder::Folder;

pub(super) fn currency(client: &Client) -> Result<Currency, Failure> {
    Ok(client.get::<Status>("/v1/status", &[])?.currency)
}

fn amount(option: &str, text: &str, currency: Currency) -> Result<i64, Failure> {
    values::price(text, currency)
        .map_err(|error| Failure::with_help(format!("{option}: {error}"), format!("such as {option} 25.00")))
}

/// Reads a percentage such as `19` or `7.5` into basis points.
pub(super) fn rate(text: &str) -> Result<u16, String> {
    let bad = || format!("{text:?} is no tax rate; write a percentage from 0 to 100, such as 19 or 7.5");
    let bare = text.strip_suffix('%').unwrap_or(text).trim();
    let (whole, part) = bare.split_once('.').unwrap_or((bare, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(bad());
    }
    let rate: u16 = format!("{whole}{part:0<2}").parse().map_err(|_| bad())?;
    if rate <= popmesh_proto::tax::WHOLE { Ok(rate) } else { Err(bad()) }
}

pub(super) fn event_tax(tax: &args::EventTax, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&tax.target, folder)?;
    let body = RulesSet {
        prices: tax.prices.map(Into::into),
        round: tax.round.map(Into::into),
        ..RulesSet::default()
    };
    tell_rules(&client, json, "/v1/rules", &body, tax.retry.idempotency_key.as_deref())
}

pub(super) fn event_cash(cash: &args::EventCash, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&cash.target, folder)?;
    let coin = match cash.coin.as_str() {
        "usual" => 0,
        "none" => 1,
        text => amount("--coin", text, currency(&client)?)?,
    };
    let body = RulesSet { cash_coin: Some(coin), ..RulesSet::default() };
    tell_rules(&client, json, "/v1/rules", &body, cash.retry.idempotency_key.as_deref())
}

pub(super) fn event_wishes(wishes: &args::EventWishes, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&wishes.target, folder)?;
    let body = RulesSet { ordinary_wish: Some(wishes.ordinary), ..RulesSet::default() };
    tell_rules(&client, json, "/v1/rules", &body, wishes.retry.idempotency_key.as_deref())
}

pub(super) fn event_limit(limit: &args::EventLimit, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&limit.target, folder)?;
    let amount = match limit.deferred.as_str() {
        "none" => None,
        // Nothing at all may wait.
        "0" | "0.00" => Some(0),
        text => Some(amount("--deferred", text, currency(&client)?)?),
    };
    let device = limit.device.as_deref().map(|text| client.device(text)).transpose()?;
    let body = LimitSet { device, amount };
    tell_rules(&client, json, "/v1/limits", &body, limit.retry.idempotency_key.as_deref())
}

fn tell_rules(
    client: &Client,
    json: bool,
    path: &str,
    body: &impl serde::Serialize,
    key: Option<&str>,
) -> Outcome {
    let (currency, devices) = (currency(client)?, client.devices()?);
    let rules: EventRules = client.post(path, Some(body), key)?;
    print(json, &rules, || {
        let limit = |limit: Option<i64>| {
            limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {}", currency.format(limit)))
        };
        let mut text = format!(
            "tax         {} in prices, rounded by {}\ncash        in coins of {}\nwishes      up to {} units get everybody's last ones\ndeferred    {} a device",
            format!("{:?}", rules.prices).to_lowercase(),
            format!("{:?}", rules.round).to_lowercase(),
            currency.format(rules.cash_coin),
            rules.ordinary_wish,
            limit(rules.deferred_limit),
        );
        for own in &rules.deferred_limits {
            let name = devices.iter().find(|info| info.device == own.device);
            let name = name.map_or_else(|| own.device.short(), |info| printable(&info.name));
            text.push_str(&format!("\n            at most {} on {name}", currency.format(own.amount)));
        }
        text
    })
}

impl args::Paying {
    /// The part of a sale that says how it is paid.
    pub(super) fn sell(&self, client: &Client) -> Result<Sell, Failure> {
        let currency =
            if self.given.is_some() || !self.pay.is_empty() { Some(currency(client)?) } else { None };
        let read = |option: &str, text: &str| match currency {
            Some(currency) => amount(option, text, currency),
            None => Err(Failure::here("the event's currency is not known")),
        };
        let given = self.given.as_deref().map(|text| read("--given", text)).transpose()?;
        let mut payments = Vec::new();
        for text in &self.pay {
            let form = || {
                Failure::with_help(
                    format!("--pay: {text:?} is no payment"),
                    "such as --pay card:20.00:T-4711",
                )
            };
            let (tender, rest) = text.split_once(':').ok_or_else(form)?;
            let (amount, reference) = match rest.split_once(':') {
                Some((amount, reference)) => (amount, Some(reference.to_owned())),
                None => (rest, None),
            };
            let (tender, deferred) = match tender.split_once(',') {
                Some((tender, "deferred")) => (tender, true),
                Some(_) => return Err(form()),
                None => (tender, false),
            };
            let tender = serde_json::from_value::<Tender>(tender.into()).map_err(|_| form())?;
            let given = given.filter(|_| tender == Tender::Cash);
            payments.push(PaymentNew { tender, amount: read("--pay", amount)?, reference, deferred, given });
        }
        if self.pay.is_empty() {
            let (tender, reference) = (self.tender.into(), self.reference.clone());
            return Ok(Sell { tender, reference, deferred: self.deferred, given, ..Sell::default() });
        }
        if given.is_some() && !payments.iter().any(|payment| payment.given.is_some()) {
            return Err(Failure::with_help("--given: nothing is paid in cash", "add --pay cash:AMOUNT"));
        }
        Ok(Sell { payments, ..Sell::default() })
    }
}

pub(super) fn payment(payment: args::Payment, folder: &Folder, json: bool) -> Outcome {
    match payment {
        args::Payment::List(target) => {
            let waiting: List<WaitingPayment> =
                Client::find(&target, folder)?.list("/v1/payments/waiting", &[], None)?;
            print(json, &waiting, || {
                let mut table =
                    Table::new(&["at", "device", "tender", ">waits", "reference", "payment", "claim"]);
                for of in &waiting.items {
                    table.row([
                        values::clock(of.at_ms),
                        of.seller_name.clone(),
                        of.tender.to_string(),
                        of.currency.format(of.amount),
                        of.reference.clone().unwrap_or_else(|| "-".to_owned()),
                        of.payment.to_string(),
                        ClaimCode::of(&of.claim).to_string(),
                    ]);
                }
                if table.is_empty() {
                    "No payment waits to be authorised.".to_owned()
                } else {
                    table.to_string()
                }
            })
        }
        args::Payment::Settle { claim, payment, failed, reference, retry, target } => {
            let client = Client::find(&target, folder)?;
            let claim = claim.read("The claim")?;
            let body =
                json!({ "claim": claim, "payment": payment, "failed": failed, "reference": reference });
            let done: Settled =
                client.post("/v1/settlements", Some(&body), retry.idempotency_key.as_deref())?;
            let currency = currency(&client)?;
            print(json, &done, || {
                let how = if done.failed { "could not be taken: look after it" } else { "was taken" };
                let amount = currency.format(done.amount);
                format!("{amount}, payment {} of claim {}, {how}", done.payment, ClaimCode::of(&done.claim))
            })
        }
    }
}

pub(super) fn receipts(filter: &args::Receipts, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&filter.target, folder)?;
    let query = [("device", filter.device.clone())];
    let receipts: List<Receipt> = client.list("/v1/receipts", &query, Some(filter.limit))?;
    print(json, &receipts, || {
        let mut table = Table::new(&[">number", "at", "kind", ">total", "what", "after", "hash", "claim"]);
        for receipt in &receipts.items {
            let items = receipt.items.iter().map(|item| format!("{} × {}", item.quantity, item.sku));
            let short = |hash: String| hash.chars().take(8).collect::<String>();
            table.row([
                receipt.number.to_string(),
                values::clock(receipt.at_ms),
                match receipt.kind {
                    ReceiptKind::Sale => "sale".to_owned(),
                    ReceiptKind::Refund => "refund".to_owned(),
                },
                receipt.currency.format(receipt.total),
                items.collect::<Vec<_>>().join(", "),
                receipt.previous.map_or_else(|| "-".to_owned(), |hash| short(hash.to_string())),
                short(receipt.hash.to_string()),
                ClaimCode::of(&receipt.claim).to_string(),
            ]);
        }
        if table.is_empty() { "No receipts.".to_owned() } else { table.to_string() }
    })
}

pub(super) fn receipt(of: &args::Receipt, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&of.target, folder)?;
    let device = match of.device.as_deref() {
        Some(text) => client.device(text)?,
        None => client.get::<Status>("/v1/status", &[])?.device.device,
    };
    let path = format!("/v1/receipts/{}/{}", segment(&device.to_string()), of.number);
    if json {
        let receipt: Receipt = client.get(&path, &[])?;
        return print(json, &receipt, String::new);
    }
    let format = if of.html { "html" } else { "text" };
    let bytes = client.bytes(&format!("{path}?format={format}"))?;
    say(String::from_utf8_lossy(&bytes).trim_end())
}

pub(super) fn takings(filter: &args::Takings, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&filter.target, folder)?;
    let query = [("device", filter.device.clone())];
    let takings: List<Takings> = client.list("/v1/takings", &query, None)?;
    print(json, &takings, || {
        let mut table = Table::new(&[
            "device",
            "tender",
            ">payments",
            ">taken",
            ">paid back",
            ">net",
            ">deferred",
            ">failed",
        ]);
        for of in &takings.items {
            for tender in &of.tenders {
                let amounts = [tender.taken, tender.paid_back, tender.net, tender.deferred, tender.failed];
                let name = [of.name.clone(), tender.tender.to_string(), tender.payments.to_string()];
                table.row(name.into_iter().chain(amounts.map(|amount| of.currency.format(amount))));
            }
        }
        if table.is_empty() { "Nothing was taken yet.".to_owned() } else { table.to_string() }
    })
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates_are_percentages() {
        for (text, points) in
            [("19", 1_900), ("7.5", 750), ("7.25%", 725), ("0", 0), ("100", 10_000), ("0.05", 5)]
        {
            assert_eq!(rate(text), Ok(points), "{text}");
        }
        for bad in ["", "-1", "100.01", "19,0", "7.125", "x", "1.", ".5", "99999999"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
