//! One device in memory: what it wants stored is stored at once, what it sends is kept, time passes when it is told.

use popmesh_proto::clock::Now;
use popmesh_proto::command::{Command, Refusal, Reply};
use popmesh_proto::fact::Signal;
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::io::{Entry, Input, Output, Verdict};
use popmesh_proto::links::Width;
use popmesh_proto::pin::EventSecret;
use popmesh_proto::query::{Answer, Check, Query, Status};
use popmesh_proto::{Config, Device};

use crate::event::{EPOCH_MS, Event, Party};

/// A second, in which most of what a device does by itself happens once.
pub(crate) const SECOND_MS: u64 = 1_000;

/// More messages than two devices with so small a log need.
const MOST_MESSAGES: usize = 2_000;

pub(crate) struct Node {
    config: Config,
    device: Device,
    pub(crate) stored: Vec<Entry>,
    pub(crate) sent: Vec<(DeviceId, Vec<u8>)>,
    pub(crate) published: Vec<Vec<u8>>,
    pub(crate) faults: Vec<String>,
    pub(crate) verdict: Option<Verdict>,
    replies: Vec<(u64, Result<Reply, Refusal>)>,
    answer: Option<Answer>,
    linked: Option<DeviceId>,
    /// Every message it was given, and all gossip, in two lists.
    pub(crate) heard: [Vec<Vec<u8>>; 2],
    since_ms: u64,
    calls: u64,
    life: u8,
}

/// A peer that is no device of the event's.
const NOBODY: DeviceId = DeviceId([0xfe; 32]);

impl Node {
    /// Opens a device so long after the event was made, from what is stored.
    pub(crate) fn open(event: &Event, party: &Party, stored: &[Entry], since_ms: u64) -> Self {
        // Another one at each start: with the same the device would go on with a life that has ended.
        let mut nonce = Nonce([0; 16]);
        nonce.0[8..].copy_from_slice(&since_ms.to_be_bytes());
        let config = Config {
            secrets: EventSecret::derive(&event.root, &event.charter.event()).into(),
            doors: true,
            ..Config::new(party.secret.clone(), event.charter.clone(), party.certificate.clone(), nonce)
        };
        let now = Now { wall_ms: EPOCH_MS + since_ms, mono_ms: 0 };
        let device =
            Device::open(config.clone(), stored.iter().cloned(), now).expect("what was stored opens");
        let mut node = Self {
            config,
            device,
            stored: stored.to_vec(),
            sent: Vec::new(),
            published: Vec::new(),
            faults: Vec::new(),
            verdict: None,
            replies: Vec::new(),
            answer: None,
            linked: None,
            heard: Default::default(),
            since_ms,
            calls: 0,
            life: 0,
        };
        node.give(Input::Tick);
        node
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.device.id()
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    fn now(&self) -> Now {
        Now { wall_ms: EPOCH_MS + self.since_ms, mono_ms: self.since_ms }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.since_ms += ms;
        self.give(Input::Tick);
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.device.handle(self.now(), input);
        while let Some(output) = self.device.poll() {
            match output {
                Output::Store { batch, entries, .. } => {
                    self.stored.extend(entries);
                    self.device.handle(self.now(), Input::Stored { batch });
                }
                Output::Send { to, bytes } | Output::Tell { to, bytes } => self.sent.push((to, bytes)),
                Output::Publish { bytes } => self.published.push(bytes),
                Output::Judge { verdict, .. } => self.verdict = Some(verdict),
                Output::Reply { call, result } => self.replies.push((call, result)),
                Output::Answer { answer, .. } => self.answer = Some(*answer),
                Output::Signal(Signal::PeerFault { text, .. }) => self.faults.push(text),
                Output::Reopen { .. } => {
                    self.reopen();
                    return;
                }
                Output::Install { certificate } => self.config.certificate = certificate,
                Output::Wake { .. }
                | Output::OpenDoor { .. }
                | Output::CutOff { .. }
                | Output::Probe { .. }
                | Output::Bar(_)
                | Output::Secrets { .. }
                | Output::Signal(_) => {}
            }
        }
    }

    /// Drops the device, and opens it from what it has stored.
    pub(crate) fn reopen(&mut self) {
        self.life += 1;
        self.config.nonce.0[0] = self.life;
        self.device = Device::open(self.config.clone(), self.stored.iter().cloned(), self.now())
            .expect("what was stored opens");
        self.give(Input::Tick);
        if let Some(peer) = self.linked {
            self.give(Input::LinkUp { peer, width: Width::Broad });
        }
    }

    /// Whether it knows that a device was retired.
    pub(crate) fn bars(&self, device: &DeviceId) -> bool {
        self.device.trust().retired().contains_key(device)
    }

    pub(crate) fn link_up(&mut self, peer: DeviceId) {
        self.linked = Some(peer);
        self.give(Input::LinkUp { peer, width: Width::Broad });
    }

    pub(crate) fn link_down(&mut self) {
        if let Some(peer) = self.linked.take() {
            self.give(Input::LinkDown { peer });
        }
    }

    pub(crate) fn message(&mut self, from: DeviceId, bytes: Vec<u8>) {
        // What a retired device wrote comes through others: from itself nothing is taken.
        let from = if self.bars(&from) { NOBODY } else { from };
        self.heard[0].push(bytes.clone());
        self.give(Input::Message { from, bytes });
    }

    pub(crate) fn gossip(&mut self, from: DeviceId, bytes: Vec<u8>) -> Verdict {
        self.heard[1].push(bytes.clone());
        self.verdict = None;
        self.calls += 1;
        self.give(Input::Gossip { from, bytes, token: self.calls });
        self.verdict.expect("gossip is judged at once")
    }

    /// Gives a command, waits for as long as any may take, and returns its outcome.
    pub(crate) fn command(&mut self, command: Command) -> Result<Reply, Refusal> {
        self.calls += 1;
        let call = self.calls;
        self.give(Input::Command { call, command, idempotency: None });
        for wait_ms in [0, SECOND_MS, 70 * SECOND_MS] {
            if wait_ms > 0 {
                self.pass(wait_ms);
            }
            let found = self.replies.iter().position(|(of, _)| *of == call);
            if let Some(found) = found {
                return self.replies.swap_remove(found).1;
            }
        }
        panic!("a command that is never answered");
    }

    pub(crate) fn done(&mut self, command: Command) -> Reply {
        self.pass(SECOND_MS);
        self.command(command).expect("it can be done")
    }

    pub(crate) fn query(&mut self, query: Query) -> Answer {
        self.calls += 1;
        self.give(Input::Query { call: self.calls, query });
        self.answer.take().expect("a query is answered at once")
    }

    pub(crate) fn status(&mut self) -> Status {
        match self.query(Query::Status) {
            Answer::Status(status) => status,
            other => panic!("no status: {other:?}"),
        }
    }

    pub(crate) fn check(&mut self) -> Check {
        match self.query(Query::Check) {
            Answer::Check(check) => check,
            other => panic!("no check: {other:?}"),
        }
    }

    /// What must hold whatever it was given: it answers, all that it believes follows from its log and adds up, and what it
    /// has stored opens again and says the same.
    pub(crate) fn assert_sound(&mut self) {
        let check = self.check();
        assert_eq!(check.problems, Vec::<String>::new(), "incidents: {:?}", check.incidents);
        let before = (self.status().digest, self.view());
        self.reopen();
        let own = self.device.log().len() as usize;
        assert!(own <= self.stored.len(), "more is in the log than was stored");
        let after = (self.status().digest, self.view());
        assert_eq!(before, after, "another view after a restart");
    }

    /// What every device has to agree on, as text.
    pub(crate) fn view(&mut self) -> String {
        let holdings = self.device.holdings();
        let parcels: Vec<_> = holdings.live().collect();
        format!("{parcels:?} {:?}", holdings.balances())
    }
}

/// Has two devices exchange what they have until they agree. Returns whether they do.
pub(crate) fn exchange(a: &mut Node, b: &mut Node) -> bool {
    let (of_a, of_b) = (a.id(), b.id());
    a.link_up(of_b);
    b.link_up(of_a);
    let mut agreed = false;
    let mut said = 0;
    for _ in 0..40 {
        loop {
            let (from_a, from_b) = (std::mem::take(&mut a.sent), std::mem::take(&mut b.sent));
            let gossip = (std::mem::take(&mut a.published), std::mem::take(&mut b.published));
            if from_a.is_empty() && from_b.is_empty() && gossip.0.is_empty() && gossip.1.is_empty() {
                break;
            }
            said += from_a.len() + from_b.len();
            assert!(said < MOST_MESSAGES, "they talk without end");
            from_a.into_iter().filter(|(to, _)| *to == of_b).for_each(|(_, bytes)| b.message(of_a, bytes));
            from_b.into_iter().filter(|(to, _)| *to == of_a).for_each(|(_, bytes)| a.message(of_b, bytes));
            gossip.0.into_iter().for_each(|bytes| _ = b.gossip(of_a, bytes));
            gossip.1.into_iter().for_each(|bytes| _ = a.gossip(of_b, bytes));
        }
        agreed = a.device.log().digest(false) == b.device.log().digest(false);
        if agreed {
            break;
        }
        a.pass(SECOND_MS / 4);
        b.pass(SECOND_MS / 4);
    }
    a.link_down();
    b.link_down();
    agreed
}
