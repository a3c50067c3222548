//! A receipt as text for an 80 mm printer: 48 columns, as its usual font has.

use jiff::tz::TimeZone;
use popmesh_proto::query::Receipt;

use super::{Row, amount, payments, percent, pickup, short, taxes, title};
use crate::clock::in_zone;

/// Columns of an 80 mm printer in its usual font (576 dots of 12).
pub const WIDTH: usize = 48;

/// How many columns a character takes: East Asian wide ones two, those that join another none.
///
/// Source: Unicode Standard Annex #11 (East Asian Width), its wide and fullwidth blocks, and the blocks of combining
/// marks.
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f => 0,
        0x200b..=0x200f | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xe0100..=0xe01ef => 0,
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x33ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff => 2,
        0xa000..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff => 2,
        0x1f900..=0x1f9ff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Lines of at most so many columns, broken between words where that goes.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + columns(word) > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            if let Some(line) = lines.last_mut() {
                line.push(' ');
            }
            used += 1;
        }
        while used + columns(word) > width {
            let mut room = width - used;
            let end = word
                .char_indices()
                .find(|(_, c)| match room.checked_sub(columns_of(*c)) {
                    Some(rest) => {
                        room = rest;
                        false
                    }
                    None => true,
                })
                .map_or(word.len(), |(at, _)| at);
            let (head, tail) = word.split_at(end);
            if let Some(line) = lines.last_mut() {
                line.push_str(head);
            }
            lines.push(String::new());
            used = 0;
            word = tail;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
        used += columns(word);
    }
    lines
}

struct Slip(String);

impl Slip {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    fn rule(&mut self) {
        self.line(&"-".repeat(WIDTH));
    }

    fn paragraph(&mut self, text: &str) {
        for line in wrapped(&printable(text), WIDTH) {
            self.line(&line);
        }
    }

    fn centred(&mut self, text: &str) {
        for line in wrapped(&printable(text), WIDTH) {
            let left = (WIDTH - columns(&line)) / 2;
            self.line(&format!("{}{line}", " ".repeat(left)));
        }
    }

    /// `left` to the left, `right` to the right, on as many lines as that takes.
    fn row(&mut self, left: &str, right: &str) {
        let room = WIDTH.saturating_sub(columns(right) + 1).max(8);
        let mut lines = wrapped(&printable(left), room);
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            self.line(&line);
        }
        let gap = WIDTH.saturating_sub(columns(&last) + columns(right)).max(1);
        self.line(&format!("{last}{}{right}", " ".repeat(gap)));
    }
}

/// Names come from other people; none may steer the printer.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A receipt in lines of [`WIDTH`] columns, with its time in `zone`, which it says.
pub fn slip(receipt: &Receipt, zone: &TimeZone) -> String {
    let money = |minor: i64| amount(receipt.currency, minor);
    let mut slip = Slip(String::new());
    slip.centred(&receipt.event_name);
    slip.centred(&format!("{}, {}", receipt.device_name, receipt.venue));
    slip.rule();
    slip.row(&format!("{} {}", title(receipt), receipt.number), &in_zone(receipt.at_ms, zone));
    slip.rule();
    for item in &receipt.items {
        slip.paragraph(&item.name);
        let rate = item.rate.map_or_else(String::new, |rate| format!(" ({})", percent(rate)));
        slip.row(&format!("  {} x {}{rate}", item.quantity, money(item.unit_price)), &money(item.amount));
        let edition = item.edition.as_ref().map_or_else(String::new, |edition| format!(" {edition}"));
        let serials =
            item.serials.as_ref().map_or_else(String::new, |serials| format!(",{edition} no. {serials}"));
        slip.paragraph(&format!("  {}{serials}", item.sku));
    }
    slip.rule();
    slip.row(&format!("Total {}", receipt.currency), &money(receipt.total));
    for (what, net, tax) in taxes(receipt) {
        slip.row(&format!("{what}, net {}", money(net)), &money(tax));
    }
    for Row { what, minor } in payments(receipt) {
        slip.row(&what, &money(minor));
    }
    slip.rule();
    if let Some(pickup) = pickup(receipt) {
        slip.paragraph(&pickup);
    }
    slip.paragraph(&format!("Claim {}", receipt.claim));
    slip.paragraph(&match &receipt.previous {
        Some(previous) => format!("After {}", short(previous)),
        None => "The first of this device".to_owned(),
    });
    slip.paragraph(&format!("This  {}", short(&receipt.hash)));
    if !receipt.twice.is_empty() {
        slip.paragraph("This number was given twice: the device was restored or copied.");
    }
    slip.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::receipt::tests::sample;

    #[test]
    fn a_slip_fits_the_printer_and_amounts_line_up() {
        let text = slip(&sample(), &TimeZone::UTC);
        let expected = "               Nachtmarkt <Köln>
               till & co, hall-a
------------------------------------------------
Receipt 12               2027-01-15 08:00:00 UTC
------------------------------------------------
夜のTシャツ, a very long name that no printer
has room for on one line
2 x 6.17 (19 %)                            12.34
TEE, no. 3-4
------------------------------------------------
Total EUR                                  12.34
incl. tax 19 %, net 10.37                   1.97
Rounding to coins                           0.01
Cash, <b>                                  20.00
Change                                      7.65
------------------------------------------------
Pick up at locker, yard
Claim 01010101010101010101010101010101:9
After abababababababab
This cdcdcdcdcdcdcdcd
";
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn no_name_breaks_the_width(name in ".{0,200}", reference in ".{1,64}", total in any::<i64>()) {
            let mut receipt = sample();
            receipt.event_name.clone_from(&name);
            receipt.device_name.clone_from(&name);
            receipt.items[0].name = name;
            receipt.payments[0].reference = Some(reference);
            receipt.total = total;
            for line in slip(&receipt, &TimeZone::UTC).lines() {
                prop_assert!(columns(line) <= WIDTH, "{:?} has {}", line, columns(line));
            }
        }
    }
}
