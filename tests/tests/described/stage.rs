//! A node that has something of everything: products, drops, lots, claims in every state, carts, personal data, payments that wait.

use anyhow::Result;
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

pub(crate) struct Stage {
    pub(crate) node: Node<'static>,
    /// Names of what there is, by the names of fields and parameters.
    pub(crate) known: Value,
}

impl Stage {
    pub(crate) fn set(event: &Event) -> Result<Self> {
        event.enrol("hq", "hq,pos,locker,encoder,registrar", "hall-a")?;
        let mut options = Options { quiet: true, ..Options::loopback(&[]) };
        options.arguments.extend(["--door", "virtual"].map(str::to_owned));
        let node = Node::start(event, "hq", options)?;
        let me = node.device()?;
        for (sku, name, price, tax) in
            [("CAP", "Cap", 2500, 1900), ("TEE-M", "T-shirt, M", 3000, 0), ("STICKER", "Sticker", 300, 700)]
        {
            node.done("/v1/products", &json!({"sku": sku, "name": name, "price": price, "tax": tax}))?;
        }
        node.done("/v1/drops", &json!({"drop": "neon", "title": "Neon"}))?;
        node.done(
            "/v1/drops",
            &json!({"drop": "later", "title": "Later", "pickup_within_ms": 1, "unclaimed": "refund"}),
        )?;
        node.done("/v1/lots", &json!({"drop": "neon", "sku": "CAP", "first": 1, "last": 5_000}))?;
        for (drop, sku) in [("neon", "TEE-M"), ("neon", "STICKER"), ("later", "STICKER")] {
            let lot = json!({"drop": drop, "sku": sku, "first": 1, "last": 50_000, "numbered": false});
            node.done("/v1/lots", &lot)?;
        }
        for drop in ["neon", "later"] {
            node.post(&format!("/v1/drops/{drop}/steps"), &json!({"step": "open"}), None)?.ok()?;
        }
        let claim = |answer: Value| answer["claim"].clone();
        let mut claims = Vec::new();
        for sale in [
            json!({"items": [{"sku": "CAP"}], "tender": "card"}),
            json!({"items": [{"sku": "TEE-M", "quantity": 2}], "pickup_at": me, "pin": "4711", "shopper": "order-7"}),
            json!({"items": [{"sku": "TEE-M"}], "payments": [{"tender": "card", "amount": 3000, "deferred": true}]}),
            json!({"items": [{"sku": "STICKER"}], "drop": "later", "pickup_at": me, "tender": "card"}),
            json!({"items": [{"sku": "CAP", "quantity": 3}], "pickup_at": me, "tender": "card"}),
        ] {
            claims.push(claim(node.done("/v1/sales", &sale)?));
        }
        let locker = json!({"drop": "neon", "sku": "CAP", "units": {"count": 3}, "place": "hq/07"});
        node.done("/v1/moves", &locker)?;
        let cart = json!({"items": [{"sku": "CAP"}], "ttl_ms": 80_000_000, "shopper": "order-8"});
        let carts: Vec<Value> =
            (0..3).map(|_| Ok(node.done("/v1/carts", &cart)?["cart"].clone())).collect::<Result<_>>()?;
        let note = node.done("/v1/people", &json!({"kind": "note", "content": "likes caps"}))?;
        node.done("/v1/refunds", &json!({"claim": claims[0]}))?;
        let known = json!({
            "claim": claims, "cart": carts, "device": [me], "seller": [me], "custodian": [me], "to": [me], "pickup_at": [me],
            "drop": ["neon", "later"], "sku": ["CAP", "TEE-M", "STICKER"], "entry": [note["entry"]], "shopper": ["order-7", "order-8"],
            "document": ["programme", "stock/neon", "claims/later"], "place": ["hall-a", "hq/07"], "pin": ["4711"],
        });
        Ok(Self { node, known })
    }
}
