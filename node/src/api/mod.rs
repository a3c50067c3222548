//! The HTTP API: JSON under `/v1`, events as server-sent events, metrics for Prometheus.
//!
//! On loopback anybody may call; elsewhere it speaks TLS alone, to callers with a token. It decides nothing: it reads requests, puts them to the runtime's
//! [`Handle`](crate::runtime::Handle), and writes down what comes back.

mod accept;
mod access;
mod admissions;
mod authority;
mod called;
mod console;
mod description;
mod doors;
mod events;
mod export;
mod files;
#[doc(hidden)]
pub mod fuzzed;
mod giving;
mod guard;
mod health;
mod idempotency;
mod made;
mod mesh;
mod metrics;
mod money;
mod named;
mod objects;
mod openapi;
mod page;
mod people;
mod permits;
mod picture;
mod places;
mod problem;
mod read;
mod renew;
mod request;
mod scopes;
mod server;
mod service;
mod steps;
mod taking;
mod tally;
mod trust;
mod undo;
mod write;

pub use access::{AccessCertificate, AccessNow, AccessOwn, TokenInfo, TokenMade, TokenNew};
pub use admissions::{Admission, AdmissionBy, AdmissionKnock, AdmissionNew, AdmissionTicket, AdmittedDevice};
pub use doors::{DoorsNow, Jam};
pub use events::{Event, EventItem, EventPage, Reset, ResetReason, ResetTag};
pub use export::ExportedDocument;
pub use giving::{LeaveNow, PastAcceptance, SweepNow};
pub use guard::DEVICE_HEADER;
pub use health::HealthList;
pub use idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, MAX_KEY};
pub(crate) use made::segment;
pub use mesh::{
    BleStatus, Direction, Discovered, LinkSwitch, MeshLink, MeshSnapshot, MeshView, Stranger, Strangers,
};
pub use openapi::description;
pub use page::{Envelope, List, MAX_LIMIT};
pub use people::{PersonalNew, SealedData};
pub use picture::{LinkEdge, MeshNow};
pub use problem::{PROBLEM_JSON, Problem};
pub use read::{ClaimList, Health, Peer, Peers};
pub use request::MAX_BODY;
pub use server::{BindError, DEFAULT_ADDRESS, Listener, bind};
pub use service::Api;
