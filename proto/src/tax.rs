//! Tax: how much of a sale it is, and what of it goes back with a refund. Whole minor units, halves away from zero.
//!
//! A sale records the tax of each rate as it was reckoned then. The net amounts follow from its lines: with prices that
//! include tax, the lines of a rate less its tax; with prices that do not, those lines.

use serde::{Deserialize, Serialize};

use crate::command::MAX_ITEMS;
use crate::record::SaleLine;

/// A rate of 100 %, in basis points.
pub const WHOLE: u16 = 10_000;

/// Whether prices include tax.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Prices {
    /// The price is what is paid.
    #[default]
    #[n(0)]
    Included,
    /// Tax comes on top of it.
    #[n(1)]
    Excluded,
}

/// Where tax is rounded to a minor unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Rounding {
    /// On each line.
    Line,
    /// Once for each rate of a receipt.
    #[default]
    Receipt,
}

/// The tax of a sale.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Taxes {
    /// Whether its prices include it.
    #[n(0)]
    pub prices: Prices,
    /// The rates that it has, going up, and the tax of each.
    #[n(1)]
    pub rates: Vec<RateTax>,
    /// For each line of the sale, which of the rates it has, counted from 0; absent if all have the one that there is.
    #[n(2)]
    pub of: Option<Vec<u8>>,
}

/// The tax of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RateTax {
    /// The rate, in basis points: 1900 is 19 %.
    #[n(0)]
    pub rate: u16,
    /// The tax, in minor units.
    #[n(1)]
    pub tax: i64,
}

/// A rate, what it is on, and the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaxLine {
    /// The rate, in basis points: 1900 is 19 %.
    pub rate: u16,
    /// The amount without tax, minor units.
    pub net: i64,
    /// The tax, minor units.
    pub tax: i64,
}

/// `numerator / denominator`, halves away from zero. The denominator is above zero.
fn divide(numerator: i128, denominator: i128) -> i128 {
    let (twice, sign) = (2 * numerator.abs() + denominator, numerator.signum());
    sign * (twice / (2 * denominator))
}

/// What a rate is out of: the price itself, or the price with the tax in it.
fn out_of(rate: u16, prices: Prices) -> i128 {
    i128::from(WHOLE) + if prices == Prices::Included { i128::from(rate) } else { 0 }
}

/// The tax in `amount`, or on it. `None` only for an amount near the end of what 64 bits hold.
pub fn tax_of(amount: i64, rate: u16, prices: Prices) -> Option<i64> {
    divide(i128::from(amount) * i128::from(rate), out_of(rate, prices)).try_into().ok()
}

/// The tax of each rate on these receipt lines, each a rate and an amount. `None` if it is more than 64 bits hold.
pub fn reckon(lines: &[(u16, i64)], prices: Prices, rounding: Rounding) -> Option<Vec<RateTax>> {
    let mut rates: Vec<u16> = lines.iter().map(|(rate, _)| *rate).collect();
    rates.sort_unstable();
    rates.dedup();
    let tax = |rate: u16| {
        let mut amounts = lines.iter().filter(|(of, _)| *of == rate).map(|(_, amount)| *amount);
        match rounding {
            Rounding::Line => {
                amounts.try_fold(0i64, |sum, amount| sum.checked_add(tax_of(amount, rate, prices)?))
            }
            Rounding::Receipt => tax_of(amounts.try_fold(0i64, i64::checked_add)?, rate, prices),
        }
    };
    rates.into_iter().map(|rate| Some(RateTax { rate, tax: tax(rate)? })).collect()
}

/// What of a tax goes back once `back` of `whole` has gone back, both in minor units of goods: all of it with the last.
pub fn share(tax: i64, back: i64, whole: i64) -> i64 {
    if back >= whole || whole <= 0 {
        return tax;
    }
    // The share of a 64-bit number is no more than that number.
    divide(i128::from(tax) * i128::from(back.max(0)), i128::from(whole)) as i64
}

impl Taxes {
    /// Which of the rates the `index`-th line has.
    pub fn rate_of(&self, index: usize) -> usize {
        self.of.as_ref().and_then(|of| of.get(index)).map_or(0, |rate| usize::from(*rate))
    }

    /// What comes on top of the prices.
    pub fn on_top(&self) -> Option<i64> {
        match self.prices {
            Prices::Included => Some(0),
            Prices::Excluded => self.rates.iter().try_fold(0i64, |sum, rate| sum.checked_add(rate.tax)),
        }
    }

    /// What the lines of each rate come to.
    pub fn goods(&self, lines: &[SaleLine]) -> Option<Vec<i64>> {
        let mut goods = vec![0i64; self.rates.len()];
        for (index, line) in lines.iter().enumerate() {
            let sum = goods.get_mut(self.rate_of(index))?;
            *sum = sum.checked_add(line.amount()?)?;
        }
        Some(goods)
    }

    /// Each rate with what it is on.
    pub fn lines(&self, goods: &[i64]) -> Vec<TaxLine> {
        let line = |(rate, goods): (&RateTax, &i64)| TaxLine {
            rate: rate.rate,
            net: goods - if self.prices == Prices::Included { rate.tax } else { 0 },
            tax: rate.tax,
        };
        self.rates.iter().zip(goods).map(line).collect()
    }

    /// Checks all that follows from a sale itself: each tax is what its rate makes of its lines, but for rounding.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(&self, lines: &[SaleLine]) -> Result<(), &'static str> {
        let in_order = self.rates.windows(2).all(|pair| pair[0].rate < pair[1].rate);
        if !(1..=MAX_ITEMS).contains(&self.rates.len()) || !in_order {
            return Err("tax rates that are none, too many or out of order");
        }
        match &self.of {
            None if self.rates.len() > 1 => return Err("lines of which nobody knows the tax rate"),
            Some(of) if of.len() != lines.len() || self.rates.len() < 2 => {
                return Err("tax rates for other lines than it has");
            }
            _ => {}
        }
        let goods = self.goods(lines).ok_or("a line of no tax rate")?;
        for (index, (RateTax { rate, tax }, goods)) in self.rates.iter().zip(goods).enumerate() {
            let lines = (0..lines.len()).filter(|line| self.rate_of(*line) == index).count() as i128;
            let out_of = out_of(*rate, self.prices);
            let off = i128::from(*tax) * out_of - i128::from(goods) * i128::from(*rate);
            if *rate > WHOLE || lines == 0 || 2 * off.abs() > out_of * (lines + 1) {
                return Err("a tax that its rate does not make");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prices() -> impl Strategy<Value = Prices> {
        prop_oneof![Just(Prices::Included), Just(Prices::Excluded)]
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!([5, 4, -5, -4, 15, 0].map(|n| divide(n, 10)), [1, 0, -1, 0, 2, 0]);
        assert_eq!(tax_of(2500, 1900, Prices::Included), Some(399));
        assert_eq!(tax_of(2500, 1900, Prices::Excluded), Some(475));
        assert_eq!(tax_of(50, 100, Prices::Excluded), Some(1));
        assert_eq!(tax_of(i64::MAX, WHOLE, Prices::Excluded), Some(i64::MAX));
    }

    proptest! {
        #[test]
        fn by_line_and_by_receipt_differ_by_half_a_unit_a_line(
            lines in prop::collection::vec((prop::sample::select(vec![0u16, 250, 700, 1900, WHOLE]), 1i64..1_000_000), 1..32),
            prices in prices(),
        ) {
            let by_line = reckon(&lines, prices, Rounding::Line).unwrap();
            let by_receipt = reckon(&lines, prices, Rounding::Receipt).unwrap();
            prop_assert_eq!(by_line.len(), by_receipt.len());
            for (line, receipt) in by_line.iter().zip(&by_receipt) {
                let count = lines.iter().filter(|(rate, _)| *rate == line.rate).count() as i64;
                // Half a unit for each line, and half a unit for the receipt.
                prop_assert!(2 * (line.tax - receipt.tax).abs() <= count + 1, "{:?} {:?}", line, receipt);
                let sum: i64 = lines.iter().filter(|(rate, _)| *rate == line.rate).map(|(_, amount)| amount).sum();
                prop_assert!((0..=sum).contains(&line.tax));
            }
        }

        #[test]
        fn tax_put_on_a_price_is_the_tax_in_it_then(net in 0i64..1_000_000_000_000, rate in 0..=WHOLE) {
            let tax = tax_of(net, rate, Prices::Excluded).unwrap();
            prop_assert_eq!(tax_of(net + tax, rate, Prices::Included), Some(tax));
        }

        #[test]
        fn parts_of_a_tax_make_up_the_whole(
            tax in 0i64..1_000_000,
            parts in prop::collection::vec(1i64..100_000, 1..12),
        ) {
            let whole: i64 = parts.iter().sum();
            let (mut back, mut given) = (0, 0);
            for part in &parts {
                back += part;
                let now = share(tax, back, whole) - given;
                prop_assert!(now >= 0);
                given += now;
            }
            prop_assert_eq!(given, tax);
        }
    }
}
