//! Entries that each break one rule of authority, and are well-formed in all else; or one rule of admission.

use popmesh_crafted::{Author, Form, Prey, PreyClaim, Right, programme_chain, sign};
use popmesh_proto::Device;
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::identity::{Role, Roles, SecretKey, SignedCertificate};
use popmesh_proto::log::Chain;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Previous, Record};
use popmesh_proto::token::{Kind, Token, TokenItem};

use super::super::World;
use super::super::queue::NodeIndex;
use super::Crafted;

/// So many of a thousand entries break a rule of admission; the others of authority.
const OF_ADMISSION: u64 = 250;
/// So many of a thousand of its chains follow what its own program wrote in that document; the others follow nothing.
const FOLLOWS_OWN: u64 = 500;
/// Forms that are tried until one finds something to be about.
const TRIES: usize = 12;

impl World<'_> {
    /// What an adversary writes next, if there is anything to be written about.
    pub(super) fn craft(&mut self, node: NodeIndex) -> Option<Crafted> {
        let me = self.nodes[node].id;
        let roles = self.nodes[node].certificate.roles;
        let to = self.another(me)?;
        let mut prey = Prey::seen_by(self.nodes[node].device()?, &me);
        self.forge_token(node, &mut prey);
        if self.random.chance(OF_ADMISSION) {
            return self.craft_inadmissible(node, &prey, to);
        }
        for _ in 0..TRIES {
            let form = *self.random.pick(&Form::ALL)?;
            if !lacks_a_right(form, roles) {
                continue;
            }
            let crafted = match form {
                Form::Programme => self.craft_programme(node),
                Form::Start => self.craft_start(node, &me),
                _ => form.entry(&prey, to).and_then(|(document, body)| {
                    let mut author = self.author(node, &document)?;
                    let before = Some(author.clone());
                    let at = self.next_at(node, &author);
                    author.write(at, body);
                    let is_refused = needed(form).is_some() && form != Form::LiftLock;
                    Some(Crafted { what: format!("{form:?} in {document}"), before, author, is_refused })
                }),
            };
            if crafted.is_some() {
                return crafted;
            }
        }
        None
    }

    fn another(&mut self, me: DeviceId) -> Option<DeviceId> {
        let others: Vec<DeviceId> = self.ids.keys().copied().filter(|id| *id != me).collect();
        self.random.pick(&others).copied()
    }

    /// Its own chain in a document; begun, if it is not.
    fn author(&mut self, node: NodeIndex, document: &Document) -> Option<Author> {
        if let Some(author) = self.adversaries.authors.get(&(node, document.to_string())) {
            return Some(author.clone());
        }
        let follows = self.random.chance(FOLLOWS_OWN);
        let nonce = Nonce(self.random.bytes());
        let of = &self.nodes[node];
        let own = |chain: &&Chain| chain.device == of.id && chain.document == *document && !chain.has_ended();
        let end = of.device()?.log().chains().find(own).and_then(Chain::head);
        let end = end.map(|(chain, seq, hash)| Previous { chain: chain.id, seq, hash: *hash });
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let (secret, certificate) = (&of.secret, &of.certificate);
        Some(Author::begin(secret, certificate, document, at, nonce, end.filter(|_| follows)))
    }

    /// A time for the next entry of a chain: now, or right after the one before.
    fn next_at(&self, node: NodeIndex, author: &Author) -> Hlc {
        let now = Hlc::from_ms(self.clock(node).wall_ms);
        last_at(author).map_or(now, |last| now.max(Hlc(last.0 + 1)))
    }

    /// A token of its own making for a claim that waits elsewhere: it says that this device is to hand it out.
    fn forge_token(&self, node: NodeIndex, prey: &mut Prey) {
        let of = &self.nodes[node];
        let Some((waiting, device)) = prey.waiting.as_mut().zip(of.device()) else { return };
        // What it sold itself it may well issue tokens for.
        let seller = device.log().chain(&waiting.claim.chain).map(|chain| chain.device);
        if seller != Some(of.id) {
            let now_ms = self.clock(node).wall_ms;
            waiting.token = token(device, &of.secret, &of.certificate, waiting, now_ms);
        }
    }

    /// A change of the programme by who is no hq.
    fn craft_programme(&mut self, node: NodeIndex) -> Option<Crafted> {
        let Some(Answer::Export(files)) = self.ask(node, Query::Export) else { return None };
        let (_, file) = files.into_iter().find(|(name, _)| name.contains("programme"))?;
        let nonce = Nonce(self.random.bytes());
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let of = &self.nodes[node];
        let made = programme_chain(&of.secret, &of.certificate, at, nonce, &file, ("item-1", 1));
        made.ok().map(|author| Crafted {
            what: "a programme".to_owned(),
            before: None,
            author,
            is_refused: true,
        })
    }

    /// A chain that says it follows another device's.
    fn craft_start(&mut self, node: NodeIndex, me: &DeviceId) -> Option<Crafted> {
        let nonce = Nonce(self.random.bytes());
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let of = &self.nodes[node];
        let mut chains = of.device()?.log().chains();
        let other = chains.find(|chain| chain.device != *me && chain.document.drop().is_some())?;
        let (_, seq, hash) = other.head()?;
        let end = Previous { chain: other.id, seq, hash: *hash };
        let author =
            Author::begin(&of.secret, &of.certificate, &other.document.clone(), at, nonce, Some(end));
        let what = "a life after another's".to_owned();
        Some(Crafted { what, before: None, author, is_refused: false })
    }

    /// An entry that admission has to refuse, whoever wrote it.
    fn craft_inadmissible(&mut self, node: NodeIndex, prey: &Prey, to: DeviceId) -> Option<Crafted> {
        let with_body = |form: &Form| form.entry(prey, to);
        let forms: Vec<(Document, Body)> = Form::ALL.iter().filter_map(with_body).collect();
        let (document, body) = self.random.pick(&forms)?.clone();
        let how = self.random.below(3);
        let elsewhere = match &document {
            Document::Stock(drop) => Document::Claims(drop.clone()),
            Document::Claims(drop) => Document::Stock(drop.clone()),
            _ => Document::People,
        };
        let in_wrong_document = how == 2 && elsewhere != document;
        let mut author = self.author(node, if in_wrong_document { &elsewhere } else { &document })?;
        let at = match last_at(&author) {
            Some(last) if how == 1 => last,
            _ => self.next_at(node, &author),
        };
        author.write(at, body);
        let forger = SecretKey::from_seed(&self.random.bytes());
        let what = match how {
            _ if in_wrong_document => "in a wrong document",
            1 => "at the time of the one before",
            _ => {
                let hash = author.last?;
                let last = author.entries.last_mut()?;
                last.signature = Some(sign(&forger, &author.event, &author.document, &hash));
                "with another's key"
            }
        };
        Some(Crafted { what: format!("an entry {what}"), before: None, author, is_refused: true })
    }
}

fn last_at(author: &Author) -> Option<Hlc> {
    let last = author.entries.last()?;
    Some(Record::decode(&last.body).ok()?.at)
}

/// The roles of which an entry of this form needs one in its author's certificate; none if it needs other rights.
fn needed(form: Form) -> Option<&'static [Role]> {
    match form {
        Form::Retire | Form::Entrust => Some(&[Role::Registrar]),
        Form::Announce | Form::Open | Form::LastCall | Form::Close => Some(&[Role::Hq, Role::Encoder]),
        Form::Epoch | Form::EpochCopies => Some(&[Role::Hq, Role::Registrar]),
        _ if form.rights().contains(&Right::Role) => Some(&[Role::Hq]),
        _ => None,
    }
}

/// Whether an entry of this form about what others have is without right by a device of these roles.
fn lacks_a_right(form: Form, roles: Roles) -> bool {
    if let Some(needed) = needed(form) {
        return !needed.iter().any(|role| roles.has(*role));
    }
    let of_others = [Right::Holding, Right::Custody, Right::Own, Right::Heir, Right::Token];
    form.rights().iter().any(|right| of_others.contains(right))
}

fn token(
    device: &Device,
    secret: &SecretKey,
    certificate: &SignedCertificate,
    claim: &PreyClaim,
    now_ms: u64,
) -> Option<Vec<u8>> {
    let holdings = device.holdings();
    let (parcel, units) = claim.lines.first()?;
    let sku = holdings.lot(&holdings.parcel(parcel)?.lot)?.sku.clone();
    let token = Token {
        kind: Kind::Claim,
        claim: claim.claim,
        drop: claim.drop.clone(),
        items: vec![TokenItem { sku, units: units.clone() }],
        custodian: secret.id(),
        under: None,
        issued_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        pin: None,
    };
    let signed = token.sign(&popmesh_proto::identity::Ed25519, secret, certificate).ok()?;
    Some(signed.bytes().to_vec())
}
