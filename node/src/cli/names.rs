//! What people call things: products by their names, devices by theirs. Looked up once for an answer to a person.

use std::collections::BTreeMap;

use popmesh_proto::command::ClaimItem;
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::Programme;
use popmesh_proto::text::{Edition, Sku};
use popmesh_proto::units::UnitSet;

use super::client::Client;
use super::table::printable;

/// The names that a node knows.
#[derive(Debug, Default)]
pub(super) struct Names {
    products: BTreeMap<Sku, String>,
    devices: BTreeMap<DeviceId, String>,
}

impl Names {
    /// Those that the node knows. An answer is shown without them rather than not at all.
    pub(super) fn of(client: &Client) -> Self {
        let programme = client.get::<Programme>("/v1/programme", &[]);
        let products = programme.map(|programme| programme.products).unwrap_or_default();
        let devices = client.devices().unwrap_or_default();
        Self {
            products: products.into_iter().map(|product| (product.sku, printable(&product.name))).collect(),
            devices: devices.into_iter().map(|info| (info.device, printable(&info.name))).collect(),
        }
    }

    /// None, for an answer that nobody reads.
    pub(super) fn unless(json: bool, client: &Client) -> Self {
        if json { Self::default() } else { Self::of(client) }
    }

    /// A device's name, or the beginning of its key.
    pub(super) fn device(&self, device: DeviceId) -> String {
        self.devices.get(&device).cloned().unwrap_or_else(|| device.short())
    }

    /// So many units: `2 × Sticker (STICKER 1-2)`.
    pub(super) fn units(&self, sku: &Sku, edition: Option<&Edition>, units: &UnitSet) -> String {
        let edition = edition.map(|edition| format!(" {edition}")).unwrap_or_default();
        match self.products.get(sku).filter(|name| *name != sku.as_str()) {
            Some(name) => format!("{} × {name} ({sku}{edition} {units})", units.len()),
            None => format!("{} × {sku}{edition} ({units})", units.len()),
        }
    }

    /// What a sale or a cart has, one after another: of a SKU at one price in one go.
    pub(super) fn items(&self, items: &[ClaimItem]) -> String {
        let mut all: Vec<(&Sku, Option<&Edition>, i64, UnitSet)> = Vec::new();
        for item in items {
            let key = (&item.sku, item.edition.as_ref(), item.unit_price);
            match all.iter_mut().find(|(sku, edition, price, units)| {
                // Lots can have the same serials.
                (*sku, *edition, *price) == key && !units.intersects(&item.units)
            }) {
                Some((.., units)) => units.insert_all(&item.units),
                None => all.push((key.0, key.1, key.2, item.units.clone())),
            }
        }
        let each = all.iter().map(|(sku, edition, _, units)| self.units(sku, *edition, units));
        each.collect::<Vec<_>>().join(", ")
    }
}
