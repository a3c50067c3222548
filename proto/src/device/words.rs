//! Entries in words, for a person who reads the log.

use super::Device;
use crate::clock::{Hlc, utc};
use crate::id::Ref;
use crate::log::Chain;
use crate::programme::Edit;
use crate::record::{Behaved, Body, Record, StepKind};
use crate::units::UnitSet;

/// When an entry was made, and what it says.
pub(super) fn describe(device: &Device, chain: &Chain, seq: u64, body: &[u8]) -> (Hlc, String) {
    if Edit::looks_like(body) {
        return match Edit::read(&chain.id, seq, body) {
            Ok(edit) => (edit.at, format!("changed the programme ({} bytes)", body.len())),
            Err(error) => (Hlc::default(), error.to_string()),
        };
    }
    match Record::decode(body) {
        Ok(record) => (record.at, words(device, chain, &record.body)),
        Err(error) => (Hlc::default(), error.to_string()),
    }
}

pub(super) fn words(device: &Device, chain: &Chain, body: &Body) -> String {
    let drawn = |lines: Vec<(Ref, &UnitSet)>| -> String {
        let each: Vec<String> = lines
            .into_iter()
            .map(|(parcel, units)| {
                let lot = device.holdings.parcel(&parcel).and_then(|parcel| device.holdings.lot(&parcel.lot));
                let sku = lot.map_or_else(
                    || "?".to_owned(),
                    |lot| match &lot.edition {
                        Some(edition) => format!("{} {edition}", lot.sku),
                        None => lot.sku.to_string(),
                    },
                );
                format!("{sku} {units}")
            })
            .collect();
        each.join(", ")
    };
    let lines = || drawn(crate::holdings::spent_lines(body));
    match body {
        Body::Start(start) => {
            let roles = chain.certificate.roles;
            let after = match &start.previous {
                Some(previous) => {
                    format!(", after its {} entries of chain {}", previous.seq, previous.chain.short())
                }
                None => String::new(),
            };
            format!("began to write here as {roles} of {}{after}", chain.certificate.venue)
        }
        Body::Mint(mint) => {
            let edition = mint.edition.as_ref().map(|edition| format!(" {edition}")).unwrap_or_default();
            format!("minted {}{edition} {}-{}, lying at {}", mint.sku, mint.first, mint.last, mint.place)
        }
        Body::Transfer(transfer) if transfer.to == chain.device => match &transfer.aside {
            Some(aside) => format!("put {} into cart {}", lines(), aside.cart),
            None => format!("kept {}", lines()),
        },
        Body::Transfer(transfer) => format!("gave {} to {}", lines(), device.name_of(&transfer.to)),
        Body::Received(received) => match received.transfers.len() {
            1 => "received a transfer".to_owned(),
            several => format!("received {several} transfers"),
        },
        Body::Move(moved) => format!("moved {} to {}", lines(), moved.place),
        Body::Damage(_) => format!("took {} out of sale", lines()),
        Body::Sale(sale) => {
            let currency = device.config.charter.charter().currency;
            let total = sale.total().unwrap_or(0);
            let tenders: Vec<String> = sale.parts().iter().map(|part| part.tender.to_string()).collect();
            let tenders = tenders.join(" and ");
            let how = match &sale.pickup_at {
                Some(custodian) => format!("for pickup at {}", device.name_of(custodian)),
                None => "and handed it over".to_owned(),
            };
            format!("sold {} for {} ({tenders}) {how}", lines(), currency.format(total))
        }
        Body::Fork(fork) => {
            format!("proved that chain {} has two histories from entry {} on", fork.chain.short(), fork.seq)
        }
        Body::Custody(custody) => {
            format!("gave claim {} into the custody of {}", custody.claim, device.name_of(&custody.to))
        }
        Body::Redeem(redeem) => match &redeem.token {
            Some(_) => format!("handed out claim {}, going by its token", redeem.claim),
            None => format!("handed out claim {}", redeem.claim),
        },
        Body::Refund(refund) => {
            let units = drawn(refund.lines.iter().map(|line| (line.parcel, &line.units)).collect());
            let how = if refund.damaged { "damaged" } else { "for sale again" };
            format!("took {units} of claim {} back, {how} at {}, and paid for it", refund.claim, refund.place)
        }
        Body::Hold(hold) => {
            let units = drawn(hold.lines.iter().map(|line| (line.parcel, &line.units)).collect());
            format!("put {units} aside for {} s", hold.ttl_ms / 1_000)
        }
        Body::Release(release) => format!("ended hold {}", release.hold),
        Body::Entrust(entrust) => format!("gave the right to retire to {}", device.name_of(&entrust.to)),
        Body::Leave(leave) => match &leave.to {
            Some(to) => format!("left, and gave everything to {}", device.name_of(to)),
            None => "came back after it had left".to_owned(),
        },
        Body::Retire(retire) => format!("retired {}", device.name_of(&retire.device)),
        Body::RetireCut(part) => {
            format!("named {} chains of {}, for a retirement", part.cut.len(), device.name_of(&part.device))
        }
        Body::Renewal(renewal) => match crate::identity::unproven(&renewal.certificate) {
            Some((_, new)) => format!("renewed {}, until {}", new.name, utc(new.not_after_ms)),
            None => "renewed a certificate".to_owned(),
        },
        Body::Inherit(_) => format!("took over {} of a retired device", lines()),
        Body::Resolve(resolve) => format!("settled incident {}: {}", resolve.incident, resolve.note),
        Body::WrongPin(wrong) => format!("was given a wrong PIN for claim {}", wrong.claim),
        Body::Unlock(unlock) => format!("unlocked the PIN of claim {}", unlock.claim),
        Body::PaymentSettled(settled) => {
            let how = if settled.failed { "could not take" } else { "took" };
            let amount = device.config.charter.charter().currency.format(settled.amount);
            format!("{how} {amount}, payment {} of claim {}", settled.payment, settled.claim)
        }
        Body::Personal(personal) => {
            let of = personal.shopper.as_ref().map_or_else(String::new, |shopper| format!(" of {shopper}"));
            format!("took personal data{of} ({}; {} bytes, sealed)", personal.kind, personal.size)
        }
        Body::Erase(erase) => match &erase.shopper {
            Some(shopper) => format!("had all personal data of {shopper} deleted"),
            None => format!("had personal data deleted, taken by {} entries", erase.entries.len()),
        },
        Body::Epoch(epoch) => format!(
            "renewed the event's secret (epoch {}) for {} devices, without {} that were retired",
            epoch.mark,
            epoch.copies.len(),
            epoch.without.len()
        ),
        Body::Step(step) => {
            let did = match step.kind {
                StepKind::Announce => "announced",
                StepKind::Open => "opened",
                StepKind::LastCall => "gave the last call for",
                StepKind::Close => "closed",
            };
            let drop = chain.document.drop().map_or_else(String::new, ToString::to_string);
            let at = step.venue.as_ref().map_or_else(String::new, |venue| format!(" at {venue}"));
            let round = if step.round == 0 { String::new() } else { format!(", round {}", step.round + 1) };
            let units = step.units.iter().flatten().map(|of| format!("{} {}", of.units, of.sku));
            let units: Vec<String> = units.collect();
            let units = if units.is_empty() { String::new() } else { format!(", {}", units.join(", ")) };
            let ends = step.ends_ms.map_or_else(String::new, |ms| format!(", until {}", utc(ms)));
            format!("{did} drop {drop}{at}{round}{units}{ends}")
        }
        Body::EpochCopies(copies) => {
            format!("gave the event's secret of {} to {} more devices", copies.epoch, copies.copies.len())
        }
        Body::RefundRequest(request) => format!("asked for a refund of claim {}", request.claim),
        Body::Door(door) => {
            let opening = device.holdings.opening(&door.redemption);
            let claim = opening.map_or_else(|| "?".to_owned(), |opening| opening.claim.to_string());
            match &door.behaved {
                Behaved::Opened(compartment) => format!("door {compartment} opened for claim {claim}"),
                Behaved::Stuck { compartment, reason } => {
                    format!("door {compartment} did not open for claim {claim}: {reason}")
                }
                Behaved::Settled { handed_over, by } => {
                    let not = if *handed_over { "" } else { "not " };
                    format!("claim {claim} was {not}handed over, says {by}, who looked")
                }
            }
        }
    }
}
