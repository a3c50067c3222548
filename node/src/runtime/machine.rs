//! What the runtime drives: proto's state machine, seen through the few calls that the runtime makes.

use popmesh_proto::clock::Now;
use popmesh_proto::id::Nonce;
use popmesh_proto::io::{Entry, Input, Output, Sealed};
use popmesh_proto::mark::Mark;
use popmesh_proto::{Config, Device, OpenError};

/// A state machine of inputs and outputs. It need not be [`Send`]: it lives and dies on the core's thread.
pub trait Machine: Sized + 'static {
    /// What it is made from, together with what is stored.
    type Config: Clone + Send + 'static;
    /// Why what is stored cannot be taken up.
    type OpenError: std::fmt::Display;

    /// Starts from what is stored.
    ///
    /// # Errors
    /// If the entries are not a log that such a machine has written.
    fn open(
        config: Self::Config,
        entries: impl Iterator<Item = Entry>,
        now: Now,
    ) -> Result<Self, Self::OpenError>;

    /// Takes back the sealed payloads that are stored, before anything else.
    fn take_back_sealed(&mut self, payloads: Vec<Sealed>);

    /// The machine is opened again in this process: the next life gets a nonce of its own, so that it never continues a chain
    /// of an earlier one.
    fn set_nonce(config: &mut Self::Config, nonce: Nonce);

    /// The next start need not doubt what is stored.
    fn trust_past(config: &mut Self::Config);

    /// The mark beside the database, for the next start.
    fn set_mark(config: &mut Self::Config, mark: Option<Mark>);

    /// Takes an input in.
    fn handle(&mut self, now: Now, input: Input);

    /// The next output. Called until there is none after one or more inputs.
    fn poll(&mut self) -> Option<Output>;
}

impl Machine for Device {
    type Config = Config;
    type OpenError = OpenError;

    fn open(
        config: Self::Config,
        entries: impl Iterator<Item = Entry>,
        now: Now,
    ) -> Result<Self, Self::OpenError> {
        Self::open(config, entries, now)
    }

    fn take_back_sealed(&mut self, payloads: Vec<Sealed>) {
        Self::take_back_sealed(self, payloads);
    }

    fn set_nonce(config: &mut Self::Config, nonce: Nonce) {
        config.nonce = nonce;
        config.goes_on = true;
    }

    fn trust_past(config: &mut Self::Config) {
        config.restored = false;
    }

    fn set_mark(config: &mut Self::Config, mark: Option<Mark>) {
        config.mark = mark;
    }

    fn handle(&mut self, now: Now, input: Input) {
        Self::handle(self, now, input);
    }

    fn poll(&mut self) -> Option<Output> {
        Self::poll(self)
    }
}
