//! A table of what must count for nothing: for everything that an entry can do, and each right that this takes, an entry by a
//! device that is admitted and lacks just that right. No view changes by it, neither where it comes in nor at a third device,
//! and what the rules say happens: it is refused at admission, ignored, or an incident. Beside each row the same entry by who
//! has the right changes the view, so that no row holds for another reason.
//!
//! The table is made from [`Form`]: a kind of record that is none of them does not compile, a form without a row fails.

mod forked;
mod lacking;
mod stage;
mod views;

use popmesh_crafted::shown::differences;
use popmesh_crafted::{EVERYBODY, Form, Right};
use popmesh_proto::fact::Fact;
use popmesh_proto::id::{DeviceId, Ref};

use self::lacking::{At, Becomes, Crafted};
use self::stage::{DESK, Stage, TILL};
use self::views::{Incidents, Views, incidents, views};

/// What the rules say becomes of an entry of a form whose author lacks a right.
fn becomes(form: Form, right: Right) -> Becomes {
    use Becomes::{Ignored, Incident, Refused};
    match (form, right) {
        (_, Right::Certificate | Right::Chain | Right::Time | Right::Document) => Refused,
        (_, Right::Proof | Right::Issuer | Right::Once) => Refused,
        // Whom an hq's word unlocks is for who hears of it.
        (Form::LiftLock, Right::Role) => Ignored,
        (_, Right::Role) => Refused,
        (_, Right::Given) => Incident("NoRight"),
        (Form::RedeemByToken, Right::Custody | Right::Drop) => Refused,
        (Form::SettlePayment, Right::Own) => Incident("Payment"),
        (Form::TakeOverClaim, Right::Heir) => Incident("ClaimUsedTwice"),
        (_, Right::Custody | Right::Standing | Right::Claimed | Right::Token) => Incident("ClaimUsedTwice"),
        (_, Right::Heir | Right::Holding) => Incident("NotHeld"),
        (
            Form::PassOn
            | Form::PassOnHandedOut
            | Form::TakeOverClaim
            | Form::Redeem
            | Form::Refund
            | Form::TakeBack
            | Form::Expire,
            Right::Drop,
        ) => Incident("ClaimUsedTwice"),
        (Form::RequestRefund | Form::Receive | Form::Release | Form::SettlePayment, Right::Drop) => Ignored,
        (_, Right::Drop) => Incident("NotHeld"),
        (Form::DoorOpened | Form::DoorStuck | Form::DoorSettled, Right::Own) => Incident("NotHeld"),
        (_, Right::Own) => Ignored,
        (form, Right::NotRetired) => match form {
            Form::Retire | Form::RetireByGift | Form::Entrust | Form::EntrustByGift => Incident("NoRight"),
            // They say nothing that anybody could have relied on.
            Form::Start
            | Form::Receive
            | Form::Hold
            | Form::Release
            | Form::RequestRefund
            | Form::RetireCut
            | Form::Leave
            | Form::Return => Ignored,
            _ => Incident("AfterRetirement"),
        },
    }
}

/// What both that look on show.
struct Shown {
    views: [Views; 2],
    incidents: [Incidents; 2],
}

fn shown(stage: &mut Stage, author: DeviceId) -> Shown {
    let world = &mut stage.world;
    Shown {
        views: [DESK, TILL].map(|at| views(world, at, author)),
        incidents: [DESK, TILL].map(|at| incidents(world, at)),
    }
}

/// Hands in what is to count for nothing, and says what is wrong with what comes of it.
fn counts_for_nothing(stage: &mut Stage, form: Form, right: Right, crafted: &Crafted) -> Vec<String> {
    let row = format!("{form:?} without {right:?}: {}", crafted.what);
    let (author, known) = crafted.chain(stage);
    let faults = [DESK, TILL].map(|at| stage.world.faults(at).len());
    let facts = stage.world.facts.len();
    let before = shown(stage, author.id());
    stage.hand(&author, known);
    let after = shown(stage, author.id());
    let last = author.entries.last().unwrap();
    let mut problems = Vec::new();
    for (number, at) in [DESK, TILL].into_iter().enumerate() {
        let differs = differences(&before.views[number], &after.views[number]);
        if !differs.is_empty() {
            problems.push(format!("{row}: at {at} it changes\n  {}", differs.join("\n  ")));
        }
        let log = stage.world.nodes[at].device.as_ref().unwrap().log();
        let is_here = log.chain(&last.chain).and_then(|chain| chain.body(last.seq)) == Some(&last.body[..]);
        let incidents = |of: &Shown, but: &Shown| -> Vec<(Ref, String)> {
            of.incidents[number].difference(&but.incidents[number]).cloned().collect()
        };
        let (new, gone) = (incidents(&after, &before), incidents(&before, &after));
        let entry = Ref { chain: last.chain, seq: last.seq };
        let is_told = match becomes(form, right) {
            // Not for lack of what comes before it, which is nobody's fault.
            Becomes::Refused => !is_here && new.is_empty() && stage.world.faults(at).len() > faults[number],
            Becomes::Ignored => is_here && new.is_empty(),
            Becomes::Incident(kind) => {
                let told = stage.world.facts.iter().skip(facts).filter(|(by, fact)| {
                    *by == at && matches!(fact, Fact::Incident { entry: of, .. } if *of == entry)
                });
                is_here && new == [(entry, kind.to_owned())] && told.count() == 1
            }
        };
        if !is_told || !gone.is_empty() {
            let wanted = becomes(form, right);
            problems.push(format!(
                "{row}: at {at} it is not {wanted:?}: in the log: {is_here}, incidents {new:?}, gone {gone:?}"
            ));
        }
    }
    stage.world.converge(10_000);
    if becomes(form, right) != Becomes::Refused
        && let At::Next(who, document, _) | At::NextLife(who, _, document, _) = &crafted.at
    {
        stage.goes_on(*who, document, author);
    }
    // It goes on under a certificate that holds.
    if let At::NextLife(who, _, document, _) = &crafted.at {
        let certificate = stage.certificate(*who);
        stage.next_life(*who, &certificate, document);
    }
    problems
}

/// The same by who has the right: a view changes, and nothing is wrong with it.
fn counts_by_right(stage: &mut Stage, form: Form) -> Vec<String> {
    let crafted = lacking::by_right(stage, form);
    let (author, known) = crafted.chain(stage);
    let before = shown(stage, author.id());
    stage.hand(&author, known);
    let after = shown(stage, author.id());
    let differs = differences(&before.views[0], &after.views[0]);
    let what = crafted.what;
    let new = |number: usize| after.incidents[number].difference(&before.incidents[number]).count();
    let mut problems = Vec::new();
    // A proof of two histories is an incident itself.
    if form != Form::Fork && new(0) + new(1) > 0 {
        problems.push(format!("{what}: it is wrong {:?}", after.incidents[0]));
    }
    let changes = match form {
        // An incident is none any more.
        Form::Resolve => before.incidents[0].len() == after.incidents[0].len() + 1,
        // Alone it says nothing.
        Form::RetireCut => differs.is_empty(),
        _ => !differs.is_empty(),
    };
    if !changes {
        problems.push(format!("{what}: it does not do what it says: {differs:?}"));
    }
    problems
}

/// All rows of a form.
fn rows(form: Form) {
    let mut stage = Stage::new();
    let mut problems = Vec::new();
    for right in EVERYBODY.into_iter().filter(|right| *right != Right::NotRetired) {
        for crafted in lacking::lacking_what_all_take(&mut stage, form, right) {
            problems.extend(counts_for_nothing(&mut stage, form, right, &crafted));
        }
    }
    // Whatever was tried, who has the right is heard.
    problems.extend(counts_by_right(&mut stage, form));
    for right in form.rights() {
        let mut stage = Stage::new();
        let rows = lacking::lacking(&mut stage, form, *right);
        assert!(!rows.is_empty(), "{form:?} without {right:?} has a row");
        for crafted in rows {
            problems.extend(counts_for_nothing(&mut stage, form, *right, &crafted));
        }
        // What had to happen before may have used it up.
        let is_used_up = matches!(right, Right::Standing | Right::Custody | Right::Given);
        if !is_used_up {
            problems.extend(counts_by_right(&mut stage, form));
        }
    }
    if form.takes(Right::NotRetired) {
        problems.extend(retired(form));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Who was retired: what it writes then counts for nothing, whether it comes before its retirement or after.
fn retired(form: Form) -> Vec<String> {
    let mut stage = Stage::new();
    let crafted = lacking::after_retirement(&mut stage, form);
    stage.tell();
    let (author, known) = crafted.clone().chain(&mut stage);
    let late = Crafted { at: At::EndOf(author, known), ..crafted };
    let mut problems = counts_for_nothing(&mut stage, form, Right::NotRetired, &late);
    let (author, _) = late.chain(&mut stage);
    let after = shown(&mut stage, author.id());

    let mut other = Stage::new();
    let crafted = lacking::after_retirement(&mut other, form);
    let (author, known) = crafted.chain(&mut other);
    other.world.cut(DESK, TILL);
    other.hand_to(TILL, &author, known);
    other.tell_desk();
    other.hand_to(DESK, &author, known);
    other.world.link(DESK, TILL);
    other.world.converge(10_000);
    let first = shown(&mut other, author.id());
    let differs = differences(&after.views[1], &first.views[1]);
    if !differs.is_empty() {
        problems.push(format!("{form:?} before the retirement is heard of:\n  {}", differs.join("\n  ")));
    }
    if after.incidents[1] != first.incidents[1] {
        let (after, first) = (&after.incidents[1], &first.incidents[1]);
        problems.push(format!("{form:?} before the retirement is heard of: {first:?}, and not {after:?}"));
    }
    problems
}

/// A test for each form, and one that there is one for each.
macro_rules! table {
    ($($name:ident: $form:ident,)*) => {
        $(
            #[test]
            fn $name() {
                rows(Form::$form);
            }
        )*

        #[test]
        fn every_form_has_its_rows() {
            assert_eq!(Form::ALL.to_vec(), [$(Form::$form),*]);
            let mut forms = Form::ALL.to_vec();
            forms.sort();
            forms.dedup();
            assert_eq!(forms.len(), Form::ALL.len());
        }
    };
}

table! {
    start: Start,
    mint: Mint,
    give: Give,
    give_cart: GiveCart,
    give_leaving: GiveLeaving,
    give_for_wish: GiveForWish,
    receive: Receive,
    move_: Move,
    damage: Damage,
    sell: Sell,
    sell_for_pickup: SellForPickup,
    pass_on: PassOn,
    pass_on_handed_out: PassOnHandedOut,
    take_over_claim: TakeOverClaim,
    redeem: Redeem,
    redeem_by_token: RedeemByToken,
    refund: Refund,
    take_back: TakeBack,
    expire: Expire,
    request_refund: RequestRefund,
    hold: Hold,
    release: Release,
    wrong_pin: WrongPin,
    unlock: Unlock,
    lift_lock: LiftLock,
    retire: Retire,
    retire_by_gift: RetireByGift,
    retire_cut: RetireCut,
    entrust: Entrust,
    entrust_by_gift: EntrustByGift,
    inherit: Inherit,
    fork: Fork,
    resolve: Resolve,
    renew: Renew,
    leave: Leave,
    return_: Return,
    door_opened: DoorOpened,
    door_stuck: DoorStuck,
    door_settled: DoorSettled,
    settle_payment: SettlePayment,
    opt_in: OptIn,
    contact: Contact,
    note: Note,
    waitlist: Waitlist,
    erase: Erase,
    erase_shopper: EraseShopper,
    epoch: Epoch,
    epoch_copies: EpochCopies,
    announce: Announce,
    open: Open,
    last_call: LastCall,
    close: Close,
    programme: Programme,
}
