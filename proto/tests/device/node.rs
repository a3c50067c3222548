//! One device of the world: what it is made of, what it has stored, and the write that is under way.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::fact::Fact;
use popmesh_proto::id::{ChainId, DeviceId, Nonce, Ref};
use popmesh_proto::identity::{SecretKey, SignedCertificate};
use popmesh_proto::io::{Barred, BatchId, Entry, Idempotency, Sealed, SealedWrites, StoredReply};
use popmesh_proto::mark::{Mark, Marking};
use popmesh_proto::pin::EventSecrets;

/// A write that is not durable yet.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) batch: BatchId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) replies: Vec<StoredReply>,
    pub(crate) sealed: SealedWrites,
    pub(crate) facts: Vec<Fact>,
    pub(crate) mark: Marking,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: DeviceId,
    pub(crate) secret: SecretKey,
    pub(crate) certificate: SignedCertificate,
    /// `None` while it has no power.
    pub(crate) device: Option<Device>,
    /// Counts the starts: what was meant for an earlier one is lost.
    pub(crate) life: u64,
    pub(crate) booted_at: u64,
    /// The nonce of its life, and how much was stored when that began.
    pub(crate) began_with: (Nonce, usize),
    pub(crate) wake_at: Option<u64>,
    pub(crate) stored: Vec<Entry>,
    pub(crate) replies: Vec<StoredReply>,
    /// Sealed payloads on its disk.
    pub(crate) payloads: BTreeMap<Ref, Vec<u8>>,
    /// How far each chain is durable.
    pub(crate) durable: BTreeMap<ChainId, u64>,
    pub(crate) write: Option<Write>,
    /// While set, writes stay under way.
    pub(crate) stalled: bool,
    /// The mark beside its database; `None` once that is lost.
    pub(crate) mark: Option<Mark>,
    /// Whether its runtime finds that what is stored is older than what it wrote, from its next start on.
    pub(crate) restored: bool,
    /// Whether its runtime only opens it again, without a start, from its next start on.
    pub(crate) goes_on: bool,
    /// Whether its compartments have doors, from its next start on.
    pub(crate) doors: bool,
    /// Gossip it has seen, as the mesh beneath it remembers.
    pub(crate) seen: BTreeSet<[u8; 32]>,
    /// Whom it passes nothing to, as its mesh was told.
    pub(crate) barred: Barred,
    /// The event's secret, as its runtime was told.
    pub(crate) secrets: EventSecrets,
    /// How far its wall clock is ahead of the world's time, in milliseconds; below 0 it is behind.
    pub(crate) ahead_ms: i64,
    /// The facts that it told, and did not tell as void since.
    told: BTreeSet<(Ref, &'static str)>,
}

impl Node {
    /// Whether nothing but what proves its retirement goes to a device.
    pub(crate) fn bars(&self, device: DeviceId) -> bool {
        self.barred.quiet.contains(&device) || self.barred.shut.contains(&device)
    }

    pub(crate) fn new(secret: SecretKey, certificate: SignedCertificate) -> Self {
        Self {
            id: secret.id(),
            secret,
            certificate,
            device: None,
            life: 0,
            booted_at: 0,
            began_with: (Nonce([0; 16]), 0),
            wake_at: None,
            stored: Vec::new(),
            replies: Vec::new(),
            payloads: BTreeMap::new(),
            durable: BTreeMap::new(),
            write: None,
            stalled: false,
            mark: Some(Mark::default()),
            restored: false,
            goes_on: false,
            doors: false,
            seen: BTreeSet::new(),
            barred: Barred::default(),
            secrets: EventSecrets::default(),
            ahead_ms: 0,
            told: BTreeSet::new(),
        }
    }

    /// Puts the write under way on the disk. Which it is, and what is told of it.
    pub(crate) fn finish_write(&mut self) -> Option<(BatchId, Vec<Fact>)> {
        let write = self.write.take()?;
        for fact in &write.facts {
            let (_, entry) = fact.record();
            let is_here = write.entries.iter().any(|of| (of.chain, of.seq) == (entry.chain, entry.seq));
            // A doubt can be named with an entry that is none any more; an epoch is opened when its copy has come.
            let is_named = matches!(fact, Fact::Incident { .. } | Fact::SecretRenewed { .. });
            // What was told as void, or never, is told once it counts after all.
            let is_stored = self.durable.get(&entry.chain).is_some_and(|last| entry.seq <= *last);
            let counts_now = is_stored && !self.told.contains(&(entry, fact.kind()));
            assert!(is_here || is_named || counts_now, "told apart from its record: {fact:?}");
            self.told.insert((entry, fact.kind()));
            if let Fact::Voided { told, .. } = fact {
                self.told.remove(&(told.record().1, told.kind()));
            }
        }
        for entry in &write.entries {
            let durable = self.durable.entry(entry.chain).or_default();
            assert_eq!(entry.seq, *durable + 1, "chains are written in order, each entry once");
            *durable = entry.seq;
        }
        self.stored.extend(write.entries);
        for reply in &write.replies {
            let again = self.stored_reply(&reply.idempotency);
            assert!(again.is_none(), "an outcome is stored once");
        }
        self.replies.extend(write.replies);
        for entry in &write.sealed.erased {
            self.payloads.remove(entry);
        }
        for Sealed { entry, payload } in write.sealed.kept {
            let there = self.durable.get(&entry.chain).is_some_and(|seq| *seq >= entry.seq);
            assert!(there, "a payload without its entry");
            self.payloads.insert(entry, payload);
        }
        if !write.mark.is_empty() {
            self.mark.get_or_insert_default().take(&write.mark);
        }
        if let Some(mark) = &self.mark {
            for end in &write.mark.ends {
                assert!(self.durable.get(&end.chain) >= Some(&end.seq), "the mark names what is not durable");
                assert!(mark.ends.contains_key(&end.chain));
            }
        }
        Some((write.batch, write.facts))
    }

    /// Sets its disk back to an earlier state; what lies beside the database stays as it is.
    pub(crate) fn set_back(&mut self, image: &[Entry]) {
        self.durable.clear();
        for entry in image {
            self.durable.insert(entry.chain, entry.seq);
        }
        self.stored = image.to_vec();
    }

    /// Moves its database away, with the outcomes of commands in it; what lies beside it stays.
    pub(crate) fn lose_database(&mut self) {
        self.set_back(&[]);
        self.replies.clear();
        self.payloads.clear();
    }

    /// The sealed payloads on its disk.
    pub(crate) fn sealed(&self) -> Vec<Sealed> {
        let all = self.payloads.iter();
        all.map(|(entry, payload)| Sealed { entry: *entry, payload: payload.clone() }).collect()
    }

    /// The stored outcome of a command with this key, as a runtime finds it before it asks the device.
    pub(crate) fn stored_reply(&self, idempotency: &Idempotency) -> Option<&StoredReply> {
        self.replies.iter().find(|stored| stored.idempotency.key == idempotency.key)
    }
}
