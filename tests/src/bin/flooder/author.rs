//! Writes entries of a device's own that are well-formed, signed, and of no use.

use std::time::{SystemTime, UNIX_EPOCH};

use popmesh::folder::Identity;
use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::id::{ChainId, Hash, Nonce, Ref};
use popmesh_proto::identity::Signature;
use popmesh_proto::log::{Bodies, Range, Vouch};
use popmesh_proto::record::{Body, Received, Record, Start};

const DOCUMENT: &str = "stock/flood";

/// A device's key, and the chain that it writes.
pub(crate) struct Author {
    identity: Identity,
    chain: ChainId,
    nonce: Nonce,
    /// Bodies, hashes and signatures so far.
    pub(crate) written: Vec<(Vec<u8>, Hash, Signature)>,
    at: Hlc,
}

impl Author {
    pub(crate) fn new(identity: Identity) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&now.as_nanos().to_be_bytes());
        let nonce = Nonce(nonce);
        let chain = ChainId::derive(&identity.certificate.device, &nonce, DOCUMENT);
        let at = Hlc::from_ms(u64::try_from(now.as_millis()).unwrap_or(0));
        let mut author = Self { identity, chain, nonce, written: Vec::new(), at };
        author.begin();
        author
    }

    #[allow(clippy::expect_used, reason = "the document's name is a constant, and one")]
    fn begin(&mut self) {
        let document = DOCUMENT.parse().expect("a document");
        let certificate = self.identity.certificate.bytes().to_vec();
        self.write(Body::Start(Start { document, certificate, nonce: self.nonce, previous: None }));
    }

    /// Acknowledges, so many times over, what was never given: the start of its own chain.
    pub(crate) fn acknowledge(&mut self, lines: usize) {
        let start = Ref { chain: self.chain, seq: 1 };
        self.write(Body::Received(Received { transfers: vec![start; lines] }));
    }

    fn write(&mut self, body: Body) {
        self.at = Hlc(self.at.0 + 1);
        let body = Record { at: self.at, body, key: None }.encode();
        let device = self.identity.certificate.device;
        let parts = ChangeParts {
            device: device.as_bytes(),
            actor: self.chain.as_bytes(),
            seq: self.written.len() as u64 + 1,
            previous: self.written.last().map(|(_, hash, _)| hash.as_bytes()),
            time: (self.at.ms() / 1_000) as i64,
            record: &body,
        };
        let hash = Hash(change::hash(&parts, &mut Vec::new()));
        let event = self.identity.charter.event();
        let message =
            [b"popmesh entry v1", &event.0[..], &[DOCUMENT.len() as u8], DOCUMENT.as_bytes(), &hash.0]
                .concat();
        let signature = self.identity.key.sign(&message);
        self.written.push((body, hash, signature));
    }

    /// A stretch of the chain, from the `first`-th entry, counted from 1, up to the `last`-th.
    pub(crate) fn range(&self, first: usize, last: usize) -> Range {
        let entries = &self.written[first - 1..last];
        let signature = entries.last().map(|(_, _, signature)| *signature);
        Range {
            chain: self.chain,
            first: first as u64,
            bodies: Bodies::Plain(entries.iter().map(|(body, ..)| body.clone().into()).collect()),
            signatures: signature
                .map(|signature| Vouch { offset: (last - first) as u32, signature })
                .into_iter()
                .collect(),
        }
    }
}
