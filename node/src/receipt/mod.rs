//! Receipts for people: as text for a printer and as a page.

mod html;
mod text;

pub use html::page;
pub use text::{WIDTH, slip};

use popmesh_proto::command::{PaymentState, Tender};
use popmesh_proto::id::ReceiptHash;
use popmesh_proto::money::Currency;
use popmesh_proto::query::{Receipt, ReceiptKind};
use popmesh_proto::tax::Prices;

/// One row below the total: what it is, and how much.
struct Row {
    what: String,
    minor: i64,
}

/// An amount without its currency.
fn amount(currency: Currency, minor: i64) -> String {
    let text = currency.format(minor);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// A rate in basis points, such as `19 %`.
pub(crate) fn percent(rate: u16) -> String {
    let (whole, part) = (rate / 100, rate % 100);
    match part {
        0 => format!("{whole} %"),
        part if part % 10 == 0 => format!("{whole}.{} %", part / 10),
        part => format!("{whole}.{part:02} %"),
    }
}

fn tender(tender: Tender) -> &'static str {
    match tender {
        Tender::Cash => "Cash",
        Tender::Card => "Card",
        Tender::Voucher => "Voucher",
        Tender::Other => "Paid otherwise",
    }
}

fn short(hash: &ReceiptHash) -> String {
    hash.to_string().chars().take(16).collect()
}

fn title(receipt: &Receipt) -> &'static str {
    match receipt.kind {
        ReceiptKind::Sale => "Receipt",
        ReceiptKind::Refund => "Refund receipt",
    }
}

/// What was paid or given back, in the order in which it is read.
fn payments(receipt: &Receipt) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |what: String, minor: i64| rows.push(Row { what, minor });
    for payment in &receipt.payments {
        let state = match payment.state {
            PaymentState::Approved => String::new(),
            state => format!(", {state}"),
        };
        let reference = payment.reference.as_ref().map_or_else(String::new, |text| format!(", {text}"));
        if payment.rounding != 0 {
            row("Rounding to coins".to_owned(), payment.rounding);
        }
        let paid = payment.given.unwrap_or(payment.amount.saturating_add(payment.rounding));
        row(format!("{}{state}{reference}", tender(payment.tender)), paid);
        if let Some(change) = payment.change {
            row("Change".to_owned(), change);
        }
    }
    for back in &receipt.paid_back {
        if back.cancelled {
            row(format!("Not taken, cancelled: {}", tender(back.tender).to_lowercase()), back.amount);
            continue;
        }
        if back.rounding != 0 {
            row("Rounding to coins".to_owned(), back.rounding);
        }
        let paid = back.amount.saturating_add(back.rounding);
        row(format!("Paid back: {}", tender(back.tender).to_lowercase()), paid);
    }
    rows
}

/// The tax by rate: what it is, net, tax.
fn taxes(receipt: &Receipt) -> Vec<(String, i64, i64)> {
    let how = if receipt.prices == Prices::Included { "incl. tax" } else { "plus tax" };
    receipt.taxes.iter().map(|tax| (format!("{how} {}", percent(tax.rate)), tax.net, tax.tax)).collect()
}

fn pickup(receipt: &Receipt) -> Option<String> {
    receipt.pickup.as_ref().map(|pickup| match &pickup.place {
        Some(place) => format!("Pick up at {}, {place}", pickup.name),
        None => format!("Pick up at {}", pickup.name),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use popmesh_proto::command::{PaymentInfo, PaymentState, Tender};
    use popmesh_proto::id::{ChainId, DeviceId, EventId, ReceiptHash, Ref};
    use popmesh_proto::query::{Pickup, Receipt, ReceiptItem, ReceiptKind};
    use popmesh_proto::tax::{Prices, TaxLine};

    use super::*;

    pub(crate) fn sample() -> Receipt {
        let claim = Ref { chain: ChainId([1; 16]), seq: 9 };
        Receipt {
            event: EventId([5; 32]),
            event_name: "Nachtmarkt <Köln>".to_owned(),
            device: DeviceId([7; 32]),
            device_name: "till & co".to_owned(),
            venue: "hall-a".parse().unwrap(),
            number: 12,
            entry: claim,
            kind: ReceiptKind::Sale,
            at_ms: 1_800_000_000_000,
            claim,
            drop: "neon".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            items: vec![ReceiptItem {
                sku: "TEE".parse().unwrap(),
                name: "夜のTシャツ, a very long name that no printer has room for on one line".to_owned(),
                serials: Some("3-4".parse().unwrap()),
                edition: None,
                quantity: 2,
                unit_price: 617,
                amount: 1_234,
                rate: Some(1_900),
            }],
            prices: Prices::Included,
            taxes: vec![TaxLine { rate: 1_900, net: 1_037, tax: 197 }],
            total: 1_234,
            payments: vec![PaymentInfo {
                tender: Tender::Cash,
                amount: 1_234,
                rounding: 1,
                given: Some(2_000),
                change: Some(765),
                reference: Some("<b>".to_owned()),
                state: PaymentState::Approved,
            }],
            paid_back: Vec::new(),
            pickup: Some(Pickup {
                device: DeviceId([8; 32]),
                name: "locker".to_owned(),
                place: Some("yard".parse().unwrap()),
            }),
            previous: Some(ReceiptHash([0xab; 16])),
            hash: ReceiptHash([0xcd; 16]),
            twice: Vec::new(),
        }
    }

    #[test]
    fn rates_are_written_as_short_as_they_can_be() {
        assert_eq!(
            [1_900, 250, 725, 0, 10_000, 5].map(percent),
            ["19 %", "2.5 %", "7.25 %", "0 %", "100 %", "0.05 %"]
        );
    }
}
