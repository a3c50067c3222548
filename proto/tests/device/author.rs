//! An author without a device: writes whatever a test wants, well or ill, and signs it with a key that it has.

use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, EventId, Hash, Nonce, Ref};
use popmesh_proto::identity::{SecretKey, SignedCertificate};
use popmesh_proto::io::Entry;
use popmesh_proto::log::Range;
use popmesh_proto::record::{Body, Previous, Record, Start};

use crate::wire::range;

pub(crate) struct Author {
    pub(crate) secret: SecretKey,
    pub(crate) event: EventId,
    pub(crate) document: Document,
    pub(crate) chain: ChainId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) last: Option<Hash>,
}

impl Author {
    /// A chain that begins as it should.
    pub(crate) fn begin(
        secret: &SecretKey,
        certificate: &SignedCertificate,
        document: &str,
        at: Hlc,
    ) -> Self {
        Self::begin_with(secret, certificate, document, at, 7)
    }

    /// The same, in the life of this number.
    pub(crate) fn begin_with(
        secret: &SecretKey,
        certificate: &SignedCertificate,
        document: &str,
        at: Hlc,
        life: u8,
    ) -> Self {
        Self::begin_after(secret, certificate, document, at, (Nonce([life; 16]), None))
    }

    /// The next life in the document of another: it names that one's last entry.
    pub(crate) fn next_life(&self, certificate: &SignedCertificate, at: Hlc, nonce: Nonce) -> Self {
        let (seq, hash) = (self.entries.len() as u64, self.last.unwrap());
        let previous = Some(Previous { chain: self.chain, seq, hash });
        Self::begin_after(&self.secret, certificate, &self.document.to_string(), at, (nonce, previous))
    }

    fn begin_after(
        secret: &SecretKey,
        certificate: &SignedCertificate,
        document: &str,
        at: Hlc,
        (nonce, previous): (Nonce, Option<Previous>),
    ) -> Self {
        let mut author = Self {
            secret: secret.clone(),
            event: certificate.event(),
            document: document.parse().unwrap(),
            chain: ChainId::derive(&secret.id(), &nonce, document),
            entries: Vec::new(),
            last: None,
        };
        let certificate = certificate.bytes().to_vec();
        let start = Start { document: author.document.clone(), certificate, nonce, previous };
        author.write(at, Body::Start(start));
        author
    }

    pub(crate) fn write(&mut self, at: Hlc, body: Body) -> Ref {
        self.append(at, Record { at, body, key: None }.encode())
    }

    /// Appends a body, whatever it is, linked to the one before, and signs it.
    pub(crate) fn append(&mut self, at: Hlc, body: Vec<u8>) -> Ref {
        let seq = self.entries.len() as u64 + 1;
        let device = self.secret.id();
        let parts = ChangeParts {
            device: device.as_bytes(),
            actor: self.chain.as_bytes(),
            seq,
            previous: self.last.as_ref().map(Hash::as_bytes),
            time: (at.ms() / 1000) as i64,
            record: &body,
        };
        let hash = Hash(change::hash(&parts, &mut Vec::new()));
        self.last = Some(hash);
        let signature = Some(sign(&self.secret, &self.event, &self.document, &hash));
        self.entries.push(Entry { chain: self.chain, seq, body, signature });
        Ref { chain: self.chain, seq }
    }

    pub(crate) fn range(&self) -> Range {
        range(&self.entries)
    }
}

/// The signature of an entry: over a context, the event, the document's name behind its length, and the change hash.
pub(crate) fn sign(
    secret: &SecretKey,
    event: &EventId,
    document: &Document,
    hash: &Hash,
) -> popmesh_proto::identity::Signature {
    let document = document.to_string();
    let length = [document.len() as u8];
    secret.sign(&[b"popmesh entry v1", &event.0[..], &length, document.as_bytes(), &hash.0].concat())
}
