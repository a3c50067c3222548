//! The event's rules for tax, cash, deferred payments and large wishes, set by an hq.

use super::Device;
use super::commands::invalid;
use crate::command::{LimitSet, MAX_ORDINARY_WISH, Refusal, Reply, RulesSet};
use crate::money::MAX_COIN;

impl Device {
    pub(super) fn set_rules(&mut self, set: &RulesSet) -> Result<Reply, Refusal> {
        self.needs_hq("changing the programme")?;
        if *set == RulesSet::default() {
            return Err(invalid(
                "rules",
                "nothing to change; give prices, round, cash_coin or ordinary_wish",
            ));
        }
        if let Some(coin) = set.cash_coin.filter(|coin| !(0..=MAX_COIN).contains(coin)) {
            return Err(invalid("cash_coin", format!("{coin} minor units; give 0 to {MAX_COIN}")));
        }
        if let Some(units) = set.ordinary_wish.filter(|units| !(1..=MAX_ORDINARY_WISH).contains(units)) {
            let problem = format!("{units} units; give 1 to {MAX_ORDINARY_WISH}");
            return Err(invalid("ordinary_wish", problem));
        }
        let (now, currency) = (self.programme.rules(), self.config.charter.charter().currency);
        let coin = set.cash_coin.map(|coin| if coin == 0 { currency.cash_coin() } else { coin });
        let same = set.prices.is_none_or(|prices| prices == now.prices)
            && set.round.is_none_or(|round| round == now.round)
            && coin.is_none_or(|coin| coin == now.cash_coin)
            && set.ordinary_wish.is_none_or(|units| units == now.ordinary_wish);
        if !same {
            self.write_programme(|programme, author| programme.put_rules(author, set))?;
        }
        Ok(Reply::Rules(self.programme.rules().clone()))
    }

    pub(super) fn set_limit(&mut self, set: &LimitSet) -> Result<Reply, Refusal> {
        self.needs_hq("changing the programme")?;
        if let Some(device) = set.device.filter(|device| !self.peers.known().contains(device)) {
            return Err(Refusal::UnknownDevice { device });
        }
        if let Some(amount) = set.amount.filter(|amount| *amount < 0) {
            return Err(invalid(
                "amount",
                format!("{amount} minor units; give 0 or more, or nothing for no limit"),
            ));
        }
        let rules = self.programme.rules();
        let now = match set.device {
            Some(device) => {
                rules.deferred_limits.iter().find(|limit| limit.device == device).map(|limit| limit.amount)
            }
            None => rules.deferred_limit,
        };
        if now != set.amount {
            self.write_programme(|programme, author| programme.put_limit(author, set))?;
        }
        Ok(Reply::Rules(self.programme.rules().clone()))
    }
}
