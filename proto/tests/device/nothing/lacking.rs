//! The rows: for each form and each right that it takes, the same entry by whoever lacks just that.

use popmesh_crafted::{Author, Form, Prey, PreyClaim, Right, programme_chain};
use popmesh_proto::document::Document;
use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Certificate, Role, SignedCertificate};
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::record::{Body, Custody, Entrust, Record, Start};
use popmesh_proto::units::UnitSet;

use super::stage::{DESK, Stage, Who, claims, elsewhere};
use crate::world::{EPOCH_MS, VALID_MS};

/// An entry that is handed in.
#[derive(Debug, Clone)]
pub(super) struct Crafted {
    pub(super) what: String,
    pub(super) at: At,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// At the end of a chain, the first so many entries of which are known.
    EndOf(Author, usize),
    /// At the end of what somebody has written in a document, whatever that is by then.
    Next(Who, Document, Body),
    /// The same in a life that begins for it under this certificate; under one that ends before the entry if there is none.
    NextLife(Who, Option<SignedCertificate>, Document, Body),
}

impl Crafted {
    fn end_of(what: &str, author: Author, known: usize) -> Self {
        Self { what: what.to_owned(), at: At::EndOf(author, known) }
    }

    /// The chain, and how much of it is known.
    pub(super) fn chain(&self, stage: &mut Stage) -> (Author, usize) {
        let (who, document, body) = match &self.at {
            At::EndOf(author, known) => return (author.clone(), *known),
            At::Next(who, document, body) => (*who, document, body),
            At::NextLife(who, certificate, document, body) => {
                let certificate = certificate.clone().unwrap_or_else(|| stage.ends_now(*who));
                stage.next_life(*who, &certificate, document);
                (*who, document, body)
            }
        };
        let (mut body, at) = (body.clone(), stage.next_at());
        match &mut body {
            Body::Sale(sale) => sale.receipt = stage.receipt(who),
            Body::Refund(refund) => refund.receipt = stage.receipt(who),
            _ => {}
        }
        let mut author = stage.chain(who, document).clone();
        let known = author.entries.len();
        author.write(at, body);
        (author, known)
    }
}

/// What the rules say becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// Not admitted: it is in no log.
    Refused,
    /// In the log, and nobody is told.
    Ignored,
    /// In the log, and an incident of this kind.
    Incident(&'static str),
}

/// Who has the rights.
pub(super) fn rightful(form: Form) -> Who {
    match form {
        Form::Start => Who::Newcomer,
        Form::Mint | Form::Resolve | Form::Renew | Form::Epoch | Form::EpochCopies | Form::LiftLock => {
            Who::Chief
        }
        Form::RetireByGift | Form::EntrustByGift | Form::Programme => Who::Chief,
        Form::Give | Form::GiveCart | Form::GiveLeaving | Form::GiveForWish => Who::Holder,
        Form::Move | Form::Damage | Form::Sell | Form::SellForPickup | Form::Hold | Form::Release => {
            Who::Holder
        }
        Form::SettlePayment | Form::Erase | Form::EraseShopper => Who::Holder,
        Form::Receive => Who::Other,
        Form::PassOn | Form::PassOnHandedOut | Form::Redeem | Form::RedeemByToken => Who::Locker,
        Form::Refund | Form::TakeBack | Form::Expire | Form::Unlock => Who::Locker,
        Form::DoorOpened | Form::DoorStuck | Form::DoorSettled => Who::Locker,
        Form::RequestRefund | Form::WrongPin | Form::Leave | Form::Fork => Who::Mallory,
        // It has left.
        Form::Return => Who::Giver,
        Form::OptIn | Form::Contact | Form::Note | Form::Waitlist => Who::Mallory,
        Form::Retire | Form::Entrust | Form::RetireCut | Form::TakeOverClaim | Form::Inherit => Who::Boss,
        Form::Announce | Form::Open | Form::LastCall | Form::Close => Who::Encoder,
    }
}

/// What each form is about, other than what the stage has ready.
pub(super) fn prey(stage: &Stage, form: Form) -> Prey {
    let mut prey = stage.prey.clone();
    match form {
        // The locker's own lock.
        Form::Unlock | Form::WrongPin => {
            let (_, claim, _) = prey.lock.clone().unwrap();
            prey.waiting = prey.waiting.map(|waiting| PreyClaim { claim, ..waiting });
        }
        Form::Renew => {
            let issued = issued(stage, Who::Chief, Who::Holder);
            prey.certificate = Some(issued.bytes().to_vec());
        }
        Form::Fork => prey.fork = Some(super::forked::fork(stage, Who::Encoder, None)),
        _ => {}
    }
    prey
}

/// A certificate that `by` signs for another, for longer than the one that it has.
fn issued(stage: &Stage, by: Who, of: Who) -> SignedCertificate {
    let issuer = stage.certificate_for(by, 4 * VALID_MS);
    let known = stage.certificate(of);
    let longer = Certificate { not_after_ms: EPOCH_MS + 3 * VALID_MS, ..(*known).clone() };
    SignedCertificate::sign_as(longer, &by.secret(), &issuer, &stage.world.charter).unwrap()
}

/// The document and the record that a form writes, as its rightful author writes it.
pub(super) fn entry(form: Form, prey: &Prey, who: Who) -> (Document, Body) {
    let to = match form {
        // Whoever takes over a claim takes it for itself.
        Form::TakeOverClaim => who,
        Form::Leave | Form::Entrust | Form::EntrustByGift => Who::Boss,
        _ => Who::Giver,
    };
    let (document, body) = form.entry(prey, to.id()).unwrap_or_else(|| panic!("no prey for {form:?}"));
    assert_eq!(Form::of(&body), form, "the entry is what its row says");
    (document, body)
}

/// The programme as the desk has it.
fn programme(stage: &mut Stage) -> Vec<u8> {
    let Answer::Export(files) = stage.world.query(DESK, Query::Export) else { panic!("no export") };
    files.into_iter().find(|(name, _)| name.contains("programme")).expect("a programme").1
}

/// The entry by who has every right.
pub(super) fn by_right(stage: &mut Stage, form: Form) -> Crafted {
    let who = rightful(form);
    let author = match form {
        Form::Start => {
            let (at, certificate) = (stage.next_at(), stage.certificate(who));
            Author::begin(&who.secret(), &certificate, &claims(), at, Nonce([3; 16]), None)
        }
        Form::Programme => {
            let (at, file) = (stage.next_at(), programme(stage));
            let certificate = stage.certificate(who);
            programme_chain(&who.secret(), &certificate, at, Nonce([3; 16]), &file, ("shirt", 100)).unwrap()
        }
        _ => return done_by(form, &prey(stage, form), who, "by right"),
    };
    Crafted::end_of(&format!("{form:?} by right"), author, 0)
}

/// The form done to a prey by somebody, at the end of that one's chain.
fn done_by(form: Form, prey: &Prey, who: Who, what: &str) -> Crafted {
    let (document, body) = entry(form, prey, who);
    Crafted { what: format!("{form:?} {what}, by {who:?}"), at: At::Next(who, document, body) }
}

/// Entries that lack what every entry takes, but for not having been retired; each alone.
pub(super) fn lacking_what_all_take(stage: &mut Stage, form: Form, right: Right) -> Vec<Crafted> {
    let who = rightful(form);
    let (good, known) = by_right(stage, form).chain(stage);
    match right {
        Right::Certificate if matches!(form, Form::Start | Form::Programme) => {
            let ended = stage.certificate_for(who, 1_000);
            let author = match form {
                Form::Start => {
                    let at = stage.next_at();
                    Author::begin(&who.secret(), &ended, &claims(), at, Nonce([4; 16]), None)
                }
                _ => {
                    let (at, file) = (stage.next_at(), programme(stage));
                    let nonce = Nonce([4; 16]);
                    programme_chain(&who.secret(), &ended, at, nonce, &file, ("shirt", 100)).unwrap()
                }
            };
            vec![Crafted::end_of("after its certificate", author, 0)]
        }
        Right::Certificate => {
            let (document, body) = entry(form, &prey(stage, form), who);
            let what = format!("{form:?} after its certificate");
            vec![Crafted { what, at: At::NextLife(who, None, document, body) }]
        }
        // Signed with a key that is not the chain's.
        Right::Chain => {
            let mut forged = good;
            // Linked as it should be, under the chain's own id.
            let hash = forged.last.unwrap();
            let forger = Who::Mallory.secret();
            let forger = if who == Who::Mallory { Who::Other.secret() } else { forger };
            let forgery = popmesh_crafted::sign(&forger, &forged.event, &forged.document, &hash);
            forged.entries[known].signature = Some(forgery);
            vec![Crafted::end_of("with another's key", forged, known)]
        }
        Right::Time => {
            // What begins a chain comes after nothing.
            let Some(before) = known.checked_sub(1) else { return Vec::new() };
            let (document, body) = entry(form, &prey(stage, form), who);
            let mut author = stage.chain(who, &document).clone();
            let before = Record::decode(&author.entries[before].body).unwrap().at;
            author.write(before, body);
            vec![Crafted::end_of("at the time of the one before", author, known)]
        }
        Right::Document => wrong_documents(stage, form),
        _ => unreachable!("{right:?} is looked at elsewhere"),
    }
}

/// By its rightful author, in each document that it does not belong to.
fn wrong_documents(stage: &mut Stage, form: Form) -> Vec<Crafted> {
    let who = rightful(form);
    let all = [super::stage::stock(), claims(), Document::Devices, Document::People];
    if form == Form::Programme {
        // The change, where records are.
        let body = by_right(stage, form).chain(stage).0.entries[0].body.clone();
        let in_document = |stage: &mut Stage, document: Document| {
            let at = stage.next_at();
            let mut author = stage.chain(who, &document).clone();
            let known = author.entries.len();
            author.append(at, body.clone());
            Crafted::end_of(&format!("a change of the programme in {document}"), author, known)
        };
        return all.into_iter().map(|document| in_document(stage, document)).collect();
    }
    if form == Form::Start {
        // A record cannot begin the programme, and none can be a second start.
        let at = stage.next_at();
        let certificate = stage.certificate(who);
        let of = |document: &Document, nonce: u8| Start {
            document: document.clone(),
            certificate: certificate.bytes().to_vec(),
            nonce: Nonce([nonce; 16]),
            previous: None,
        };
        let event = certificate.event();
        let mut first = Author::unbegun(&who.secret(), event, &Document::Programme, Nonce([5; 16]));
        first.write(at, Body::Start(of(&Document::Programme, 5)));
        let mut other = Author::unbegun(&who.secret(), event, &claims(), Nonce([6; 16]));
        other.write(at, Body::Start(of(&super::stage::stock(), 6)));
        let holder = Who::Holder;
        let again = Start { certificate: stage.certificate(holder).bytes().to_vec(), ..of(&claims(), 7) };
        let second =
            Crafted { what: "a second start".to_owned(), at: At::Next(holder, claims(), Body::Start(again)) };
        let crafted = |what: &str, author| Crafted::end_of(what, author, 0);
        return vec![
            crafted("a record that begins the programme", first),
            crafted("a start that is signed for another document", other),
            second,
        ];
    }
    let (right, body) = entry(form, &prey(stage, form), who);
    let mut crafted = Vec::new();
    for document in all.into_iter().filter(|document| *document != right) {
        let what = format!("in {document}");
        crafted.push(Crafted { what, at: At::Next(who, document, body.clone()) });
    }
    crafted
}

/// Rows in which a device lacks a right that not everything takes. What has to happen before is played on the stage.
#[allow(clippy::too_many_lines, reason = "one arm for each row of a table")]
pub(super) fn lacking(stage: &mut Stage, form: Form, right: Right) -> Vec<Crafted> {
    let who = rightful(form);
    let prey = prey(stage, form);
    let (mallory, giver) = (Who::Mallory, Who::Giver);
    match (form, right) {
        (Form::Programme, Right::Role) => {
            let mut all = Vec::new();
            for (number, (role, certificate)) in (50..).zip(roles_without(stage, &[Role::Hq])) {
                let (at, file, nonce) = (stage.next_at(), programme(stage), Nonce([number; 16]));
                let product = ("shirt", 100);
                let author =
                    programme_chain(&mallory.secret(), &certificate, at, nonce, &file, product).unwrap();
                all.push(Crafted::end_of(&format!("by a {role}"), author, 0));
            }
            all
        }
        (_, Right::Role) => {
            let needs: &[Role] = match form {
                Form::Retire | Form::Entrust => &[Role::Registrar],
                Form::Announce | Form::Open | Form::LastCall | Form::Close => &[Role::Hq, Role::Encoder],
                Form::Epoch | Form::EpochCopies => &[Role::Hq, Role::Registrar],
                _ => &[Role::Hq],
            };
            let (document, body) = entry(form, &prey, who);
            let crafted = |(role, certificate): (Role, _)| Crafted {
                what: format!("{form:?} by a {role}"),
                at: At::NextLife(mallory, Some(certificate), document.clone(), body.clone()),
            };
            roles_without(stage, needs).into_iter().map(crafted).collect()
        }
        (Form::Inherit, Right::Holding) => {
            // The heir takes what the retired device did not hold.
            let (retirement, _, _) = prey.retirement.clone().unwrap();
            let units = prey.units.clone();
            let taken = Prey { retirement: Some((retirement, units, None)), ..prey };
            vec![done_by(form, &taken, who, "of what a living device holds")]
        }
        (_, Right::Holding) => {
            let mut beyond = prey.clone();
            beyond.units.as_mut().unwrap().units = UnitSet::range(41, 43);
            vec![
                done_by(form, &prey, mallory, "of what another holds"),
                done_by(form, &beyond, who, "of units that its parcel never had"),
            ]
        }
        (_, Right::Drop) => {
            let (document, body) = entry(form, &prey, who);
            let other = elsewhere(&document).unwrap();
            // The chain there is begun before, and is no news.
            stage.chain(who, &other);
            stage.tell();
            let what = "in the documents of another drop".to_owned();
            vec![Crafted { what, at: At::Next(who, other, body) }]
        }
        (_, Right::Once) => {
            let (document, mut body) = entry(form, &prey, who);
            twice(&mut body);
            vec![Crafted {
                what: format!("{form:?} of a unit in two lines"),
                at: At::Next(who, document, body),
            }]
        }
        (Form::RedeemByToken, Right::Custody) => {
            vec![done_by(form, &prey, mallory, "by a token that names another custodian")]
        }
        (Form::RedeemByToken, Right::Token) => {
            // It issues the token itself, and names itself.
            let waiting = prey.waiting.clone().unwrap();
            let token = stage.token(mallory, &waiting, mallory.id());
            let forged = Prey { waiting: Some(PreyClaim { token: Some(token), ..waiting }), ..prey };
            vec![done_by(form, &forged, mallory, "by a token of its own making")]
        }
        (_, Right::Custody) => custody_of_others(stage, form, &prey),
        (_, Right::Standing) => does_not_stand_so(stage, form, prey),
        (_, Right::Claimed) => {
            let mut beyond = prey;
            for claim in [&mut beyond.waiting, &mut beyond.handed_out].into_iter().flatten() {
                claim.lines[0].1 = UnitSet::range(16, 16);
            }
            vec![done_by(form, &beyond, who, "of a unit that is not in the claim")]
        }
        (Form::Start, Right::Own) => {
            // It says that another's life ended before it, or was its own.
            let previous = stage.chain(Who::Holder, &claims()).end();
            let (at, certificate) = (stage.next_at(), stage.certificate(mallory));
            let (secret, nonce) = (mallory.secret(), Nonce([9; 16]));
            let author = Author::begin(&secret, &certificate, &claims(), at, nonce, previous);
            vec![Crafted::end_of("after another device's life", author, 0)]
        }
        (Form::Unlock, Right::Own) => {
            vec![done_by(form, &prey, mallory, "of what is locked elsewhere")]
        }
        (Form::Receive, Right::Own) => {
            vec![
                done_by(form, &prey, mallory, "of what was given to another"),
                done_by(form, &prey, Who::Chief, "of what it gave itself"),
            ]
        }
        (_, Right::Own) => vec![done_by(form, &prey, mallory, "of what is another's")],
        (Form::TakeOverClaim | Form::Inherit, Right::Heir) => {
            let mut by_gift = prey.clone();
            by_gift.retirement.as_mut().unwrap().0 = prey.right.unwrap();
            vec![
                done_by(form, &prey, Who::Chief, "of a device that another has retired"),
                done_by(form, &by_gift, who, "by what is no retirement"),
            ]
        }
        (Form::Retire | Form::Entrust, Right::Given) => {
            vec![done_by(form, &prey, giver, "after it gave the right away")]
        }
        (Form::RetireByGift | Form::EntrustByGift, Right::Given) => {
            let stolen = done_by(form, &prey, giver, "by a gift to another");
            // Then it gives the right on.
            let entrust = Entrust { to: Who::Boss.id(), under: prey.right };
            stage.write(Who::Chief, &Document::Devices, Body::Entrust(entrust));
            stage.tell();
            vec![stolen, done_by(form, &prey, Who::Chief, "after it gave on what it was given")]
        }
        (Form::Fork, Right::Proof) => {
            let forged = super::forked::fork(stage, Who::Encoder, Some(&mallory.secret()));
            let same = super::forked::one_history_twice(stage, Who::Encoder);
            let with = |fork| Prey { fork: Some(fork), ..Prey::default() };
            vec![
                done_by(form, &with(forged), who, "that others have signed"),
                done_by(form, &with(same), who, "of one history"),
            ]
        }
        (Form::Renew, Right::Issuer) => {
            let by_organiser = stage.certificate_for(Who::Holder, 5 * VALID_MS).bytes().to_vec();
            let of_organiser = Prey { certificate: Some(by_organiser), ..Prey::default() };
            vec![
                done_by(form, &prey, Who::Boss, "of what another has signed"),
                done_by(form, &of_organiser, who, "of what the organiser has signed"),
            ]
        }
        _ => panic!("no row for {form:?} without {right:?}"),
    }
}

/// Has a record name units of one parcel in two lines that overlap.
fn twice(body: &mut Body) {
    fn again<T: Clone>(lines: &mut Vec<T>) {
        lines.extend(lines.clone());
    }
    match body {
        Body::Transfer(transfer) => again(&mut transfer.lines),
        Body::Move(moved) => again(&mut moved.lines),
        Body::Damage(damage) => again(&mut damage.lines),
        Body::Inherit(inherit) => again(&mut inherit.lines),
        Body::Refund(refund) => again(&mut refund.lines),
        Body::Sale(sale) => again(&mut sale.lines),
        Body::Hold(hold) => again(&mut hold.lines),
        _ => panic!("no lines"),
    }
}

/// Certificates of one till for each role but those that would do.
fn roles_without(stage: &Stage, needs: &[Role]) -> Vec<(Role, SignedCertificate)> {
    let secret = Who::Mallory.secret();
    let certificate =
        |role: Role| stage.world.certify(&secret, "mallory", role.name(), "hall", (0, VALID_MS));
    Role::ALL.into_iter().filter(|role| !needs.contains(role)).map(|role| (role, certificate(role))).collect()
}

/// By who never had custody, and by who has given it away, under each record that could be named.
fn custody_of_others(stage: &mut Stage, form: Form, prey: &Prey) -> Vec<Crafted> {
    let who = rightful(form);
    let never = done_by(form, prey, Who::Mallory, "of what is in another's custody");
    let handed_out = matches!(form, Form::PassOnHandedOut | Form::TakeBack);
    let claim = if handed_out { prey.handed_out.clone() } else { prey.waiting.clone() }.unwrap();
    let custody =
        Custody { handed_out: claim.handed_out, ..Custody::of(claim.claim, claim.under, Who::Other.id()) };
    let given = stage.write(who, &claims(), Body::Custody(custody));
    stage.tell();
    let before = done_by(form, prey, who, "of what it has given away");
    let mut under = prey.clone();
    for claim in [&mut under.waiting, &mut under.handed_out].into_iter().flatten() {
        claim.under = given;
    }
    let after = done_by(form, &under, who, "by what made another the custodian");
    vec![never, before, after]
}

/// By the custodian, of a claim that stands otherwise.
fn does_not_stand_so(stage: &mut Stage, form: Form, prey: Prey) -> Vec<Crafted> {
    let who = rightful(form);
    let waiting = prey.waiting.clone().unwrap();
    match form {
        Form::PassOnHandedOut | Form::TakeBack => {
            // It names what handed another claim out.
            let named = prey.handed_out.as_ref().and_then(|claim| claim.handed_out);
            let never = PreyClaim { handed_out: named, ..waiting };
            let never = Prey { handed_out: Some(never), ..prey };
            vec![done_by(form, &never, who, "of what was never handed out")]
        }
        Form::Redeem | Form::RedeemByToken => {
            let back =
                Prey { waiting: Some(PreyClaim { token: waiting.token.clone(), ..waiting.clone() }), ..prey };
            stage.refund(who, &waiting);
            stage.tell();
            vec![done_by(form, &back, who, "of what was paid back")]
        }
        _ => {
            let Body::Redeem(redeem) = Form::Redeem.entry(&prey, who.id()).unwrap().1 else { unreachable!() };
            stage.write(who, &claims(), Body::Redeem(redeem));
            stage.tell();
            vec![done_by(form, &prey, who, "of what was handed out")]
        }
    }
}

/// By the rightful author after it was retired, which is not told yet.
pub(super) fn after_retirement(stage: &mut Stage, form: Form) -> Crafted {
    let who = rightful(form);
    match form {
        Form::Start => {
            // Of a device that is known.
            let mallory = Who::Mallory;
            stage.retire(mallory);
            let document = elsewhere(&claims()).unwrap();
            let (at, certificate) = (stage.next_at(), stage.certificate(mallory));
            let (secret, nonce) = (mallory.secret(), Nonce([8; 16]));
            let author = Author::begin(&secret, &certificate, &document, at, nonce, None);
            Crafted::end_of("a life of a retired device", author, 0)
        }
        Form::Programme => {
            stage.retire(who);
            by_right(stage, form)
        }
        _ => {
            let prey = prey(stage, form);
            stage.retire(who);
            done_by(form, &prey, who, "after its retirement")
        }
    }
}
