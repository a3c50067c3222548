//! What need not travel in a packed range: the hash of the receipt before, of a record whose receipt before is in the range.
//!
//! Half of what is left of a sale in a packed range would be that hash, which follows from a body that is there as well, and
//! which nothing can make shorter. So it is blank on the way, all zeros, and worked out anew at the other end. A hash that
//! is blank without that, as only one of its author's own making can be, has the range travel as it is.

use crate::id::{ChainId, DeviceId, EventId, ReceiptHash, Ref};
use crate::receipt::{self, ReceiptLink};

const BLANK: ReceiptHash = ReceiptHash([0; 16]);

/// CBOR's head of a byte string of 16 bytes (RFC 8949, 3.1), and those.
type Encoded = [u8; 17];

fn encoded(hash: &ReceiptHash) -> Encoded {
    let mut encoded = [0x50; 17];
    encoded[1..].copy_from_slice(&hash.0);
    encoded
}

/// Puts one hash in the place of another, the last where there are several.
fn replace(body: &mut [u8], hash: &ReceiptHash, by: &ReceiptHash) {
    let (hash, by) = (encoded(hash), encoded(by));
    if let Some(at) = body.windows(hash.len()).rposition(|bytes| *bytes == hash) {
        body[at..at + by.len()].copy_from_slice(&by);
    }
}

fn occurrences(body: &[u8], hash: &ReceiptHash) -> usize {
    let hash = encoded(hash);
    body.windows(hash.len()).filter(|bytes| **bytes == hash).count()
}

/// As much of a record as it takes to read its receipt: a third of the time that all of it takes.
#[derive(minicbor::Decode)]
struct WithReceipt {
    #[n(1)]
    body: BodyWithReceipt,
}

#[derive(minicbor::Decode)]
enum BodyWithReceipt {
    #[n(6)]
    Sale(#[n(0)] SaleReceipt),
    #[n(9)]
    Refund(#[n(0)] RefundReceipt),
}

#[derive(minicbor::Decode)]
struct SaleReceipt {
    #[n(5)]
    receipt: ReceiptLink,
}

#[derive(minicbor::Decode)]
struct RefundReceipt {
    #[n(6)]
    receipt: ReceiptLink,
}

fn receipt_of(body: &[u8]) -> Option<ReceiptLink> {
    match minicbor::decode::<WithReceipt>(body).ok()?.body {
        BodyWithReceipt::Sale(sale) => Some(sale.receipt),
        BodyWithReceipt::Refund(refund) => Some(refund.receipt),
    }
}

/// Consecutive entries of one chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) event: EventId,
    pub(super) device: DeviceId,
    pub(super) chain: ChainId,
    /// Whether records of its document have receipts at all.
    pub(super) receipts: bool,
    /// Position of the first.
    pub(super) first: u64,
}

impl Run {
    fn hash(&self, index: usize, body: &[u8]) -> ReceiptHash {
        let entry = Ref { chain: self.chain, seq: self.first.saturating_add(index as u64) };
        receipt::hash(&self.event, &self.device, &entry, body)
    }

    /// The bodies without what follows from others of them; `None` if nothing does, or it could not be put back.
    pub(super) fn leave_out(&self, bodies: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        if !self.receipts {
            return None;
        }
        let mut left = Vec::with_capacity(bodies.len());
        let mut before = None;
        for (index, body) in bodies.iter().enumerate() {
            let mut leaves = body.to_vec();
            if let Some(link) = receipt_of(body) {
                let previous = link.previous.filter(|_| link.previous == before);
                // Where it is there once, and nothing looks like a blank, it is the link, and the only blank then.
                let once =
                    |hash: &ReceiptHash| occurrences(body, hash) == 1 && occurrences(body, &BLANK) == 0;
                match previous {
                    Some(hash) if once(&hash) => replace(&mut leaves, &hash, &BLANK),
                    _ if link.previous == Some(BLANK) => return None,
                    _ => {}
                }
                before = Some(self.hash(index, body));
            }
            left.push(leaves);
        }
        Some(left)
    }

    /// Puts back what was left out.
    pub(super) fn put_back(&self, bodies: &mut [Vec<u8>]) {
        if !self.receipts {
            return;
        }
        let mut before = None;
        for (index, body) in bodies.iter_mut().enumerate() {
            let Some(link) = receipt_of(body) else { continue };
            if let Some(before) = before.filter(|_| link.previous == Some(BLANK)) {
                replace(body, &BLANK, &before);
            }
            before = Some(self.hash(index, body));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Hlc;
    use crate::command::Tender;
    use crate::id::Hash;
    use crate::payment::{Back, Payments};
    use crate::record::{Body, Received, Record, Refund, Sale};

    const RUN: Run = Run {
        event: EventId([1; 32]),
        device: DeviceId([2; 32]),
        chain: ChainId([3; 16]),
        receipts: true,
        first: 7,
    };

    fn sale(number: u64, previous: Option<ReceiptHash>, programme: Option<Vec<Hash>>) -> Vec<u8> {
        let body = Body::Sale(Sale {
            lines: Vec::new(),
            payments: Payments::Whole(Tender::Cash),
            pickup_at: None,
            programme,
            taxes: None,
            receipt: ReceiptLink { number, previous },
            step: None,
            pin: None,
            shopper: None,
            expires_ms: None,
        });
        Record { at: Hlc(number), body, key: None }.encode()
    }

    fn other() -> Vec<u8> {
        Record { at: Hlc(1), body: Body::Received(Received { transfers: Vec::new() }), key: None }.encode()
    }

    /// Linked receipts, with something else between them.
    fn linked(count: u64) -> Vec<Vec<u8>> {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        let mut previous = Some(ReceiptHash([9; 16]));
        for number in 0..count {
            let body = sale(number + 2, previous, None);
            previous = Some(RUN.hash(bodies.len(), &body));
            bodies.push(body);
            if number % 3 == 1 {
                bodies.push(other());
            }
        }
        bodies
    }

    fn leave_out(bodies: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        RUN.leave_out(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn the_hashes_of_receipts_in_the_range_are_left_out_and_put_back() {
        let bodies = linked(10);
        let mut left = leave_out(&bodies).unwrap();
        let blank =
            left.iter().filter_map(|body| receipt_of(body)).filter(|link| link.previous == Some(BLANK));
        assert_eq!(blank.count(), 9, "all but the first");
        assert_ne!(left, bodies);
        RUN.put_back(&mut left);
        assert_eq!(left, bodies);
    }

    #[test]
    fn what_does_not_follow_travels_as_it_is() {
        let mut bodies = linked(4);
        bodies.push(sale(9, Some(ReceiptHash([8; 16])), None));
        let mut left = leave_out(&bodies).unwrap();
        assert_eq!(left.last(), bodies.last());
        RUN.put_back(&mut left);
        assert_eq!(left, bodies);
    }

    #[test]
    fn a_hash_that_its_author_left_blank_is_not_made_up_for() {
        let mut bodies = linked(2);
        bodies.push(sale(9, Some(BLANK), None));
        assert_eq!(leave_out(&bodies), None);
    }

    #[test]
    fn the_same_bytes_elsewhere_in_a_record_do_no_harm() {
        let mut bodies = linked(1);
        let previous = RUN.hash(0, &bodies[0]);
        let mut hash = [0x50; 32];
        hash[1..17].copy_from_slice(&previous.0);
        bodies.push(sale(3, Some(previous), Some(vec![Hash(hash)])));
        if let Some(mut left) = leave_out(&bodies) {
            RUN.put_back(&mut left);
            assert_eq!(left, bodies);
        }
    }

    #[test]
    fn a_receipt_is_read_without_the_rest_of_its_record() {
        let claim = Ref { chain: RUN.chain, seq: 3 };
        let refund = Refund {
            claim,
            under: claim,
            lines: Vec::new(),
            place: "hall".parse().unwrap(),
            damaged: false,
            handed_out: Some(claim),
            receipt: ReceiptLink { number: 4, previous: Some(ReceiptHash([5; 16])) },
            back: Back { parts: Vec::new(), taxes: None },
            unclaimed: Some(true),
        };
        let refund = Record { at: Hlc(1), body: Body::Refund(refund), key: None }.encode();
        assert!(receipt_of(&refund).is_some());
        for body in linked(6).into_iter().chain([other(), sale(1, None, None), refund]) {
            assert_eq!(receipt_of(&body), ReceiptLink::of(&Record::decode(&body).unwrap()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut back = leave_out(&bodies).unwrap();
            RUN.put_back(&mut back);
            prop_assert_eq!(back, bodies);
        }
    }
}
