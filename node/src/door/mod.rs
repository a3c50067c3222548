//! Doors of compartments: what opens one, and the keeper who has them opened when the device wants it and says how each
//! behaved.
//!
//! The device wants a door opened when the redemption is durable, whoever asked for it and whether he still listens. A door
//! that was not reported on when the node ends is left alone by the next start: it is in doubt, and a person looks.

mod board;
mod keeper;
mod program;
mod spec;
mod virtual_doors;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use popmesh_proto::text::Compartment;

pub use board::Board;
pub use keeper::Keeper;
pub use program::Program;
pub use spec::{DoorSpec, SpecError};
pub use virtual_doors::{VirtualDoor, VirtualDoors};

/// For how long a door may take, unless told otherwise.
pub const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Why a door did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// A virtual door that was jammed on purpose.
    #[error("jammed, for a rehearsal")]
    Jammed,
    /// Nothing came back in time. The door may have opened all the same.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The board answered, but not that it opened.
    #[error("the board answered {0}")]
    Answered(u16),
    /// The board cannot be asked.
    #[error("the board cannot be reached: {0}")]
    Unreachable(String),
    /// The program cannot be run.
    #[error("{program} cannot be run: {problem}")]
    NotRun {
        /// Which.
        program: String,
        /// What the system said.
        problem: String,
    },
    /// The program ran, and failed.
    #[error("the program ended with {status}{}", words_of(.said))]
    Failed {
        /// How.
        status: String,
        /// The first line that it wrote on standard error.
        said: String,
    },
}

fn words_of(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Opens the doors of a device's compartments.
pub trait Driver: Send + Sync + 'static {
    /// Opens one, once. Is called for one compartment at a time, and never again by itself.
    fn open<'a>(&'a self, compartment: &'a Compartment) -> BoxFuture<'a, Result<(), DoorError>>;
}

/// The doors of a running node. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    name: Arc<str>,
    driver: Arc<dyn Driver>,
    virtual_doors: Option<Arc<VirtualDoors>>,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doors by {}", self.name)
    }
}

impl Doors {
    /// Doors that `spec` names, each of which may take so long.
    pub fn new(spec: &DoorSpec, within: Duration) -> Self {
        let name = spec.to_string().into();
        let (driver, virtual_doors): (Arc<dyn Driver>, _) = match spec {
            DoorSpec::Virtual => {
                let doors = Arc::new(VirtualDoors::default());
                let driver: Arc<dyn Driver> = doors.clone();
                (driver, Some(doors))
            }
            DoorSpec::Http(url) => (Arc::new(Board::new(url.clone(), within)), None),
            DoorSpec::Exec(program) => (Arc::new(Program::new(program.clone(), within)), None),
        };
        Self { name, driver, virtual_doors }
    }

    /// Doors that a driver opens which is none of ours.
    pub fn by(name: &str, driver: Arc<dyn Driver>) -> Self {
        Self { name: name.into(), driver, virtual_doors: None }
    }

    /// What opens them, as `popmesh run --door` was told.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// They themselves, if they are virtual.
    pub fn virtual_doors(&self) -> Option<&VirtualDoors> {
        self.virtual_doors.as_deref()
    }
}
