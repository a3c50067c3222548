//! An event with fixed keys, and what its devices have written when the fuzzer comes in.

use std::sync::OnceLock;

use popmesh_proto::command::{
    CartNew, Command, DropNew, LotMint, PaymentNew, ProductAdd, Redeem, Reply, Sell, SellItem, Tender,
    Transfer, Units,
};
use popmesh_proto::id::{DeviceId, Nonce, Ref};
use popmesh_proto::identity::{Certificate, Charter, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::io::Entry;
use popmesh_proto::message::{Message, encode};
use popmesh_proto::record::StepKind;

use crate::node::{Node, exchange};

/// When the event was made, Unix milliseconds.
pub(crate) const EPOCH_MS: u64 = 1_790_000_000_000;

/// A device's key and certificate.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) secret: SecretKey,
    pub(crate) certificate: SignedCertificate,
}

impl Party {
    pub(crate) fn id(&self) -> DeviceId {
        self.certificate.device
    }
}

/// The event, who is in it, and the evening so far.
pub(crate) struct Event {
    pub(crate) root: SecretKey,
    pub(crate) charter: SignedCharter,
    pub(crate) hq: Party,
    /// Who is given the bytes.
    pub(crate) till: Party,
    /// Who has to agree with it.
    pub(crate) witness: Party,
    /// Admitted, and hostile: with every right that there is.
    pub(crate) mallory: Party,
    /// Admitted, and hostile: a till.
    pub(crate) mole: Party,
    /// Everything that was written, in an order in which it can be read back.
    pub(crate) evening: Vec<Entry>,
}

impl Event {
    pub(crate) fn parties(&self) -> [&Party; 5] {
        [&self.hq, &self.till, &self.witness, &self.mallory, &self.mole]
    }
}

/// The one event of all targets.
pub(crate) fn event() -> &'static Event {
    static EVENT: OnceLock<Event> = OnceLock::new();
    EVENT.get_or_init(Event::new)
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

impl Event {
    fn new() -> Self {
        let root = key(1);
        let charter = Charter {
            name: "Night market".to_owned(),
            currency: "EUR".parse().unwrap(),
            root: root.id(),
            created_ms: EPOCH_MS,
            nonce: Nonce([4; 16]),
        };
        let charter = SignedCharter::sign(charter, &root).unwrap();
        let party = |seed: u8, name: &str, roles: &str| {
            let secret = key(seed);
            let certificate = Certificate {
                device: secret.id(),
                name: name.to_owned(),
                roles: roles.parse().unwrap(),
                venue: "hall".parse().unwrap(),
                not_before_ms: EPOCH_MS,
                not_after_ms: EPOCH_MS + 86_400_000,
            };
            let certificate = SignedCertificate::sign(certificate, &root, &charter).unwrap();
            Party { secret, certificate }
        };
        let (hq, till) = (party(2, "hq", "hq,registrar"), party(3, "till", "pos,locker"));
        let (witness, mole) = (party(4, "witness", "pos,locker"), party(6, "mole", "pos"));
        let mallory = party(5, "mallory", "hq,pos,locker,encoder,registrar");
        let mut event = Self { root, charter, hq, till, witness, mallory, mole, evening: Vec::new() };
        event.evening = event.first_hours();
        event
    }

    /// Stock minted and shared out, and sales of each kind.
    fn first_hours(&self) -> Vec<Entry> {
        let mut nodes = [Node::open(self, &self.hq, &[], 0), Node::open(self, &self.till, &[], 0)];
        let [hq, till] = &mut nodes;
        for party in self.parties() {
            let hello = encode(&Message::Hello(party.certificate.bytes().to_vec().into()));
            hq.message(party.id(), hello.clone());
            till.message(party.id(), hello);
        }
        let (drop, sku) = (|| "night".parse().unwrap(), || "shirt".parse().unwrap());
        let name = "Shirt".to_owned();
        hq.done(Command::ProductAdd(ProductAdd { tax: Some(1900), ..ProductAdd::of(sku(), name, 2500) }));
        hq.done(Command::DropNew(DropNew::of(drop(), "Night".to_owned())));
        let mint = LotMint {
            drop: drop(),
            sku: sku(),
            first: 1,
            last: 40,
            numbered: true,
            place: None,
            edition: None,
        };
        hq.done(Command::LotMint(mint));
        hq.done(Command::step(drop(), StepKind::Open));
        for (to, units) in [(&self.till, 10), (&self.witness, 5), (&self.mallory, 5), (&self.mole, 5)] {
            let give = Transfer { drop: drop(), sku: sku(), units: Units::Count(units), to: to.id() };
            hq.done(Command::Transfer(give));
        }
        exchange(hq, till);
        let item = |quantity| vec![SellItem { sku: sku(), quantity, unit_price: None }];
        till.done(Command::Sell(Sell::of(item(1))));
        let pin = Some("4711".parse().unwrap());
        till.done(Command::Sell(Sell { pickup_at: Some(self.till.id()), pin, ..Sell::of(item(1)) }));
        let at_mallory = Sell { pickup_at: Some(self.mallory.id()), ..Sell::of(item(2)) };
        let claim = till.done(Command::Sell(at_mallory));
        assert!(matches!(claim, Reply::Sale(_)));
        let card = PaymentNew {
            tender: Tender::Card,
            amount: 2500,
            deferred: true,
            given: None,
            reference: Some("t-1".to_owned()),
        };
        till.done(Command::Sell(Sell { payments: vec![card], ..Sell::of(item(1)) }));
        let at_till = Sell { pickup_at: Some(self.till.id()), ..Sell::of(item(1)) };
        if let Reply::Sale(claim) = till.done(Command::Sell(at_till)) {
            till.done(Command::Redeem(Redeem::of(claim.claim)));
        }
        let cart = CartNew { items: item(1), drop: None, ttl_ms: 600_000, shopper: None, wait_ms: 0 };
        till.done(Command::CartNew(cart));
        exchange(hq, till);
        till.stored.clone()
    }

    /// All entries of the evening, by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Ref> {
        self.evening.iter().map(|entry| Ref { chain: entry.chain, seq: entry.seq })
    }
}
