//! `popmesh event`: the organiser's key and charter.

use std::path::Path;

use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Charter, SecretKey, SignedCharter};
use popmesh_proto::money::Currency;
use serde_json::json;

use super::args_event::Event;
use super::client::print;
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::{money, note_closed, values};
use crate::clock::now_ms;
use crate::enrol::{CHARTER, ORGANISER_KEY};
use crate::folder::{self, Folder};

pub(super) fn event(event: Event, data: &Folder, json: bool) -> Outcome {
    match event {
        Event::Init { name, currency, dir } => init(&name, currency, &dir, json),
        Event::Show { dir } => {
            if dir.is_none() {
                // Says what makes one, where there is none.
                data.identity()?;
            }
            let path = dir.map_or_else(|| data.charter_path(), |dir| dir.join(CHARTER));
            show(&path, json)
        }
        Event::Tax(tax) => money::event_tax(&tax, data, json),
        Event::Cash(cash) => money::event_cash(&cash, data, json),
        Event::Wishes(wishes) => money::event_wishes(&wishes, data, json),
        Event::Limit(limit) => money::event_limit(&limit, data, json),
    }
}

fn init(name: &str, currency: Currency, dir: &Path, json: bool) -> Outcome {
    let (key_path, charter_path) = (dir.join(ORGANISER_KEY), dir.join(CHARTER));
    let key = SecretKey::from_seed(&values::random()?);
    let nonce = Nonce(values::random()?);
    let charter = Charter { name: name.to_owned(), currency, root: key.id(), created_ms: now_ms(), nonce };
    let signed = SignedCharter::sign(charter, &key).map_err(|error| Failure::here(error.to_string()))?;
    if charter_path.exists() {
        return Err(folder::FolderError::Exists(charter_path).into());
    }
    folder::create_private(dir)?;
    note_closed(folder::close(dir)?.as_ref());
    folder::write_key(&key_path, &key)?;
    folder::write_new(&charter_path, &format!("{}\n", signed.to_text()))?;
    print(json, &facts(&signed, &charter_path), || {
        format!(
            "Event {name:?} ({}), prices in {currency}.\n  {}  the organiser's key: keep it off the tills, and keep a \
             copy\n  {}  the charter: goes to every device\n\nNext, on each device: popmesh device new --name NAME\n\
             Then here: popmesh device sign NAME.enrolment --event {} --role pos --venue VENUE",
            signed.event().short(),
            key_path.display(),
            charter_path.display(),
            dir.display(),
        )
    })
}

fn show(path: &Path, json: bool) -> Outcome {
    let charter = folder::read_charter(path)?;
    print(json, &facts(&charter, path), || {
        let Charter { name, currency, root, created_ms, .. } = charter.charter();
        format!(
            "event      {}\nid         {}\ncurrency   {currency}\norganiser  {root}\nfounded    {}\ncharter    {}",
            printable(name),
            charter.event(),
            values::time(*created_ms),
            path.display(),
        )
    })
}

fn facts(charter: &SignedCharter, path: &Path) -> serde_json::Value {
    let Charter { name, currency, root, created_ms, .. } = charter.charter();
    json!({
        "event": charter.event(), "name": name, "currency": currency, "organiser": root,
        "created_ms": created_ms, "charter": path,
    })
}
