//! What a shop of merchandise really sells: products, and drops of them, for pages that a person looks at.

use anyhow::Result;
use serde_json::json;

use crate::Api;
use crate::books::open_drop;

/// Something that is sold.
#[derive(Debug, Clone, Copy)]
pub struct Ware {
    /// What the programme calls it.
    pub sku: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What it is, among all that is sold.
    pub category: &'static str,
    /// Its price in cents.
    pub price: u32,
    /// How many there are.
    pub units: u32,
    /// Whether serials are printed on them.
    pub numbered: bool,
}

/// The drop that everything of [`WARES`] is sold in.
pub const DROP: &str = "afterglow";
/// What the drop is called.
pub const TITLE: &str = "Afterglow tour";

const fn ware(
    sku: &'static str,
    name: &'static str,
    category: &'static str,
    price: u32,
    units: u32,
    numbered: bool,
) -> Ware {
    Ware { sku, name, category, price, units, numbered }
}

/// What is sold, in the order in which it is shown.
pub const WARES: [Ware; 12] = [
    ware("TEE-GLOW-S", "Afterglow tee, S", "Shirts", 3000, 24, false),
    ware("TEE-GLOW-M", "Afterglow tee, M", "Shirts", 3000, 40, false),
    ware("TEE-GLOW-L", "Afterglow tee, L", "Shirts", 3000, 40, false),
    ware("HOODIE-M", "Night shift hoodie, M", "Shirts", 6500, 16, false),
    ware("LP-GLOW", "Afterglow, LP, numbered", "Music", 3400, 60, true),
    ware("CD-GLOW", "Afterglow, CD", "Music", 1500, 50, false),
    ware("TAPE-DEMO", "Demo tape 2019", "Music", 1200, 12, true),
    ware("POSTER-A2", "Tour poster A2, signed", "Prints", 1500, 80, true),
    ware("PRINT-RISO", "Riso print \u{201c}Low tide\u{201d}", "Prints", 2200, 30, true),
    ware("TOTE", "Tote bag", "Small things", 1800, 45, false),
    ware("PIN-MOON", "Enamel pin, moon", "Small things", 800, 100, false),
    ware("STICKERS", "Sticker set", "Small things", 500, 200, false),
];

/// Puts everything on the programme, and on sale in one drop, all of it held by this hq.
///
/// # Errors
/// When it refuses.
pub fn put_on_sale(hq: &Api<'_>) -> Result<()> {
    for ware in WARES {
        let Ware { sku, name, category, price, .. } = ware;
        hq.done("/v1/products", &json!({"sku": sku, "name": name, "category": category, "price": price}))?;
    }
    hq.done("/v1/drops", &json!({"drop": DROP, "title": TITLE}))?;
    for Ware { sku, units, numbered, .. } in WARES {
        let lot = json!({"drop": DROP, "sku": sku, "first": 1, "last": units, "numbered": numbered});
        hq.done("/v1/lots", &lot)?;
    }
    open_drop(hq, DROP)
}
