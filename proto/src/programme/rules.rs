//! The event's rules for tax, cash, deferred payments and large wishes: single values at the root of the programme, so that two hqs
//! that set one each for the first time do not each make a map for them, of which Automerge could show only one.

use std::collections::BTreeMap;

use automerge::transaction::Transactable;
use automerge::{ROOT, ReadDoc};

use super::{Authorship, EditError, Programme};
use crate::command::{EventRules, LimitSet, MAX_ORDINARY_WISH, USUAL_ORDINARY_WISH};
use crate::id::DeviceId;
use crate::money::MAX_COIN;
use crate::tax::{Prices, Rounding};

const PRICES: &str = "tax_prices";
const ROUND: &str = "tax_round";
const COIN: &str = "cash_coin";
const ORDINARY: &str = "ordinary_wish";
const LIMIT: &str = "deferred_limit";

/// What is changed; the rest stays.
pub(crate) use crate::command::RulesSet;

fn key_of(limit: &LimitSet) -> String {
    limit.device.map_or_else(|| LIMIT.to_owned(), |device| format!("{LIMIT}/{device}"))
}

impl Programme {
    /// The rules as they stand.
    pub fn rules(&self) -> &EventRules {
        &self.rules
    }

    /// Makes the change that sets rules.
    pub(crate) fn put_rules(
        &mut self,
        author: &Authorship<'_>,
        rules: &RulesSet,
    ) -> Result<Vec<u8>, EditError> {
        self.edit(author, |transaction| {
            if let Some(prices) = rules.prices {
                let word = if prices == Prices::Included { "included" } else { "excluded" };
                transaction.put(ROOT, PRICES, word)?;
            }
            if let Some(round) = rules.round {
                let word = if round == Rounding::Line { "line" } else { "receipt" };
                transaction.put(ROOT, ROUND, word)?;
            }
            if let Some(coin) = rules.cash_coin {
                transaction.put(ROOT, COIN, coin)?;
            }
            match rules.ordinary_wish {
                Some(units) => transaction.put(ROOT, ORDINARY, units as i64),
                None => Ok(()),
            }
        })
    }

    /// Makes the change that sets a limit, or takes it away.
    pub(crate) fn put_limit(
        &mut self,
        author: &Authorship<'_>,
        limit: &LimitSet,
    ) -> Result<Vec<u8>, EditError> {
        let key = key_of(limit);
        self.edit(author, |transaction| match limit.amount {
            Some(amount) => transaction.put(ROOT, key, amount),
            None => transaction.delete(ROOT, key),
        })
    }

    /// Reads the rules; what cannot be is as if it were not there.
    pub(super) fn read_rules(&self) -> EventRules {
        let usual = self.currency.cash_coin();
        let coin = self.number(&ROOT, COIN).filter(|coin| (1..=MAX_COIN).contains(coin)).unwrap_or(usual);
        let ordinary = self.number(&ROOT, ORDINARY).and_then(|units| u64::try_from(units).ok());
        let mut rules = EventRules {
            ordinary_wish: ordinary
                .filter(|units| (1..=MAX_ORDINARY_WISH).contains(units))
                .unwrap_or(USUAL_ORDINARY_WISH),
            prices: match self.text(&ROOT, PRICES).as_deref() {
                Some("excluded") => Prices::Excluded,
                _ => Prices::Included,
            },
            round: match self.text(&ROOT, ROUND).as_deref() {
                Some("line") => Rounding::Line,
                _ => Rounding::Receipt,
            },
            cash_coin: coin,
            deferred_limit: self.number(&ROOT, LIMIT).filter(|limit| *limit >= 0),
            deferred_limits: Vec::new(),
        };
        let own = self.document.keys(&ROOT).filter_map(|key| {
            let device: DeviceId = key.strip_prefix(LIMIT)?.strip_prefix('/')?.parse().ok()?;
            Some((device, self.number(&ROOT, &key).filter(|limit| *limit >= 0)?))
        });
        rules.set_limits(own.collect::<BTreeMap<_, _>>());
        rules
    }
}
