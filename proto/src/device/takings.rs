//! What devices took and paid back, over all their records: the base of a closing.

use std::collections::BTreeMap;

use super::Device;
use super::payments::{add_taxes, taxes_back, taxes_of};
use super::receipts::refunded;
use crate::command::Tender;
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::log::Chain;
use crate::query::{Takings, TakingsFilter, TenderTakings};
use crate::record::{Body, Record};
use crate::tax::TaxLine;

#[derive(Default)]
struct Sum {
    sales: u64,
    sold: i64,
    refunds: u64,
    refunded: i64,
    tenders: BTreeMap<Tender, TenderTakings>,
    taxes: Vec<TaxLine>,
}

impl Sum {
    fn tender(&mut self, tender: Tender) -> &mut TenderTakings {
        self.tenders.entry(tender).or_insert_with(|| TenderTakings::none(tender))
    }
}

impl Device {
    pub(super) fn takings(&self, filter: &TakingsFilter) -> Vec<Takings> {
        let mut sums: BTreeMap<DeviceId, Sum> = BTreeMap::new();
        let claims = self.log.chains().filter(|chain| matches!(chain.document, Document::Claims(_)));
        for chain in claims.filter(|chain| filter.device.is_none_or(|device| device == chain.device)) {
            let sum = sums.entry(chain.device).or_default();
            for seq in 1..=chain.len() {
                self.add_up(chain, seq, sum);
            }
        }
        let rules = self.programme.rules();
        let takings = |(device, sum): (DeviceId, Sum)| Takings {
            device,
            name: self.name_of(&device),
            currency: self.config.charter.charter().currency,
            sales: sum.sales,
            sold: sum.sold,
            refunds: sum.refunds,
            refunded: sum.refunded,
            last_receipt: self.receipts.of(&device).map_or(0, |run| run.last()),
            tenders: sum
                .tenders
                .into_values()
                .map(|of| TenderTakings { net: of.taken.saturating_sub(of.paid_back), ..of })
                .collect(),
            taxes: sum.taxes,
            deferred_limit: rules.limit_of(&device),
        };
        sums.into_iter().map(takings).collect()
    }

    fn add_up(&self, chain: &Chain, seq: u64, sum: &mut Sum) {
        let Some(Ok(record)) = chain.body(seq).map(Record::decode) else { return };
        match record.body {
            Body::Sale(sale) => {
                let claim = Ref { chain: chain.id, seq };
                sum.sales += 1;
                sum.sold = sum.sold.saturating_add(sale.total().unwrap_or(0));
                for (part, progress) in sale.parts().iter().zip(self.progress(&claim, &chain.device, &sale)) {
                    let of = sum.tender(part.tender);
                    of.payments += 1;
                    let taken = if part.deferred { progress.settled } else { part.taken() };
                    of.taken = of.taken.saturating_add(taken);
                    of.rounding = of.rounding.saturating_add(part.rounding.unwrap_or(0));
                    of.deferred = of.deferred.saturating_add(progress.waiting);
                    of.failed = of.failed.saturating_add(progress.failed);
                    of.cancelled = of.cancelled.saturating_add(progress.cancelled);
                }
                add_taxes(&mut sum.taxes, taxes_of(&sale));
            }
            Body::Refund(refund) => {
                sum.refunds += 1;
                sum.refunded = sum.refunded.saturating_add(refunded(&refund));
                for part in &refund.back.parts {
                    let of = sum.tender(part.tender);
                    of.paid_back = of.paid_back.saturating_add(part.paid_out());
                }
                if let Some((_, _, sale)) = self.sale(&refund.claim) {
                    let back = taxes_back(&sale, &refund.lines, &refund.back);
                    let less = |line: TaxLine| TaxLine { net: -line.net, tax: -line.tax, ..line };
                    add_taxes(&mut sum.taxes, back.into_iter().map(less));
                }
            }
            _ => {}
        }
    }
}
