//! A scripted stand-in for proto's device: what a command does is in the name of the drop that it closes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};

use popmesh_proto::clock::Now;
use popmesh_proto::command::{Command, DropInfo, Refusal, Reply};
use popmesh_proto::fact::Fact;
use popmesh_proto::id::{ChainId, DeviceId, Nonce, Ref};
use popmesh_proto::io::{
    Barred, BatchId, CallId, Entry, GossipToken, Idempotency, Input, Output, Sealed, SealedWrites,
    StoredReply, Verdict,
};
use popmesh_proto::query::Answer;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::runtime::{Links, Machine};

/// What the double is made from: a nonce, and where it tells what it sees.
#[derive(Clone)]
pub(super) struct Script {
    nonce: Nonce,
    seen: UnboundedSender<String>,
    /// Received from once by each `block` command.
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
    pub(super) refuse_to_open: bool,
}

/// The test's end of a [`Script`].
pub(super) struct Watch {
    pub(super) seen: UnboundedReceiver<String>,
    pub(super) gate: mpsc::Sender<()>,
}

impl Script {
    pub(super) fn new() -> (Self, Watch) {
        let (seen_sender, seen) = unbounded_channel();
        let (gate, gate_receiver) = mpsc::channel();
        let gate_receiver = Arc::new(Mutex::new(gate_receiver));
        let script =
            Self { nonce: Nonce([0; 16]), seen: seen_sender, gate: gate_receiver, refuse_to_open: false };
        (script, Watch { seen, gate })
    }
}

impl Watch {
    /// Waits until the double or the links have seen something that starts so; answers all of it.
    pub(super) async fn until(&mut self, start: &str) -> String {
        loop {
            let seen = self.seen.recv().await.expect("the double is alive");
            if seen.starts_with(start) {
                return seen;
            }
        }
    }
}

pub(super) struct Double {
    script: Script,
    entries: u64,
    next_batch: BatchId,
    writing: Vec<(CallId, Reply)>,
    is_writing: bool,
    pending: Vec<(Entry, CallId, Reply, Option<Idempotency>)>,
    at_tick: Vec<CallId>,
    outputs: VecDeque<Output>,
}

impl Double {
    fn say(&self, what: String) {
        let _ = self.script.seen.send(what);
    }

    fn command(&mut self, now: Now, call: CallId, command: Command, idempotency: Option<Idempotency>) {
        let Command::DropNew(new) = &command else { panic!("the double only plans drops") };
        let drop = new.drop.clone();
        match drop.as_str() {
            "panic" => panic!("told to"),
            "hang" => {}
            "block" => {
                self.say("blocking".to_owned());
                let gate = self.script.gate.lock().unwrap();
                gate.recv().unwrap();
            }
            "tick" => {
                self.at_tick.push(call);
                self.outputs.push_back(Output::Wake { at_mono_ms: now.mono_ms + 30 });
            }
            "refuse" => {
                let refusal = Refusal::DropExists { drop };
                self.outputs.push_back(Output::Reply { call, result: Err(refusal) });
            }
            _ => {
                self.entries += 1;
                let body = if drop.as_str() == "large" { vec![0; 10_000] } else { new.title.clone().into() };
                let entry =
                    Entry { chain: ChainId(self.script.nonce.0), seq: self.entries, body, signature: None };
                self.pending.push((entry, call, planned(&drop, &new.title), idempotency));
            }
        }
    }
}

fn planned(drop: &popmesh_proto::text::DropId, title: &str) -> Reply {
    Reply::Drop(DropInfo::planned(drop.clone(), title.to_owned()))
}

impl Machine for Double {
    type Config = Script;
    type OpenError = String;

    fn open(config: Script, entries: impl Iterator<Item = Entry>, _: Now) -> Result<Self, String> {
        if config.refuse_to_open {
            return Err("a chain is broken".to_owned());
        }
        let entries = entries.count() as u64;
        let double = Self {
            script: config,
            entries,
            next_batch: 1,
            writing: Vec::new(),
            is_writing: false,
            pending: Vec::new(),
            at_tick: Vec::new(),
            outputs: VecDeque::new(),
        };
        double.say(format!(
            "opened {entries} {}",
            if double.script.nonce.0 == [0; 16] { "given" } else { "fresh" }
        ));
        Ok(double)
    }

    fn take_back_sealed(&mut self, payloads: Vec<Sealed>) {
        assert!(payloads.is_empty(), "it has none");
    }

    fn set_nonce(config: &mut Script, nonce: Nonce) {
        config.nonce = nonce;
    }

    fn trust_past(_: &mut Self::Config) {}

    fn set_mark(_: &mut Self::Config, _: Option<popmesh_proto::mark::Mark>) {}

    fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Command { call, command, idempotency } => self.command(now, call, command, idempotency),
            Input::Query { call, .. } => {
                let answer = Box::new(Answer::Failed(format!("{} entries", self.entries)));
                self.outputs.push_back(Output::Answer { call, answer });
            }
            Input::Stored { batch } => {
                self.say(format!("stored {batch}"));
                self.is_writing = false;
                for (call, reply) in std::mem::take(&mut self.writing) {
                    self.outputs.push_back(Output::Reply { call, result: Ok(reply) });
                }
            }
            Input::StoreFailed { problem, .. } => {
                self.say("store failed".to_owned());
                for (call, _) in std::mem::take(&mut self.writing) {
                    let result = Err(Refusal::NotStored { problem: problem.clone() });
                    self.outputs.push_back(Output::Reply { call, result });
                }
                self.pending.clear();
            }
            Input::Tick => {
                self.say("tick".to_owned());
                for call in std::mem::take(&mut self.at_tick) {
                    let drop = "tick".parse().unwrap();
                    self.outputs.push_back(Output::Reply { call, result: Ok(planned(&drop, "")) });
                }
            }
            Input::Message { from, bytes } => {
                self.say(format!("message {}", bytes.len()));
                self.outputs.push_back(Output::Send { to: from, bytes });
            }
            Input::Gossip { bytes, token, .. } => {
                self.outputs.push_back(Output::Judge { token, verdict: Verdict::Accept });
                self.outputs.push_back(Output::Publish { bytes });
            }
            Input::LinkUp { peer, .. } => self.say(format!("link up {peer}")),
            Input::LinkWidth { peer, width } => self.say(format!("link width {peer} {width:?}")),
            Input::LinkDown { peer } => self.say(format!("link down {peer}")),
        }
    }

    fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && !self.is_writing && !self.pending.is_empty() {
            let mut entries = Vec::new();
            let mut replies = Vec::new();
            let mut facts = Vec::new();
            for (entry, call, reply, idempotency) in self.pending.drain(..) {
                facts.push(changed(&entry));
                entries.push(entry);
                replies
                    .extend(idempotency.map(|idempotency| StoredReply { idempotency, reply: reply.clone() }));
                self.writing.push((call, reply));
            }
            let batch = self.next_batch;
            self.next_batch += 1;
            self.is_writing = true;
            return Some(Output::Store {
                batch,
                entries,
                replies,
                sealed: SealedWrites::default(),
                facts,
                mark: Default::default(),
            });
        }
        self.outputs.pop_front()
    }
}

/// Links that tell what goes out.
pub(super) struct Tell(pub(super) UnboundedSender<String>);

impl Tell {
    pub(super) fn of(script: &Script) -> Box<dyn Links> {
        Box::new(Self(script.seen.clone()))
    }
}

impl Links for Tell {
    fn send(&self, _: DeviceId, bytes: Vec<u8>) {
        let _ = self.0.send(format!("send {}", bytes.len()));
    }

    fn publish(&self, bytes: Vec<u8>) {
        let _ = self.0.send(format!("publish {}", bytes.len()));
    }

    fn judge(&self, token: GossipToken, verdict: Verdict) {
        let _ = self.0.send(format!("judge {token} {verdict:?}"));
    }

    fn cut_off(&self, peer: DeviceId, for_ms: u64) {
        let _ = self.0.send(format!("cut off {peer} for {for_ms}"));
    }

    fn bar(&self, barred: &Barred) {
        let _ = self.0.send(format!("bar {} and {}", barred.quiet.len(), barred.shut.len()));
    }

    fn probe(&self, peer: DeviceId) {
        let _ = self.0.send(format!("probe {peer}"));
    }
}

/// What an entry tells.
pub(super) fn changed(entry: &Entry) -> Fact {
    Fact::ProgrammeChanged {
        at_ms: 1,
        entry: Ref { chain: entry.chain, seq: entry.seq },
        by: DeviceId([2; 32]),
        by_name: "till".to_owned(),
    }
}
