//! Payments as they are recorded: how a sale was paid, what a refund gives back, what became of a payment that a terminal
//! was to authorise later. popmesh records payments; it takes none.

use minicbor::data::Type;

use crate::command::Tender;
use crate::id::Ref;
use crate::money::MAX_COIN;
use crate::record::{Sale, SaleLine};
use crate::tax::{RateTax, WHOLE};

/// The most payments of one sale.
pub const MAX_PAYMENTS: usize = 4;
/// The longest external reference, in characters.
pub const MAX_REFERENCE: usize = 64;

/// How a sale was paid. One payment with nothing to say but its tender is written as that alone, one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payments {
    /// All of it so.
    Whole(Tender),
    /// By these, which make up the total.
    Parts(Vec<Payment>),
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Payment {
    /// How.
    #[n(0)]
    pub tender: Tender,
    /// What of the total it pays, minor units.
    #[n(1)]
    pub amount: i64,
    /// Whether a terminal authorises it later.
    #[n(2)]
    pub deferred: bool,
    /// What was taken beyond `amount`, or less if negative, since cash has no smaller coin. Absent if nothing.
    #[n(3)]
    pub rounding: Option<i64>,
    /// What the shopper handed over, in cash; what of it is more than was to be taken is the change.
    #[n(4)]
    pub given: Option<i64>,
    /// The payment's name elsewhere, such as the terminal's.
    #[n(5)]
    pub reference: Option<String>,
}

/// What a refund gives back.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Back {
    /// Of which payments.
    #[n(0)]
    pub parts: Vec<BackPart>,
    /// The tax that goes back with it, for each rate that some of the units have.
    #[n(1)]
    pub taxes: Option<Vec<RateTax>>,
}

/// What of one payment is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BackPart {
    /// Which of the sale's payments, from 1.
    #[n(0)]
    pub payment: u8,
    /// How.
    #[n(1)]
    pub tender: Tender,
    /// What of the payment's amount, minor units.
    #[n(2)]
    pub amount: i64,
    /// Nothing is paid out, since nothing had been taken: it waited to be authorised, or had failed.
    #[n(3)]
    pub cancelled: bool,
    /// What is paid out beyond `amount`, or less if negative, in cash. Absent if nothing.
    #[n(4)]
    pub rounding: Option<i64>,
}

/// What became of a payment that was to be authorised later.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PaymentSettled {
    /// The claim.
    #[n(0)]
    pub claim: Ref,
    /// Which of its payments, from 1.
    #[n(1)]
    pub payment: u8,
    /// What of it was taken, or could not be: all that no refund had cancelled, as far as the author knew. Minor units.
    #[n(2)]
    pub amount: i64,
    /// It was not taken.
    #[n(3)]
    pub failed: bool,
    /// The payment's name elsewhere.
    #[n(4)]
    pub reference: Option<String>,
}

impl Payment {
    /// A payment with nothing more to say.
    pub fn plain(tender: Tender, amount: i64) -> Self {
        Self { tender, amount, deferred: false, rounding: None, given: None, reference: None }
    }

    /// What was taken, minor units.
    pub fn taken(&self) -> i64 {
        self.amount.saturating_add(self.rounding.unwrap_or(0))
    }

    /// What the shopper got back of what was handed over.
    pub fn change(&self) -> Option<i64> {
        self.given.map(|given| given.saturating_sub(self.taken()))
    }

    fn check(&self) -> Result<(), &'static str> {
        let cash = self.tender == Tender::Cash;
        if self.amount < 1 {
            return Err("a payment of nothing");
        }
        if (self.deferred && cash) || (!cash && (self.rounding.is_some() || self.given.is_some())) {
            return Err("a payment that its tender cannot make");
        }
        if self.rounding.is_some_and(|rounding| rounding == 0 || !(-MAX_COIN..=MAX_COIN).contains(&rounding))
        {
            return Err("an impossible rounding");
        }
        if self.taken() < 0 || self.given.is_some_and(|given| given < self.taken()) {
            return Err("less cash than was to be paid");
        }
        check_reference(self.reference.as_deref())
    }
}

impl BackPart {
    /// What is paid out, minor units.
    pub fn paid_out(&self) -> i64 {
        if self.cancelled { 0 } else { self.amount.saturating_add(self.rounding.unwrap_or(0)) }
    }
}

impl Back {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let mut seen = [false; MAX_PAYMENTS + 1];
        for part in &self.parts {
            match seen.get_mut(usize::from(part.payment)) {
                Some(seen) if part.payment > 0 && !*seen => *seen = true,
                _ => return Err("a payment that is none, or is named twice"),
            }
            let rounding = part.rounding.unwrap_or(0);
            let rounded = part.tender == Tender::Cash && !part.cancelled;
            if part.amount < 1 || (part.rounding.is_some() && !rounded) {
                return Err("an impossible amount to give back");
            }
            // Roundings of several refunds come together in the last.
            if !(-2 * MAX_COIN..=2 * MAX_COIN).contains(&rounding) || part.paid_out() < 0 {
                return Err("an impossible rounding");
            }
        }
        let taxes = self.taxes.as_deref().unwrap_or_default();
        let fit = taxes.windows(2).all(|pair| pair[0].rate < pair[1].rate)
            && taxes.iter().all(|rate| rate.rate <= WHOLE && rate.tax >= 0);
        if fit { Ok(()) } else { Err("an impossible tax to give back") }
    }
}

impl PaymentSettled {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !(1..=MAX_PAYMENTS).contains(&usize::from(self.payment)) || self.amount < 1 {
            return Err("a payment that is none");
        }
        check_reference(self.reference.as_deref())
    }
}

/// Whether a text can be a payment's name elsewhere.
pub fn is_reference(text: &str) -> bool {
    (1..=MAX_REFERENCE).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control)
}

fn check_reference(reference: Option<&str>) -> Result<(), &'static str> {
    if reference.is_none_or(is_reference) { Ok(()) } else { Err("an impossible external reference") }
}

impl Payments {
    /// Payments in the one form that is written.
    pub fn of(mut parts: Vec<Payment>) -> Self {
        match parts.pop() {
            Some(one) if parts.is_empty() && one == Payment::plain(one.tender, one.amount) => {
                Payments::Whole(one.tender)
            }
            last => {
                parts.extend(last);
                Payments::Parts(parts)
            }
        }
    }

    /// Each payment of a sale with this total.
    pub fn parts(&self, total: i64) -> Vec<Payment> {
        match self {
            Payments::Whole(tender) => vec![Payment::plain(*tender, total)],
            Payments::Parts(parts) => parts.clone(),
        }
    }

    /// The first payment's tender.
    pub fn tender(&self) -> Tender {
        match self {
            Payments::Whole(tender) => *tender,
            Payments::Parts(parts) => parts.first().map_or(Tender::Other, |first| first.tender),
        }
    }

    /// Whether some of it is authorised later.
    pub fn are_deferred(&self) -> bool {
        matches!(self, Payments::Parts(parts) if parts.iter().any(|part| part.deferred))
    }

    fn check(&self, total: i64) -> Result<(), &'static str> {
        let Payments::Parts(parts) = self else { return Ok(()) };
        if !(1..=MAX_PAYMENTS).contains(&parts.len()) {
            return Err("no payments, or too many");
        }
        parts.iter().try_for_each(Payment::check)?;
        if parts.iter().filter(|part| part.tender == Tender::Cash).count() > 1 {
            return Err("two payments in cash");
        }
        let sum = parts.iter().try_fold(0i64, |sum, part| sum.checked_add(part.amount));
        if sum == Some(total) { Ok(()) } else { Err("payments that are not its total") }
    }
}

impl<C> minicbor::Encode<C> for Payments {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Payments::Whole(tender) => tender.encode(e, ctx),
            Payments::Parts(parts) => parts.encode(e, ctx),
        }
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Payments {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        match d.datatype()? {
            Type::Array => Vec::decode(d, ctx).map(Payments::Parts),
            _ => Tender::decode(d, ctx).map(Payments::Whole),
        }
    }
}

impl SaleLine {
    /// What its units cost together, minor units.
    pub fn amount(&self) -> Option<i64> {
        self.unit_price.checked_mul(i64::try_from(self.units.len()).ok()?)
    }
}

impl Sale {
    /// What is paid: the lines, and the tax if prices do not include it. `None` if it is more than 64 bits hold.
    pub fn total(&self) -> Option<i64> {
        let goods = self.lines.iter().try_fold(0i64, |sum, line| sum.checked_add(line.amount()?))?;
        goods.checked_add(self.taxes.as_ref().map_or(Some(0), |taxes| taxes.on_top())?)
    }

    /// Its payments.
    pub fn parts(&self) -> Vec<Payment> {
        self.payments.parts(self.total().unwrap_or(0))
    }

    pub(crate) fn check_money(&self) -> Result<(), &'static str> {
        if let Some(taxes) = &self.taxes {
            taxes.check(&self.lines)?;
        }
        self.payments.check(self.total().ok_or("an impossible total")?)?;
        self.receipt.check()
    }
}
