//! Carries out what the device wants.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use popmesh_proto::fact::Fact;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::identity::SignedCertificate;
use popmesh_proto::io::{BatchId, GossipToken, Output, Verdict};
use popmesh_proto::mark::{Mark, Marking};
use popmesh_proto::pin::EventSecrets;
use popmesh_proto::text::Compartment;
use popmesh_store::{Appended, KeyPrefix, key_prefix};
use tokio::sync::mpsc;

use super::book::Book;
use super::events::Events;
use super::mesh::Links;
use super::writer::Job;

/// The write under way.
pub(super) struct Write {
    batch: BatchId,
    keys: Vec<KeyPrefix>,
    mark: Marking,
    facts: Arc<[Fact]>,
}

/// A door that the device wants opened: what it is opened for is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The redemption.
    pub redemption: Ref,
    /// The compartment.
    pub compartment: Compartment,
}

/// What the device wants kept where its next start finds it, and known all around it from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Its own certificate, renewed.
    Certificate(SignedCertificate),
    /// The event's secret, that of all epochs.
    Secrets(EventSecrets),
    /// All devices that were retired.
    Retired(Vec<DeviceId>),
}

/// Everything around the device that its outputs act on.
pub(super) struct Effects {
    pub(super) jobs: Sender<Job>,
    pub(super) links: Box<dyn Links>,
    pub(super) events: Events,
    /// Not bounded here: the device wants each door of a redemption once until it has heard how that went.
    pub(super) doors: mpsc::UnboundedSender<Wanted>,
    /// Not bounded here: one a renewal or a retirement, and some at a start.
    pub(super) kept: mpsc::UnboundedSender<Keep>,
    pub(super) book: Book,
    /// The mark beside the database, as it is by now.
    pub(super) mark: Option<Mark>,
    pub(super) write: Option<Write>,
    pub(super) wake_at_ms: Option<u64>,
}

impl Effects {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Store { batch, entries, replies, sealed, facts, mark } => {
                debug_assert!(self.write.is_none(), "only one write is under way at a time");
                let keys = replies.iter().map(|stored| key_prefix(&stored.idempotency.key)).collect();
                let facts: Arc<[Fact]> = facts.into();
                self.write = Some(Write { batch, keys, mark: mark.clone(), facts: Arc::clone(&facts) });
                self.job(Job::Append { batch, entries, replies, sealed, facts, mark });
            }
            Output::Send { to, bytes } => self.links.send(to, bytes),
            Output::Publish { bytes } => self.links.publish(bytes),
            Output::Judge { token, verdict } => self.links.judge(token, verdict),
            Output::CutOff { peer, for_ms } => self.links.cut_off(peer, for_ms),
            Output::Probe { peer } => self.links.probe(peer),
            Output::Reply { call, result } => self.book.reply(call, result),
            Output::Answer { call, answer } => self.book.answer(call, *answer),
            Output::Wake { at_mono_ms } => self.wake_at_ms = Some(at_mono_ms),
            // Nobody keeps the doors of a node that stops; what it still wanted opened is in doubt at its next start.
            Output::OpenDoor { redemption, compartment } => {
                drop(self.doors.send(Wanted { redemption, compartment }));
            }
            // A node that stops is told again at its next start.
            Output::Install { certificate } => drop(self.kept.send(Keep::Certificate(certificate))),
            Output::Secrets { secrets } => drop(self.kept.send(Keep::Secrets(secrets))),
            Output::Bar(barred) => {
                self.links.bar(&barred);
                drop(self.kept.send(Keep::Retired(barred.retired)));
            }
            Output::Tell { to, bytes } => self.links.send(to, bytes),
            // The core's to do.
            Output::Reopen { problem } => tracing::error!(%problem, "a device that ends wants to begin anew"),
            Output::Signal(signal) => self.events.signal(signal),
        }
    }

    /// Carries out the last outputs of a device whose write failed: it may say goodbye, and write no more.
    pub(super) fn carry_out_last(&mut self, output: Output) {
        match output {
            Output::Store { batch, .. } => {
                tracing::error!(batch, "a device whose write failed wanted to write again; ignored");
            }
            other => self.carry_out(other),
        }
    }

    /// Takes note that a write is durable.
    pub(super) fn stored(&mut self, batch: BatchId, appended: Appended) {
        match self.write.take() {
            Some(write) if write.batch == batch => {
                let Appended { first_answer, told } = appended;
                self.book.stored(&write.keys, first_answer);
                self.events.publish(told.events, told.oldest, write.facts);
                if !write.mark.is_empty() {
                    self.mark.get_or_insert_default().take(&write.mark);
                }
            }
            _ => tracing::error!(batch, "a write was stored that was not under way"),
        }
    }

    /// Lets gossip go that nobody can judge now.
    pub(super) fn ignore(&self, token: GossipToken) {
        self.links.judge(token, Verdict::Ignore);
    }

    pub(super) fn job(&self, job: Job) {
        // If the writer is gone, the core learns it from the writer's own channel and ends.
        let _ = self.jobs.send(job);
    }
}
