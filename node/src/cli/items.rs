//! What is sold or put aside, as it is typed: `TEE-M`, `STICKER*2`, `STICKER:2@3.50`.

use std::str::FromStr;

use popmesh_proto::command::{CartItem, SellItem};
use popmesh_proto::text::Sku;

use super::client::Client;
use super::failure::Failure;
use super::{money, values};

/// What stands between a SKU and how many of it. No SKU has any of these, so none can be taken for a part of it.
const TIMES: [char; 3] = ['*', ':', '×'];

/// One item: a SKU, how many of it, and at what price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    sku: Sku,
    quantity: Option<u64>,
    price: Option<String>,
}

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, price) = match text.split_once('@') {
            Some((what, price)) => (what, Some(price.to_owned())),
            None => (text, None),
        };
        let sku = |text: &str| text.parse::<Sku>().map_err(|error| error.to_string());
        let Some((before, after)) = what.split_once(TIMES) else {
            return Ok(Self { sku: sku(what)?, quantity: None, price });
        };
        if after.contains(TIMES) {
            return Err(format!("{text:?} has two quantities; write SKU:N, such as STICKER:2"));
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (name, number) = match (is_number(before), is_number(after)) {
            (true, true) => {
                // A SKU may be a number, too.
                return Err(format!(
                    "{text:?} can be read in two ways; give the number with -n, as in `{before} -n {after}`"
                ));
            }
            (true, false) => (after, before),
            _ => (before, after),
        };
        Ok(Self { sku: sku(name)?, quantity: Some(values::quantity(number)?), price })
    }
}

/// What was typed about items: `-n` and `--price` are for one alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) items: &'a [Item],
    /// `-n`.
    pub(super) quantity: Option<u64>,
    /// `--price`.
    pub(super) price: Option<&'a str>,
}

/// A SKU, how many of it, and the price of one, as it was typed.
type Wanted<'a> = (Sku, u64, Option<&'a str>);

impl Typed<'_> {
    /// Each SKU once, with how many of it and at what price, if one was given.
    ///
    /// # Errors
    /// [`Failure`] if an option could be meant for several items, or a SKU has two prices.
    fn once_each(&self) -> Result<Vec<Wanted<'_>>, Failure> {
        let several = self.items.len() > 1;
        if self.quantity.is_some() && (several || self.items.iter().any(|item| item.quantity.is_some())) {
            let help = "write the number at each item, as in `TEE-M STICKER:2`";
            return Err(Failure::with_help("-n is for one item, whose number is not given yet", help));
        }
        if self.price.is_some() && (several || self.items.iter().any(|item| item.price.is_some())) {
            let help = "write the price at each item, as in `TEE-M@20.00 STICKER:2@2.50`";
            return Err(Failure::with_help("--price is for one item, whose price is not given yet", help));
        }
        let mut all: Vec<Wanted<'_>> = Vec::new();
        for item in self.items {
            let price = item.price.as_deref().or(self.price);
            let quantity = item.quantity.or(self.quantity).unwrap_or(1);
            match all.iter_mut().find(|(sku, ..)| *sku == item.sku) {
                None => all.push((item.sku.clone(), quantity, price)),
                Some((_, sum, before)) if *before == price => *sum = sum.saturating_add(quantity),
                Some(_) => {
                    let error = format!("{} is there twice, at two prices", item.sku);
                    return Err(Failure::with_help(
                        error,
                        "a sale has one price for each SKU; make two sales",
                    ));
                }
            }
        }
        Ok(all)
    }

    /// The same for a sale or a cart, prices in the event's currency.
    pub(super) fn for_sale(&self, client: &Client) -> Result<Vec<SellItem>, Failure> {
        let all = self.once_each()?;
        let currency = match all.iter().any(|(.., price)| price.is_some()) {
            true => Some(money::currency(client)?),
            false => None,
        };
        let read = |(sku, quantity, price): (Sku, u64, Option<&str>)| {
            let unit_price = match price.zip(currency) {
                None => None,
                Some((text, currency)) => Some(values::price(text, currency).map_err(|error| {
                    Failure::with_help(
                        format!("the price of {sku}: {error}"),
                        "such as --price 25.00 or TEE-M@25.00",
                    )
                })?),
            };
            Ok(SellItem { sku, quantity, unit_price })
        };
        all.into_iter().map(read).collect()
    }

    /// The same of what is in a cart already.
    pub(super) fn of_cart(&self) -> Result<Vec<CartItem>, Failure> {
        if let Some(priced) = self.items.iter().find(|item| item.price.is_some()) {
            let error = format!("{} is in the cart at the price that it has", priced.sku);
            return Err(Failure::with_help(error, "leave the price away"));
        }
        let item = |(sku, quantity, _): (Sku, u64, Option<&str>)| CartItem { sku, quantity };
        Ok(self.once_each()?.into_iter().map(item).collect())
    }

    /// What was done, or why not; where a SKU that is none looks like a number, with how numbers are written.
    pub(super) fn explain<T>(&self, done: Result<T, Failure>) -> Result<T, Failure> {
        let Err(Failure::Problem(problem)) = done else { return done };
        let unknown = problem.facts.get("sku").and_then(serde_json::Value::as_str).unwrap_or_default();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let times = unknown.rsplit_once(['x', 'X']).filter(|(sku, number)| !sku.is_empty() && digits(number));
        let help = match (problem.code.as_str(), times) {
            ("unknown_sku", Some((sku, number))) => {
                format!("{unknown} can be a SKU; for {number} of {sku} write {sku}:{number}")
            }
            ("unknown_sku", None) if digits(unknown) && self.items.len() > 1 => {
                format!("{unknown} can be a SKU; how many is written as SKU:{unknown}")
            }
            _ => return Err(Failure::Problem(problem)),
        };
        Err(Failure::with_help(problem.detail.clone(), help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Option<u64>, Option<String>) {
        let Item { sku, quantity, price } = text.parse().unwrap();
        (sku.to_string(), quantity, price)
    }

    #[test]
    fn an_item_is_a_sku_how_many_and_at_what_price() {
        for (text, sku, quantity, price) in [
            ("TEE-M", "TEE-M", None, None),
            ("STICKER*2", "STICKER", Some(2), None),
            ("STICKER:2", "STICKER", Some(2), None),
            ("STICKER×2", "STICKER", Some(2), None),
            ("2*STICKER", "STICKER", Some(2), None),
            ("2:STICKER", "STICKER", Some(2), None),
            ("12*A1", "A1", Some(12), None),
            ("STICKER*2@20.00", "STICKER", Some(2), Some("20.00")),
            ("TEE-M@20", "TEE-M", None, Some("20")),
            // Each of these can be a SKU.
            ("STICKERx2", "STICKERx2", None, None),
            ("2xSTICKER", "2xSTICKER", None, None),
            ("2", "2", None, None),
        ] {
            assert_eq!(read(text), (sku.to_owned(), quantity, price.map(str::to_owned)), "{text}");
        }
        for bad in [
            "",
            "*",
            "*2",
            "STICKER*",
            "STICKER*0",
            "STICKER*-1",
            "STICKER*two",
            "A*2*3",
            "12*2",
            "A B",
            "STICKER*10001",
            "@5",
            "A:B",
        ] {
            assert!(bad.parse::<Item>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_sku_is_there_once() {
        let items = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Item>>();
        let all = items(&["A", "B*2", "A:3"]);
        let typed = Typed { items: &all, quantity: None, price: None };
        let once: Vec<(String, u64)> = typed
            .once_each()
            .unwrap()
            .into_iter()
            .map(|(sku, quantity, _)| (sku.to_string(), quantity))
            .collect();
        assert_eq!(once, [("A".to_owned(), 4), ("B".to_owned(), 2)]);
        for (texts, quantity, price) in [
            (&["A@1", "A@2"][..], None, None),
            (&["A", "A@2"], None, None),
            (&["A", "B"], Some(2), None),
            (&["A*2"], Some(2), None),
            (&["A", "B"], None, Some("1")),
            (&["A@2"], None, Some("1")),
        ] {
            assert!(Typed { items: &items(texts), quantity, price }.once_each().is_err(), "{texts:?}");
        }
        let one = items(&["A"]);
        let typed = Typed { items: &one, quantity: Some(3), price: Some("1.00") };
        assert_eq!(typed.once_each().unwrap(), [("A".parse().unwrap(), 3, Some("1.00"))]);
    }
}
