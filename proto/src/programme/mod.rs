//! The document `programme`: products, prices and drops. Ordinary Automerge data, which hq devices edit together.
//!
//! Its changes depend on the frontier that their author saw. They are the only changes of another device that
//! Automerge is ever given as they came, so each is tried on a copy first.

mod raw;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ObjType, ROOT, ReadDoc};

use crate::clock::Hlc;
use crate::command::{DropState, EventRules, MAX_CATEGORY, MAX_PICKUP_MS, Product, Unclaimed};
use crate::id::{ChainId, Hash};
use crate::identity::{armor, unarmor};
use crate::key::CommandKey;
use crate::money::{Currency, MAX_PRICE};
use crate::picture;
use crate::query::Picture;
use crate::record::Start;
use crate::tax::WHOLE;
use crate::text::{DropId, Sku};

/// The most bytes of one change.
pub const MAX_EDIT: usize = 64 * 1024;
const MAX_OPS: u64 = 4096;
/// The most operations that the whole document may ever count; Automerge fails near 2³².
const MAX_START_OP: u64 = 1 << 28;
const START: &str = "popmesh-start-1";
const KEY: &str = "popmesh-key-1";
const PRODUCTS: &str = "products";
const DROPS: &str = "drops";
const CATEGORY: &str = "category";
const PICTURE: &str = "picture";

/// Why a change of the programme is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Not one uncompressed change, or too much of one.
    #[error("a programme change that is malformed, compressed or too large")]
    Frame,
    /// Its actor or its number is not that of its place in its chain.
    #[error("a programme change that is not the next of its chain")]
    Sequence,
    /// The first change of a chain does not say who writes it.
    #[error("a chain of the programme that does not say who writes it")]
    Start,
    /// Automerge cannot apply it, or cannot load what it saved afterwards.
    #[error("a programme change that Automerge does not accept: {0}")]
    Refused(String),
}

/// A change of the programme, its frame read.
#[derive(Debug, Clone)]
pub struct Edit {
    pub(crate) hash: Hash,
    pub(crate) at: Hlc,
    pub(crate) deps: Vec<Hash>,
    /// The key of the command that made it, if that had one.
    pub(crate) key: Option<CommandKey>,
    bytes: Vec<u8>,
}

impl Edit {
    /// Whether this is an Automerge chunk rather than a record.
    pub(crate) fn looks_like(body: &[u8]) -> bool {
        raw::has_magic(body)
    }

    /// Reads the frame of the `seq`-th change of `chain`. Automerge has not seen it yet.
    pub(crate) fn read(chain: &ChainId, seq: u64, body: &[u8]) -> Result<Self, EditError> {
        let frame = Self::frame(body)?;
        if frame.actor != chain.as_bytes() || frame.seq != seq {
            return Err(EditError::Sequence);
        }
        let at = Self::time_of(&frame).ok_or(EditError::Frame)?;
        Ok(Self {
            hash: Hash(frame.hash),
            at,
            deps: frame.deps.iter().map(|dep| Hash(*dep)).collect(),
            key: key_of(frame.message),
            bytes: body.to_vec(),
        })
    }

    /// When a change was made, as [`Edit::read`] has it.
    pub(crate) fn time(body: &[u8]) -> Option<Hlc> {
        Self::time_of(&Self::frame(body).ok()?)
    }

    /// Automerge's times are seconds: the last millisecond of it, so that it is not before its own certificate.
    fn time_of(frame: &raw::Frame<'_>) -> Option<Hlc> {
        let seconds = u64::try_from(frame.time).ok()?;
        Some(Hlc::from_ms(seconds.saturating_mul(1000).saturating_add(999)))
    }

    /// How the chain that this change is the first of begins.
    pub(crate) fn start_of(body: &[u8]) -> Result<Start, EditError> {
        let frame = Self::frame(body)?;
        let text = std::str::from_utf8(frame.message).map_err(|_| EditError::Start)?;
        // The key of a command follows on a line of its own.
        let text = text.split('\n').next().unwrap_or_default();
        let bytes = unarmor(START, text).ok_or(EditError::Start)?;
        minicbor::decode(&bytes).map_err(|_| EditError::Start)
    }

    fn frame(body: &[u8]) -> Result<raw::Frame<'_>, EditError> {
        if body.len() > MAX_EDIT {
            return Err(EditError::Frame);
        }
        let frame = raw::frame(body).ok_or(EditError::Frame)?;
        let bounded = (1..=MAX_OPS).contains(&frame.ops) && (1..=MAX_START_OP).contains(&frame.start_op);
        if bounded { Ok(frame) } else { Err(EditError::Frame) }
    }
}

/// A drop as it was planned. How far it is is told by its steps: see [`crate::drop_steps`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropPlan {
    /// Short name.
    pub drop: DropId,
    /// Title.
    pub title: String,
    /// When its first round is over by itself, Unix milliseconds; never if absent.
    pub ends_ms: Option<u64>,
    /// For how long a claim for pickup can be picked up after its sale, milliseconds; for ever if absent.
    pub pickup_within_ms: Option<u64>,
    /// What becomes of claims that nobody came for in that time.
    pub unclaimed: Unclaimed,
    /// How far it is by what programmes said before drops had steps. It counts where there are none, and is written no more.
    pub old_state: DropState,
}

/// The programme as it stands.
#[derive(Debug, Clone)]
pub struct Programme {
    document: Automerge,
    currency: Currency,
    products: BTreeMap<Sku, Product>,
    drops: BTreeMap<DropId, DropPlan>,
    rules: EventRules,
    heads: Vec<Hash>,
}

impl Programme {
    /// An empty programme.
    ///
    /// Every device makes the same first change, so that two that add their first product at once do not each make a
    /// map of products, of which Automerge could show only one.
    ///
    /// # Errors
    /// [`EditError::Refused`] if Automerge fails at it.
    pub fn new(currency: Currency) -> Result<Self, EditError> {
        let mut document = Automerge::new().with_actor(ActorId::from([0u8; 16]));
        let made = document.transact_with::<_, _, automerge::AutomergeError, _>(
            |_| CommitOptions::default().with_time(0),
            |transaction| {
                transaction.put_object(ROOT, DROPS, ObjType::Map)?;
                transaction.put_object(ROOT, PRODUCTS, ObjType::Map)?;
                Ok(())
            },
        );
        made.map_err(|failure| EditError::Refused(failure.error.to_string()))?;
        let mut programme = Self {
            document,
            currency,
            products: BTreeMap::new(),
            drops: BTreeMap::new(),
            rules: EventRules::default(),
            heads: Vec::new(),
        };
        programme.refresh();
        Ok(programme)
    }

    /// Products by SKU.
    pub fn products(&self) -> &BTreeMap<Sku, Product> {
        &self.products
    }

    /// Drops by name.
    pub fn drops(&self) -> &BTreeMap<DropId, DropPlan> {
        &self.drops
    }

    /// The version: the heads of the document, in order.
    pub fn heads(&self) -> &[Hash] {
        &self.heads
    }

    /// A change that this one needs and that is not here.
    pub(crate) fn missing(&self, edit: &Edit) -> Option<Hash> {
        edit.deps.iter().copied().find(|dep| self.document.get_change_by_hash(&ChangeHash(dep.0)).is_none())
    }

    /// Applies a change whose dependencies are here.
    ///
    /// Whether it is taken in depends on the changes that it builds on alone, never on what else is here: a change that
    /// edits an object of a change that it does not depend on would be admitted by those that have both, and by nobody
    /// else.
    ///
    /// # Errors
    /// [`EditError::Refused`]; then nothing has changed.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), EditError> {
        if self.document.get_change_by_hash(&ChangeHash(edit.hash.0)).is_some() {
            return Ok(());
        }
        if !self.is_built_on_all(edit) {
            try_on(edit, || self.causal_past(edit))?;
        }
        self.document = try_on(edit, || Ok(self.document.clone()))?;
        self.refresh();
        Ok(())
    }

    /// Whether a change depends on everything that is here.
    fn is_built_on_all(&self, edit: &Edit) -> bool {
        self.heads.iter().all(|head| edit.deps.contains(head))
    }

    /// The document as it was for the author of a change: made of what the change depends on, and of nothing else.
    fn causal_past(&self, edit: &Edit) -> Result<Automerge, String> {
        let mut wanted: Vec<ChangeHash> = edit.deps.iter().map(|dep| ChangeHash(dep.0)).collect();
        let mut past = BTreeSet::new();
        while let Some(hash) = wanted.pop() {
            if past.insert(hash) {
                let change = self.document.get_change_by_hash(&hash).ok_or("it needs what is not here")?;
                wanted.extend(change.deps());
            }
        }
        // In the order in which they were applied here, each comes after what it depends on.
        let changes =
            self.document.get_changes(&[]).into_iter().filter(|change| past.contains(&change.hash()));
        let mut document = Automerge::new();
        document.apply_changes(changes).map_err(|error| error.to_string())?;
        Ok(document)
    }

    /// The programme as the author of a change saw it, and as the change made it; `None` if the change is not here.
    pub(crate) fn before_and_after(&self, edit: &Edit) -> Option<(Self, Self)> {
        let mut before = Self { document: self.causal_past(edit).ok()?, ..self.clone() };
        before.refresh();
        let mut after = before.clone();
        after.apply_own(edit).ok()?;
        Some((before, after))
    }

    /// Applies a change that was applied before, and stored then.
    ///
    /// # Errors
    /// [`EditError::Refused`] if it cannot be applied again.
    pub(crate) fn apply_own(&mut self, edit: &Edit) -> Result<(), EditError> {
        let refused = |problem: String| EditError::Refused(problem);
        let change = Change::from_bytes(edit.bytes.clone()).map_err(|error| refused(error.to_string()))?;
        self.document.apply_changes([change]).map_err(|error| refused(error.to_string()))?;
        self.refresh();
        Ok(())
    }

    /// Makes the change that puts a product; its picture only if another is given, as that is most of its bytes.
    pub(crate) fn put_product(
        &mut self,
        author: &Authorship<'_>,
        product: &Product,
        picture: Option<&[u8]>,
    ) -> Result<Vec<u8>, EditError> {
        let before = self.products.get(&product.sku).cloned();
        let had = |had: fn(&Product) -> bool| before.as_ref().is_some_and(had);
        let (had_category, had_picture) =
            (had(|before| before.category.is_some()), had(|before| before.picture.is_some()));
        self.edit(author, |transaction| {
            let products = map(transaction, PRODUCTS)?;
            let entry = match transaction.get(&products, product.sku.as_str())? {
                Some((value, id)) if value.is_object() => id,
                _ => transaction.put_object(&products, product.sku.as_str(), ObjType::Map)?,
            };
            transaction.put(&entry, "name", product.name.as_str())?;
            transaction.put(&entry, "price", product.price)?;
            transaction.put(&entry, "tax", i64::from(product.tax))?;
            match &product.category {
                Some(category) => transaction.put(&entry, CATEGORY, category.as_str())?,
                None if had_category => transaction.delete(&entry, CATEGORY)?,
                None => {}
            }
            match (&product.picture, picture) {
                (Some(_), Some(bytes)) => transaction.put(&entry, PICTURE, bytes.to_vec()),
                (None, _) if had_picture => transaction.delete(&entry, PICTURE),
                _ => Ok(()),
            }
        })
    }

    /// Makes the change that puts a drop.
    pub(crate) fn put_drop(
        &mut self,
        author: &Authorship<'_>,
        plan: &DropPlan,
    ) -> Result<Vec<u8>, EditError> {
        self.edit(author, |transaction| {
            let drops = map(transaction, DROPS)?;
            let entry = match transaction.get(&drops, plan.drop.as_str())? {
                Some((value, id)) if value.is_object() => id,
                _ => transaction.put_object(&drops, plan.drop.as_str(), ObjType::Map)?,
            };
            if let Some(within_ms) = plan.pickup_within_ms {
                transaction.put(&entry, "pickup_within_ms", within_ms as i64)?;
                transaction.put(&entry, "unclaimed", plan.unclaimed.to_string())?;
            }
            if let Some(ends_ms) = plan.ends_ms {
                transaction.put(&entry, "ends_ms", ends_ms as i64)?;
            }
            transaction.put(&entry, "title", plan.title.as_str())
        })
    }

    fn edit(
        &mut self,
        author: &Authorship<'_>,
        change: impl FnOnce(&mut automerge::transaction::Transaction<'_>) -> Result<(), automerge::AutomergeError>,
    ) -> Result<Vec<u8>, EditError> {
        self.document.set_actor(ActorId::from(*author.chain.as_bytes()));
        let mut options = CommitOptions::default().with_time((author.at.ms() / 1000) as i64);
        let mut message = Vec::new();
        if let Some(start) = author.start {
            let bytes = minicbor::to_vec(start).map_err(|_| EditError::Start)?;
            message.push(armor(START, &bytes));
        }
        message.extend(author.key.map(|key| armor(KEY, &key.to_bytes())));
        if !message.is_empty() {
            options = options.with_message(message.join("\n"));
        }
        let made = self.document.transact_with(|()| options, change);
        let refused = |problem: String| EditError::Refused(problem);
        let success = made.map_err(|failure| refused(failure.error.to_string()))?;
        let hash = success.hash.ok_or_else(|| refused("the change changes nothing".to_owned()))?;
        self.refresh();
        let change = self.document.get_change_by_hash(&hash);
        change
            .map(|change| change.raw_bytes().to_vec())
            .ok_or_else(|| refused("the change is lost".to_owned()))
    }

    /// The document as an Automerge file.
    pub fn save(&self) -> Vec<u8> {
        self.document.save()
    }

    fn refresh(&mut self) {
        self.heads = self.document.get_heads().into_iter().map(|head| Hash(head.0)).collect();
        self.heads.sort();
        self.rules = self.read_rules();
        self.products = self
            .entries(PRODUCTS)
            .into_iter()
            .filter_map(|(key, entry)| {
                let sku: Sku = key.parse().ok()?;
                let price = self.number(&entry, "price").filter(|price| (1..=MAX_PRICE).contains(price))?;
                let name = self.text(&entry, "name")?;
                let tax = self.number(&entry, "tax").and_then(|tax| u16::try_from(tax).ok());
                let tax = tax.filter(|tax| *tax <= WHOLE).unwrap_or(0);
                // What no device of ours puts there is as if it were not.
                let category = self.text(&entry, CATEGORY).filter(|category| is_category(category));
                let picture = self.bytes(&entry, PICTURE).and_then(|bytes| picture::examine(&bytes).ok());
                let currency = self.currency;
                Some((sku.clone(), Product { sku, name, price, tax, currency, category, picture }))
            })
            .collect();
        self.drops = self
            .entries(DROPS)
            .into_iter()
            .filter_map(|(key, entry)| {
                let drop: DropId = key.parse().ok()?;
                let title = self.text(&entry, "title")?;
                let old_state = match self.text(&entry, "state").as_deref() {
                    None | Some("planned") => DropState::Planned,
                    Some("announced") => DropState::Announced,
                    Some("open") => DropState::Open,
                    Some("closed") => DropState::Closed,
                    Some(_) => return None,
                };
                let ends_ms = self.number(&entry, "ends_ms").and_then(|ms| u64::try_from(ms).ok());
                let ends_ms = ends_ms.filter(|ms| *ms <= Hlc::MAX_MS);
                let within = self.number(&entry, "pickup_within_ms").and_then(|ms| u64::try_from(ms).ok());
                let unclaimed = match self.text(&entry, "unclaimed").as_deref() {
                    Some("refund") => Unclaimed::Refund,
                    Some("forfeit") => Unclaimed::Forfeit,
                    _ => Unclaimed::Keep,
                };
                let pickup_within_ms = within.filter(|ms| (1..=MAX_PICKUP_MS).contains(ms));
                let plan = DropPlan { drop, title, ends_ms, pickup_within_ms, unclaimed, old_state };
                Some((plan.drop.clone(), plan))
            })
            .collect();
    }

    fn entries(&self, of: &str) -> Vec<(String, ObjId)> {
        let Ok(Some((_, id))) = self.document.get(ROOT, of) else { return Vec::new() };
        let keys: Vec<String> = self.document.keys(&id).collect();
        keys.into_iter()
            .filter_map(|key| {
                let (value, entry) = self.document.get(&id, &key).ok()??;
                value.is_object().then_some((key, entry))
            })
            .collect()
    }

    fn text(&self, entry: &ObjId, field: &str) -> Option<String> {
        let (value, _) = self.document.get(entry, field).ok()??;
        value.as_str().map(str::to_owned)
    }

    fn bytes(&self, entry: &ObjId, field: &str) -> Option<Vec<u8>> {
        let (value, _) = self.document.get(entry, field).ok()??;
        value.into_bytes().ok()
    }

    /// The picture of a product, if it has one.
    pub fn picture(&self, sku: &Sku) -> Option<Picture> {
        let info = self.products.get(sku)?.picture.clone()?;
        let (_, products) = self.document.get(ROOT, PRODUCTS).ok()??;
        let (_, entry) = self.document.get(&products, sku.as_str()).ok()??;
        Some(Picture { info, bytes: self.bytes(&entry, PICTURE)? })
    }

    fn number(&self, entry: &ObjId, field: &str) -> Option<i64> {
        let (value, _) = self.document.get(entry, field).ok()??;
        value.as_i64()
    }
}

/// Whether a text can be the heading of products.
pub(crate) fn is_category(text: &str) -> bool {
    (1..=MAX_CATEGORY).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control)
}

/// Applies a change to a document of its own, and gives that back.
///
/// Automerge panics on some malformed changes, and accepts others that it cannot load again.
fn try_on(edit: &Edit, on: impl FnOnce() -> Result<Automerge, String>) -> Result<Automerge, EditError> {
    let trial = catch_unwind(AssertUnwindSafe(|| -> Result<Automerge, String> {
        let change = Change::from_bytes(edit.bytes.clone()).map_err(|error| error.to_string())?;
        let mut copy = on()?;
        copy.apply_changes([change]).map_err(|error| error.to_string())?;
        let loaded = Automerge::load(&copy.save()).map_err(|error| error.to_string())?;
        let is_in = copy.get_change_by_hash(&ChangeHash(edit.hash.0)).is_some();
        if loaded.get_heads() == copy.get_heads() && is_in {
            Ok(copy)
        } else {
            Err("it does not load again as it was".to_owned())
        }
    }));
    match trial {
        Ok(tried) => tried.map_err(EditError::Refused),
        Err(_) => Err(EditError::Refused("it panicked".to_owned())),
    }
}

/// Who makes a change, and when.
#[derive(Debug)]
pub(crate) struct Authorship<'a> {
    /// The author's chain.
    pub(crate) chain: ChainId,
    /// The time.
    pub(crate) at: Hlc,
    /// How the chain begins, if this is its first change.
    pub(crate) start: Option<&'a Start>,
    /// The key of the command that makes it, if that has one.
    pub(crate) key: Option<CommandKey>,
}

/// The key that the message of a change carries, on its last line.
fn key_of(message: &[u8]) -> Option<CommandKey> {
    let line = std::str::from_utf8(message).ok()?.lines().last()?;
    CommandKey::from_bytes(&unarmor(KEY, line)?)
}

fn map<T: ReadDoc>(document: &T, name: &str) -> Result<ObjId, automerge::AutomergeError> {
    match document.get(ROOT, name)? {
        Some((value, id)) if value.is_object() => Ok(id),
        _ => Err(automerge::AutomergeError::InvalidObjId(name.to_owned())),
    }
}
