//! What is written is read back the same, in one form only, and no bytes make a reader panic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::Tender;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, DeviceId, EventId, Hash, Nonce, ReceiptHash, Ref};
use popmesh_proto::identity::{
    Certificate, Charter, Enrolment, Role, Roles, SecretKey, Signature, SignedCertificate, SignedCharter,
};
use popmesh_proto::key::CommandKey;
use popmesh_proto::log::{Bodies, Range, Vouch};
use popmesh_proto::message::{
    Ask, AskCart, AskClaim, AskEntries, AskPast, AskSealed, Compare, Decline, Entries, Frontier, Gossip,
    Head, Heard, HeardOf, Knows, Mail, Message, Past, Presence, Proof, Rate, SealedPart, SealedParts, Seen,
    Since, Wish, decode, encode,
};
use popmesh_proto::payment::{Back, BackPart, Payment, PaymentSettled, Payments};
use popmesh_proto::pin::{EpochMark, PinTag};
use popmesh_proto::receipt::ReceiptLink;
use popmesh_proto::record::{
    Announced, Aside, Behaved, Body, Cause, Consent, Custody, Damage, Door, Entrust, Epoch, EpochCopies,
    EpochCopy, Erase, Hold, Inherit, Leave, Line, Mint, Move, Personal, PersonalKind, Previous, Received,
    Record, Redeem, Refund, RefundRequest, Release, Renewal, Resolve, Retire, RetireCut, Sale, SaleLine,
    Start, Step, StepKind, Transfer, Unlock, WrongPin,
};
use popmesh_proto::tax::{Prices, RateTax, Taxes};
use popmesh_proto::text::{Compartment, DropId, Edition, Place, ShopperRef, Sku};
use popmesh_proto::units::UnitSet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9ä._-]{1,40}"
}

fn sku() -> impl Strategy<Value = Sku> {
    name().prop_map(|name| name.parse().unwrap())
}

fn edition() -> impl Strategy<Value = Edition> {
    "[a-zA-Z0-9ä._-]{1,20}".prop_map(|word| word.parse().unwrap())
}

fn place() -> impl Strategy<Value = Place> {
    let in_device = ("[a-zA-Z0-9ä._-]{1,20}", compartment()).prop_map(|(name, of)| format!("{name}/{of}"));
    prop_oneof![name(), in_device].prop_map(|name| name.parse().unwrap())
}

fn compartment() -> impl Strategy<Value = Compartment> {
    "[a-zA-Z0-9ä][a-zA-Z0-9ä._-]{0,11}".prop_map(|name| name.parse().unwrap())
}

fn redeem() -> impl Strategy<Value = Redeem> {
    let (token, compartments) = (option::of(vec(any::<u8>(), 0..300)), option::of(vec(compartment(), 0..4)));
    (entry(), entry(), token, compartments).prop_map(|(claim, under, token, compartments)| Redeem {
        claim,
        under,
        token,
        compartments,
    })
}

fn door() -> impl Strategy<Value = Door> {
    let stuck =
        (compartment(), ".{0,20}").prop_map(|(compartment, reason)| Behaved::Stuck { compartment, reason });
    let settled =
        (any::<bool>(), ".{1,20}").prop_map(|(handed_over, by)| Behaved::Settled { handed_over, by });
    let behaved = prop_oneof![compartment().prop_map(Behaved::Opened), stuck, settled];
    (entry(), behaved).prop_map(|(redemption, behaved)| Door { redemption, behaved })
}

fn drop_id() -> impl Strategy<Value = DropId> {
    name().prop_map(|name| name.parse().unwrap())
}

fn document() -> impl Strategy<Value = Document> {
    prop_oneof![
        Just(Document::Programme),
        Just(Document::Devices),
        Just(Document::People),
        drop_id().prop_map(Document::Stock),
        drop_id().prop_map(Document::Claims)
    ]
}

fn units() -> impl Strategy<Value = UnitSet> {
    let serial = prop_oneof![0u32..100, any::<u32>(), u32::MAX - 5..=u32::MAX];
    vec((serial, 0u32..20), 0..8).prop_map(|ranges| {
        let mut set = UnitSet::default();
        for (first, more) in ranges {
            set.insert_all(&UnitSet::range(first, first.saturating_add(more)));
        }
        set
    })
}

fn device() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 32]>().prop_map(DeviceId)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn chain() -> impl Strategy<Value = ChainId> {
    any::<[u8; 16]>().prop_map(ChainId)
}

fn entry() -> impl Strategy<Value = Ref> {
    (chain(), any::<u64>()).prop_map(|(chain, seq)| Ref { chain, seq })
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(a, b)| Signature([a, b].concat().try_into().unwrap()))
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    vec((entry(), units()).prop_map(|(parcel, units)| Line { parcel, units }), 0..4)
}

fn start() -> impl Strategy<Value = Start> {
    let previous =
        (chain(), any::<u64>(), hash()).prop_map(|(chain, seq, hash)| Previous { chain, seq, hash });
    (document(), vec(any::<u8>(), 0..300), any::<[u8; 16]>(), option::of(previous)).prop_map(
        |(document, certificate, nonce, previous)| Start {
            document,
            certificate,
            nonce: Nonce(nonce),
            previous,
        },
    )
}

fn sale() -> impl Strategy<Value = Sale> {
    let line = (entry(), units(), any::<i64>()).prop_map(|(parcel, units, unit_price)| SaleLine {
        parcel,
        units,
        unit_price,
    });
    let shopper = option::of("[a-z0-9]{1,40}".prop_map(|text| text.parse().unwrap()));
    let rest = (option::of(pin_tag()), shopper, option::of(any::<u64>()), option::of(entry()));
    (
        vec(line, 0..4),
        payments(),
        option::of(device()),
        option::of(vec(hash(), 0..3)),
        option::of(taxes()),
        receipt(),
        rest,
    )
        .prop_map(
            |(lines, payments, pickup_at, programme, taxes, receipt, (pin, shopper, expires_ms, step))| {
                Sale { lines, payments, pickup_at, programme, taxes, receipt, step, pin, shopper, expires_ms }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(StepKind::Announce),
        Just(StepKind::Open),
        Just(StepKind::LastCall),
        Just(StepKind::Close)
    ];
    let announced =
        ("[A-Z]{1,8}", any::<u64>()).prop_map(|(sku, units)| Announced { sku: sku.parse().unwrap(), units });
    (kind, any::<u32>(), option::of(place()), option::of(vec(announced, 0..4)), option::of(any::<u64>()))
        .prop_map(|(kind, round, venue, units, ends_ms)| Step { kind, round, venue, units, ends_ms })
}

fn tender() -> impl Strategy<Value = Tender> {
    prop_oneof![Just(Tender::Cash), Just(Tender::Card), Just(Tender::Voucher), Just(Tender::Other)]
}

fn payments() -> impl Strategy<Value = Payments> {
    let amounts = (any::<i64>(), option::of(any::<i64>()), option::of(any::<i64>()));
    let part = (tender(), amounts, any::<bool>(), option::of(".{0,70}")).prop_map(
        |(tender, (amount, rounding, given), deferred, reference)| Payment {
            tender,
            amount,
            deferred,
            rounding,
            given,
            reference,
        },
    );
    prop_oneof![tender().prop_map(Payments::Whole), vec(part, 0..5).prop_map(Payments::Parts)]
}

fn rate_tax() -> impl Strategy<Value = RateTax> {
    (any::<u16>(), any::<i64>()).prop_map(|(rate, tax)| RateTax { rate, tax })
}

fn taxes() -> impl Strategy<Value = Taxes> {
    let prices = prop_oneof![Just(Prices::Included), Just(Prices::Excluded)];
    (prices, vec(rate_tax(), 0..4), option::of(vec(any::<u8>(), 0..4)))
        .prop_map(|(prices, rates, of)| Taxes { prices, rates, of })
}

fn receipt() -> impl Strategy<Value = ReceiptLink> {
    (any::<u64>(), option::of(any::<[u8; 16]>().prop_map(ReceiptHash)))
        .prop_map(|(number, previous)| ReceiptLink { number, previous })
}

fn refund() -> impl Strategy<Value = Refund> {
    let part = (any::<u8>(), tender(), any::<i64>(), any::<bool>(), option::of(any::<i64>())).prop_map(
        |(payment, tender, amount, cancelled, rounding)| BackPart {
            payment,
            tender,
            amount,
            cancelled,
            rounding,
        },
    );
    let back =
        (vec(part, 0..5), option::of(vec(rate_tax(), 0..3))).prop_map(|(parts, taxes)| Back { parts, taxes });
    let deed = (entry(), entry(), option::of(entry()));
    let flags = (any::<bool>(), option::of(any::<bool>()));
    (deed, lines(), place(), flags, receipt(), back).prop_map(
        |((claim, under, handed_out), lines, place, (damaged, unclaimed), receipt, back)| Refund {
            claim,
            under,
            lines,
            place,
            damaged,
            handed_out,
            receipt,
            back,
            unclaimed,
        },
    )
}

fn aside() -> impl Strategy<Value = Aside> {
    let shopper = option::of("[a-z0-9]{1,40}".prop_map(|text| text.parse().unwrap()));
    (entry(), any::<u32>(), any::<u64>(), any::<i64>(), shopper).prop_map(
        |(cart, pieces, left_ms, unit_price, shopper)| Aside { cart, pieces, left_ms, unit_price, shopper },
    )
}

fn claim_body() -> impl Strategy<Value = Body> {
    let sale_line = (entry(), units(), any::<i64>()).prop_map(|(parcel, units, unit_price)| SaleLine {
        parcel,
        units,
        unit_price,
    });
    prop_oneof![
        ((entry(), entry(), device()), option::of(entry()), heirs(), option::of(entry()), heirs()).prop_map(
            |((claim, under, to), retirement, heirs, handed_out, refunds)| {
                Body::Custody(Custody { claim, under, to, retirement, heirs, handed_out, refunds })
            }
        ),
        refund().prop_map(Body::Refund),
        settled().prop_map(Body::PaymentSettled),
        (vec(sale_line, 0..4), any::<u64>(), shopper())
            .prop_map(|(lines, ttl_ms, shopper)| Body::Hold(Hold { lines, ttl_ms, shopper })),
        entry().prop_map(|hold| Body::Release(Release { hold })),
        entry().prop_map(|claim| Body::RefundRequest(RefundRequest { claim })),
        entry().prop_map(|claim| Body::WrongPin(WrongPin { claim })),
        (entry(), option::of(entry())).prop_map(|(claim, lock)| Body::Unlock(Unlock { claim, lock })),
        (device(), vec(entry(), 0..4), option::of(entry()), option::of(any::<u32>()))
            .prop_map(|(device, cut, under, parts)| Body::Retire(Retire { device, cut, under, parts })),
        (device(), vec(entry(), 0..4)).prop_map(|(device, cut)| Body::RetireCut(RetireCut { device, cut })),
        (any::<[u8; 4]>(), vec(device(), 0..4), copies()).prop_map(|(mark, without, copies)| {
            Body::Epoch(Epoch { mark: EpochMark(mark), without, copies })
        }),
        step().prop_map(Body::Step),
        (entry(), copies()).prop_map(|(epoch, copies)| Body::EpochCopies(EpochCopies { epoch, copies })),
        (device(), option::of(entry())).prop_map(|(to, under)| Body::Entrust(Entrust { to, under })),
        option::of(device()).prop_map(|to| Body::Leave(Leave { to })),
        (entry(), lines(), heirs()).prop_map(|(retirement, lines, heirs)| Body::Inherit(Inherit {
            retirement,
            lines,
            heirs
        })),
        (entry(), "\\PC{0,40}").prop_map(|(incident, note)| Body::Resolve(Resolve { incident, note })),
        vec(any::<u8>(), 0..300).prop_map(|certificate| Body::Renewal(Renewal { certificate })),
    ]
}

fn copies() -> impl Strategy<Value = Vec<EpochCopy>> {
    let copy = (device(), vec(any::<u8>(), 0..100));
    vec(copy.prop_map(|(to, sealed)| EpochCopy { to, sealed: sealed.into() }), 0..4)
}

fn pin_tag() -> impl Strategy<Value = PinTag> {
    (any::<[u8; 8]>(), option::of(any::<[u8; 4]>()))
        .prop_map(|(code, epoch)| PinTag { code, epoch: epoch.map(EpochMark) })
}

fn heirs() -> impl Strategy<Value = Option<Vec<Ref>>> {
    option::of(vec(entry(), 1..4))
}

fn shopper() -> impl Strategy<Value = Option<ShopperRef>> {
    option::of("[a-z0-9]{1,40}".prop_map(|text| text.parse().unwrap()))
}

fn people_body() -> impl Strategy<Value = Body> {
    use PersonalKind::{Contact, Note, OptIn, Waitlist};
    let kind = prop_oneof![Just(OptIn), Just(Contact), Just(Note), Just(Waitlist)];
    let consent = ("\\PC{0,40}", "\\PC{0,8}").prop_map(|(text, version)| Consent { text, version });
    prop_oneof![
        (
            kind,
            shopper(),
            option::of(sku()),
            option::of(drop_id()),
            option::of(consent),
            hash(),
            any::<u32>()
        )
            .prop_map(|(kind, shopper, sku, drop, consent, hash, size)| {
                Body::Personal(Personal { kind, shopper, sku, drop, consent, hash, size })
            }),
        (vec(entry(), 0..4), shopper())
            .prop_map(|(entries, shopper)| Body::Erase(Erase { entries, shopper })),
    ]
}

fn settled() -> impl Strategy<Value = PaymentSettled> {
    (entry(), any::<u8>(), any::<i64>(), any::<bool>(), option::of(".{0,70}")).prop_map(
        |(claim, payment, amount, failed, reference)| PaymentSettled {
            claim,
            payment,
            amount,
            failed,
            reference,
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    any::<(u64, u64, u64)>().prop_map(|(number, total, left_ms)| Wish { number, total, left_ms })
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        entry().prop_map(Cause::Leave),
        any::<(u64, u64)>().prop_map(|(number, left_ms)| Cause::Wish { number, left_ms }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let mint = (sku(), any::<u32>(), any::<u32>(), any::<bool>(), place(), option::of(edition())).prop_map(
        |(sku, first, last, numbered, place, edition)| Mint { sku, first, last, numbered, place, edition },
    );
    let body = prop_oneof![
        start().prop_map(Body::Start),
        mint.prop_map(Body::Mint),
        (device(), lines(), option::of(aside()), option::of(cause()))
            .prop_map(|(to, lines, aside, cause)| Body::Transfer(Transfer { to, lines, aside, cause })),
        vec(entry(), 0..4).prop_map(|transfers| Body::Received(Received { transfers })),
        (place(), lines()).prop_map(|(place, lines)| Body::Move(Move { place, lines })),
        lines().prop_map(|lines| Body::Damage(Damage { lines })),
        sale().prop_map(Body::Sale),
        claim_body(),
        redeem().prop_map(Body::Redeem),
        door().prop_map(Body::Door),
        people_body(),
    ];
    (any::<u64>(), body, option::of(command_key())).prop_map(|(at, body, key)| Record {
        at: Hlc(at),
        body,
        key,
    })
}

fn range() -> impl Strategy<Value = Range> {
    let bytes = || vec(any::<u8>(), 0..50);
    let bodies = prop_oneof![
        vec(bytes(), 0..5)
            .prop_map(|bodies| Bodies::Plain(bodies.into_iter().map(|body| body.into()).collect())),
        (any::<u32>(), bytes()).prop_map(|(count, bytes)| Bodies::Packed { count, bytes: bytes.into() }),
        (any::<u32>(), bytes()).prop_map(|(count, bytes)| Bodies::Implied { count, bytes: bytes.into() }),
    ];
    let vouch = (any::<u32>(), signature()).prop_map(|(offset, signature)| Vouch { offset, signature });
    (chain(), any::<u64>(), bodies, vec(vouch, 0..3)).prop_map(|(chain, first, bodies, signatures)| Range {
        chain,
        first,
        bodies,
        signatures,
    })
}

fn command_key() -> impl Strategy<Value = CommandKey> {
    any::<([u8; 8], [u8; 4])>().prop_map(|(key, request)| CommandKey { key, request })
}

fn ask_past() -> impl Strategy<Value = AskPast> {
    let seen = (chain(), any::<u64>()).prop_map(|(chain, seq)| Seen { chain, seq });
    vec(seen, 0..5).prop_map(|ends| AskPast { ends })
}

fn past() -> impl Strategy<Value = Past> {
    let entry = (chain(), any::<u64>(), document(), option::of(hash()));
    let proof = (entry, vec(any::<u8>(), 0..200), signature()).prop_map(
        |((chain, seq, document, previous), body, signature)| Proof {
            chain,
            seq,
            document,
            previous,
            body: body.into(),
            signature,
        },
    );
    let knows = prop_oneof![Just(Knows::Nothing), Just(Knows::Some), Just(Knows::All)];
    (knows, vec(proof, 0..3)).prop_map(|(knows, proofs)| Past { knows, proofs })
}

fn message() -> impl Strategy<Value = Message> {
    let head = || {
        (chain(), any::<u64>(), any::<[u8; 16]>(), any::<Option<[u8; 16]>>())
            .prop_map(|(chain, seq, hash, rest)| Head { chain, seq, hash, rest })
    };
    let since =
        prop_oneof![any::<u32>().prop_map(Since::Frontier), any::<[u8; 16]>().prop_map(Since::Alike),];
    prop_oneof![
        (
            hash(),
            any::<bool>(),
            any::<(u32, Option<u32>, u32, Option<[u8; 16]>)>(),
            vec(head(), 0..5),
            option::of(since),
            (option::of(chain()), option::of(chain())),
        )
            .prop_map(|(ended, full, (number, again, start, sum), heads, since, (from, upto))| {
                Message::Frontier(Frontier {
                    ended,
                    full,
                    heads,
                    number,
                    since,
                    again,
                    start,
                    sum,
                    from,
                    upto,
                })
            }),
        (chain(), head(), vec(hash(), 0..4)).prop_map(|(chain, head, runs)| Message::Compare(Compare {
            chain,
            head,
            runs
        })),
        (vec(entry(), 0..4), vec(hash(), 0..3), vec(entry(), 0..4)).prop_map(|(entries, changes, have)| {
            Message::AskEntries(AskEntries { entries, changes, have })
        }),
        (vec(range(), 0..3), any::<bool>())
            .prop_map(|(ranges, more)| Message::Entries(Entries { ranges, more })),
        hash().prop_map(Message::Digest),
        vec(any::<u8>(), 0..200).prop_map(|bytes| Message::Hello(bytes.into())),
        (any::<u64>(), drop_id(), sku(), any::<u64>(), option::of(place()), option::of(wish())).prop_map(
            |(id, drop, sku, units, place, wish)| Message::Ask(Ask { id, drop, sku, units, place, wish })
        ),
        any::<u64>().prop_map(|id| Message::Decline(Decline { id })),
        (any::<u64>(), entry()).prop_map(|(id, cart)| Message::AskCart(AskCart { id, cart })),
        (any::<u64>(), entry()).prop_map(|(id, claim)| Message::AskClaim(AskClaim { id, claim })),
        mail().prop_map(Message::Mail),
        ask_past().prop_map(Message::AskPast),
        past().prop_map(Message::Past),
        device().prop_map(Message::Who),
        vec((any::<[u8; 4]>(), any::<u64>()), 0..20).prop_map(|of| {
            let of = of.into_iter().map(|(device, at)| HeardOf { device, at: Hlc(at) }).collect();
            Message::Heard(Heard { of })
        }),
        vec(entry(), 0..4).prop_map(|entries| Message::AskSealed(AskSealed { entries })),
        (vec((entry(), vec(any::<u8>(), 0..100)), 0..4), vec(entry(), 0..4)).prop_map(|(parts, lacking)| {
            let part = |(entry, payload): (Ref, Vec<u8>)| SealedPart { entry, payload: payload.into() };
            Message::Sealed(SealedParts { parts: parts.into_iter().map(part).collect(), lacking })
        }),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    (device(), any::<u64>(), option::of(device()), vec(any::<u8>(), 0..100), signature()).prop_map(
        |(from, at, to, content, signature)| Mail {
            from,
            at: Hlc(at),
            to,
            content: content.into(),
            signature,
        },
    )
}

fn gossip() -> impl Strategy<Value = Gossip> {
    prop_oneof![vec(range(), 0..3).prop_map(Gossip::Live), mail().prop_map(Gossip::Mail)]
}

fn presence() -> impl Strategy<Value = Presence> {
    let rate =
        (drop_id(), sku(), any::<u64>()).prop_map(|(drop, sku, milli_units)| Rate { drop, sku, milli_units });
    let certificate = option::of(vec(any::<u8>(), 0..100));
    let neighbours = option::of(vec(any::<u8>(), 0..60));
    let told = (option::of(any::<u32>()), vec(device(), 0..3), neighbours);
    let since = (option::of(ask_past()), option::of(any::<u64>()));
    let more = (option::of(vec(any::<u8>(), 0..60)), option::of("[!-~]{0,30}"));
    (any::<bool>(), vec(rate, 0..5), certificate, told, (since, more)).prop_map(
        |(
            sells,
            rates,
            certificate,
            (every_s, reaches, neighbours),
            ((asks, behind_ms), (narrowly, program)),
        )| Presence {
            sells,
            rates,
            certificate: certificate.map(Into::into),
            every_s,
            reaches,
            asks,
            neighbours: neighbours.map(Into::into),
            behind_ms,
            narrowly: narrowly.map(Into::into),
            program,
        },
    )
}

fn read_all(bytes: &[u8]) {
    let _ = decode::<Message>(bytes, LIMIT);
    let _ = decode::<Gossip>(bytes, LIMIT);
    let _ = decode::<Presence>(bytes, LIMIT);
    let _ = Record::decode(bytes);
    if let Ok(Message::Entries(entries)) = decode::<Message>(bytes, LIMIT) {
        entries.ranges.iter().for_each(|range| drop(range.bodies.unpack()));
    }
}

proptest! {
    #[test]
    fn records_come_back(record in record()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn messages_come_back(message in message(), gossip in gossip(), presence in presence()) {
        prop_assert_eq!(decode::<Message>(&encode(&message), LIMIT), Ok(message));
        prop_assert_eq!(decode::<Gossip>(&encode(&gossip), LIMIT), Ok(gossip));
        prop_assert_eq!(decode::<Presence>(&encode(&presence), LIMIT), Ok(presence));
    }

    #[test]
    fn nothing_may_follow_and_nothing_may_lack(message in message(), record in record()) {
        for bytes in [encode(&message), record.encode()] {
            let longer = [&bytes[..], &[0]].concat();
            prop_assert!(decode::<Message>(&longer, LIMIT).is_err());
            prop_assert!(Record::decode(&longer).is_err());
            prop_assert!(decode::<Message>(&bytes[..bytes.len() - 1], LIMIT).is_err());
            prop_assert!(Record::decode(&bytes[..bytes.len() - 1]).is_err());
        }
        let bytes = encode(&message);
        prop_assert!(decode::<Message>(&bytes, bytes.len()).is_ok());
        prop_assert!(decode::<Message>(&bytes, bytes.len() - 1).is_err());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn nor_do_damaged_ones(message in message(), record in record(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for mut bytes in [encode(&message), record.encode()] {
            for (at, to) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *to;
            }
            read_all(&bytes);
        }
    }

    #[test]
    fn unit_sets_are_read_in_one_form_only(numbers in vec(prop_oneof![0u64..4, 0u64..=u64::from(u32::MAX) + 1], 0..9)) {
        let mut bytes = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        encoder.array(numbers.len() as u64).unwrap();
        for number in &numbers {
            encoder.u64(*number).unwrap();
        }
        if let Ok(set) = minicbor::decode::<UnitSet>(&bytes) {
            prop_assert_eq!(minicbor::to_vec(&set).unwrap(), bytes);
            prop_assert_eq!(set.to_string().parse::<UnitSet>().unwrap(), set);
        }
    }

    #[test]
    fn unit_sets_come_back(set in units()) {
        prop_assert_eq!(&minicbor::decode::<UnitSet>(&minicbor::to_vec(&set).unwrap()).unwrap(), &set);
        prop_assert_eq!(set.to_string().parse::<UnitSet>().unwrap(), set);
    }

    #[test]
    fn names_of_things_come_back(document in document(), entry in entry(), event in any::<[u8; 32]>()) {
        prop_assert_eq!(document.to_string().parse::<Document>().unwrap(), document);
        // As a text an entry has a position of 1 to 19 digits: no chain is ever longer.
        let writable = (1..10_u64.pow(19)).contains(&entry.seq);
        prop_assert_eq!(entry.to_string().parse::<Ref>().ok(), writable.then_some(entry));
        prop_assert_eq!(EventId(event).to_string().parse::<EventId>().unwrap(), EventId(event));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,80}") {
        let charter = charter(&SecretKey::from_seed(&[1; 32]));
        let _ = text.parse::<UnitSet>();
        let _ = text.parse::<Ref>();
        let _ = text.parse::<Document>();
        let _ = SignedCharter::from_text(&text);
        let _ = SignedCharter::from_text(&format!("popmesh-charter-1:{text}"));
        let _ = Enrolment::from_text(&format!("popmesh-enrolment-1:{text}"));
        let _ = SignedCertificate::from_text(&format!("popmesh-certificate-1:{text}"), &charter);
    }

    #[test]
    fn charters_and_certificates_come_back_and_no_damaged_one_does(
        bit in any::<prop::sample::Index>(),
        roles in vec(prop::sample::select(&Role::ALL[..]), 1..5),
        from in 0u64..1 << 48,
        lasts in 1u64..1 << 40,
    ) {
        let root = SecretKey::from_seed(&[1; 32]);
        let charter = charter(&root);
        prop_assert_eq!(&SignedCharter::from_text(&charter.to_text()).unwrap(), &charter);
        let certificate = Certificate {
            device: SecretKey::from_seed(&[2; 32]).id(),
            name: "Till 1".to_owned(),
            roles: roles.into_iter().collect::<Roles>(),
            venue: "hall".parse().unwrap(),
            not_before_ms: from,
            not_after_ms: from + lasts,
        };
        let signed = SignedCertificate::sign(certificate.clone(), &root, &charter).unwrap();
        prop_assert_eq!(&*signed, &certificate);
        prop_assert_eq!(&SignedCertificate::from_text(&signed.to_text(), &charter).unwrap(), &signed);
        prop_assert!(signed.valid_at(from).is_ok() && signed.valid_at(from + lasts - 1).is_ok());
        prop_assert!(signed.valid_at(from + lasts).is_err());
        prop_assert!(from == 0 || signed.valid_at(from - 1).is_err());

        let mut damaged = signed.bytes().to_vec();
        let bit = bit.index(damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(SignedCertificate::from_bytes(&damaged, &charter).is_err());
        prop_assert!(SignedCertificate::sign(certificate, &SecretKey::from_seed(&[3; 32]), &charter).is_err());
    }
}

fn charter(root: &SecretKey) -> SignedCharter {
    let charter = Charter {
        name: "Night market".to_owned(),
        currency: "EUR".parse().unwrap(),
        root: root.id(),
        created_ms: 1,
        nonce: Nonce([4; 16]),
    };
    SignedCharter::sign(charter, root).unwrap()
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // An array and a byte string of 2^60, in each place that a message has one.
    for head in [[0x9b, 0x10], [0x5b, 0x10]] {
        for before in 0..12 {
            let mut bytes = encode(&Message::Entries(Entries { ranges: Vec::new(), more: true }));
            bytes.truncate(before.min(bytes.len()));
            bytes.extend(head);
            bytes.extend([0; 7]);
            assert!(decode::<Message>(&bytes, LIMIT).is_err());
            assert!(decode::<Gossip>(&bytes, LIMIT).is_err());
            assert!(Record::decode(&bytes).is_err());
        }
    }
    assert!(popmesh_proto::bundle::unpack(&[0x03, 0x00], u32::MAX as usize, LIMIT).is_err());
}

#[test]
fn money_in_records_may_be_anything_and_is_checked() {
    let refund = |parts: Vec<BackPart>, taxes: Option<Vec<RateTax>>| Record {
        key: None,
        at: Hlc(2),
        body: Body::Refund(Refund {
            claim: Ref { chain: ChainId([1; 16]), seq: 2 },
            under: Ref { chain: ChainId([1; 16]), seq: 2 },
            lines: vec![Line {
                parcel: Ref { chain: ChainId([1; 16]), seq: 1 },
                units: UnitSet::range(1, 1),
            }],
            place: "hall".parse().unwrap(),
            damaged: false,
            handed_out: None,
            receipt: ReceiptLink::FIRST,
            back: Back { parts, taxes },
            unclaimed: None,
        }),
    };
    let check = |record: Record| {
        let roles: Roles = [Role::Pos].into_iter().collect();
        record.check(&Document::Claims("night".parse().unwrap()), roles, Hlc(1))
    };
    let part = BackPart { payment: 1, tender: Tender::Cash, amount: 500, cancelled: false, rounding: None };
    let rate = RateTax { rate: 1_900, tax: 80 };
    assert_eq!(check(refund(vec![part], Some(vec![rate]))), Ok(()));
    assert_eq!(
        check(refund(
            vec![BackPart { amount: i64::MAX, ..part }],
            Some(vec![RateTax { tax: i64::MAX, ..rate }])
        )),
        Ok(())
    );
    for (parts, taxes) in [
        (vec![BackPart { payment: 0, ..part }], None),
        (vec![BackPart { payment: 5, ..part }], None),
        (vec![part, part], None),
        (vec![BackPart { amount: 0, ..part }], None),
        (vec![BackPart { amount: -1, ..part }], None),
        (vec![BackPart { rounding: Some(i64::MIN), ..part }], None),
        (vec![BackPart { rounding: Some(-501), ..part }], None),
        (vec![BackPart { rounding: Some(1), tender: Tender::Card, ..part }], None),
        (vec![BackPart { rounding: Some(1), cancelled: true, ..part }], None),
        (vec![part], Some(vec![rate, rate])),
        (vec![part], Some(vec![RateTax { tax: -1, ..rate }])),
        (vec![part], Some(vec![RateTax { rate: 10_001, ..rate }])),
    ] {
        assert!(check(refund(parts.clone(), taxes.clone())).is_err(), "{parts:?} {taxes:?}");
    }
    for (payment, amount, reference) in
        [(0, 1, None), (5, 1, None), (1, 0, None), (1, 1, Some("x".repeat(65)))]
    {
        let claim = Ref { chain: ChainId([1; 16]), seq: 2 };
        let settled = PaymentSettled { claim, payment, amount, failed: false, reference };
        assert!(
            check(Record { at: Hlc(2), body: Body::PaymentSettled(settled.clone()), key: None }).is_err(),
            "{settled:?}"
        );
    }
}

#[test]
fn records_about_people_are_checked() {
    let check = |body: Body, document: Document| {
        Record { at: Hlc(2), body, key: None }.check(&document, "pos".parse().unwrap(), Hlc(1))
    };
    let good = Personal {
        kind: PersonalKind::OptIn,
        shopper: None,
        sku: None,
        drop: None,
        consent: Some(Consent { text: "news".to_owned(), version: "1".to_owned() }),
        hash: Hash([1; 32]),
        size: 256,
    };
    let personal = |change: &dyn Fn(&mut Personal)| {
        let mut personal = good.clone();
        change(&mut personal);
        check(Body::Personal(personal), Document::People)
    };
    assert_eq!(personal(&|_| {}), Ok(()));
    for document in
        [Document::Devices, Document::Claims("d".parse().unwrap()), Document::Stock("d".parse().unwrap())]
    {
        assert!(check(Body::Personal(good.clone()), document.clone()).is_err(), "{document}");
        let erase = Erase { entries: Vec::new(), shopper: Some("a".parse().unwrap()) };
        assert!(check(Body::Erase(erase), document).is_err());
    }
    assert!(personal(&|personal| personal.size = 300).is_err());
    assert!(personal(&|personal| personal.size = 8192).is_err());
    assert!(personal(&|personal| personal.consent = None).is_err());
    assert!(personal(&|personal| personal.sku = Some("A".parse().unwrap())).is_err());
    assert!(personal(&|personal| personal.kind = PersonalKind::Waitlist).is_err());
    assert!(
        personal(&|personal| personal.consent = Some(Consent { text: "x".repeat(401), version: "1".into() }))
            .is_err()
    );
    let one = Ref { chain: ChainId([1; 16]), seq: 2 };
    let erase = |entries: Vec<Ref>| check(Body::Erase(Erase { entries, shopper: None }), Document::People);
    assert_eq!(erase(vec![one]), Ok(()));
    assert!(erase(Vec::new()).is_err());
    assert!(erase(vec![one, one]).is_err());
    let many = (0..1_025).map(|seq| Ref { seq, ..one }).collect();
    assert!(erase(many).is_err());
    assert!(check(Body::Resolve(Resolve { incident: one, note: "x".into() }), Document::People).is_err());
}
