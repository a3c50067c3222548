//! The key numbers, as tiles.

use std::fmt::{self, Write};

use crate::night::Night;

use super::super::words::{self, Escaped, count, plain};
use super::section;

/// So many drops have a tile of their own.
const MOST_DROPS: usize = 4;

struct Tile {
    name: String,
    value: String,
    aside: String,
    alarm: bool,
}

impl Tile {
    fn new(name: &str, value: String, aside: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value, aside: aside.into(), alarm: false }
    }

    fn alarm_if(self, alarm: bool) -> Self {
        Self { alarm, ..self }
    }
}

pub(super) fn draw(out: &mut String, night: &Night) -> fmt::Result {
    section(out, "The night in numbers", "")?;
    out.push_str("<dl class=tiles>");
    for tile in tiles(night) {
        write!(
            out,
            "<div class=\"tile{}\"><dt>{}</dt><dd class=value>{}</dd><dd class=aside>{}</dd></div>",
            if tile.alarm { " alarm" } else { "" },
            Escaped(&tile.name),
            Escaped(&tile.value),
            Escaped(&tile.aside)
        )?;
    }
    out.push_str("</dl>\n");
    Ok(())
}

fn tiles(night: &Night) -> Vec<Tile> {
    let numbers = &night.numbers;
    let once = numbers.sold.saturating_sub(numbers.oversold);
    let refused = numbers.refusals.values().fold(0_u64, |sum, times| sum.saturating_add(*times));
    let [p50, p90, p99, longest] = numbers.sale_us;
    let sales = |us: u64| if numbers.sold == 0 { words::NONE.to_owned() } else { words::micros(us) };
    let mut tiles = vec![
        Tile::new("Units sold", count(numbers.sold), format!("of {} minted", count(numbers.minted))),
        Tile::new("Oversold", count(numbers.oversold), "units in more than one sale")
            .alarm_if(numbers.oversold > 0),
        Tile::new(
            "Demand served",
            words::ratio(once, numbers.servable).map_or_else(|| words::NONE.to_owned(), words::per_mille),
            format!("{} of the {} units that could have been sold", count(once), count(numbers.servable)),
        ),
        Tile::new(
            "Shoppers served",
            words::ratio(numbers.served, numbers.shoppers)
                .map_or_else(|| words::NONE.to_owned(), words::per_mille),
            format!("{} of {} who came", count(numbers.served), count(numbers.shoppers)),
        ),
        Tile::new(
            "Wrongly refused",
            count(numbers.wrong_refusals),
            format!("of {}; units were free within reach", words::counted(refused, "refusal", "refusals")),
        ),
        Tile::new("Time to sell, median", sales(p50), format!("9 of 10 within {}", sales(p90))),
        Tile::new("Time to sell, p99", sales(p99), format!("longest {}", sales(longest))),
        Tile::new(
            "Reconciliation",
            match numbers.reconciliation_ms {
                Some(ms) => words::millis(ms),
                None if night.devices.is_empty() || numbers.served == 0 => words::NONE.to_owned(),
                None => "never".to_owned(),
            },
            "from the last sale until all devices agreed",
        )
        .alarm_if(numbers.reconciliation_ms.is_none() && !night.devices.is_empty() && numbers.served > 0),
        Tile::new(
            "Sync loss events",
            format!("{} /h", words::thousandths(numbers.loss_events_milli)),
            losses(night),
        ),
    ];
    if let Some([p50, _, p99, longest]) = numbers.closed_us {
        let [p50, p99, longest] = [p50, p99, longest].map(words::micros);
        tiles.push(Tile::new(
            "Close to closed",
            p50,
            format!("p99 {p99}, longest {longest}, on devices in reach"),
        ));
    }
    let mut drops: Vec<_> = numbers.claimed_per_mille.iter().collect();
    drops.sort_by_key(|(drop, _)| {
        night.drops.iter().position(|known| known.name == **drop).unwrap_or(usize::MAX)
    });
    for (drop, claimed) in drops.into_iter().take(MOST_DROPS) {
        let drop = plain(drop, words::NAME);
        tiles.push(Tile::new(
            "Drop to claim",
            words::per_mille(*claimed),
            format!("of what {drop} announced"),
        ));
    }
    if let Some(repeat) = numbers.repeat_per_mille {
        tiles.push(Tile::new("Repeat attendance", words::per_mille(repeat), "of a drop's buyers came back"));
    }
    let claims = &numbers.claims;
    if claims.are_any() {
        tiles.push(Tile::new(
            "Handed out later",
            count(claims.handed_out),
            format!(
                "{}, {} brought back; {} shown again and refused",
                words::counted(claims.refunds, "refund", "refunds"),
                count(claims.returns),
                count(claims.refused_again)
            ),
        ));
    }
    let carts = &numbers.carts;
    if carts.put_aside > 0 {
        tiles.push(Tile::new(
            "Carts",
            count(carts.put_aside),
            format!(
                "{} paid, {} taken over by another till, {} over too soon",
                count(carts.paid),
                count(carts.taken_over),
                count(carts.expired)
            ),
        ));
    }
    tiles.extend([
        Tile::new("Power cuts", count(numbers.power_cuts), "one for each device struck"),
        Tile::new(
            "Traffic",
            words::bytes(numbers.bytes),
            format!("in {}", words::counted(numbers.messages, "message", "messages")),
        ),
        Tile::new(
            "Log",
            count(numbers.entries),
            format!("entries, in {} durable writes", count(numbers.writes)),
        ),
    ]);
    tiles
}

fn losses(night: &Night) -> String {
    let [alone, elsewhere, incidents] = night.numbers.loss_events;
    format!(
        "per device-hour; in all {} cut off, {} held elsewhere, {}",
        count(alone),
        count(elsewhere),
        words::counted(incidents, "incident", "incidents")
    )
}
