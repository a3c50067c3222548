//! What every handler shares, and the router that binds handlers to paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use popmesh_proto::command::{Command, Reply};
use popmesh_proto::id::DeviceId;
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, Query};
use tokio::sync::{Mutex, watch};

use super::health::Looked;
use super::idempotency::MadeUnder;
use super::mesh::MeshView;
use super::metrics::Metrics;
use super::permits::{Permits, REQUESTS, STREAMS};
use super::problem::Problem;
use super::request::MAX_BODY;
use super::tally::Tally;
use super::{admissions, console, guard, openapi};
use crate::access::{Reached, Rights, Throttle};
use crate::door::Doors;
use crate::folder::Folder;
use crate::join::Windows;
use crate::personal::Sealer;
use crate::runtime::{CallError, Handle, Outcome, RuntimeMetrics};

/// Picks one variant of an answer or a reply.
macro_rules! only {
    ($variant:path) => {
        |value| match value {
            $variant(inner) => Some(inner),
            _ => None,
        }
    };
}
pub(super) use only;

/// The API of one running device. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(super) handle: Handle,
    pub(super) mesh: Arc<dyn MeshView>,
    pub(super) device: DeviceId,
    pub(super) metrics: Arc<Metrics>,
    pub(super) counters: Arc<RuntimeMetrics>,
    pub(super) doors: Option<Doors>,
    pub(super) folder: Option<Folder>,
    pub(super) looked: Arc<Looked>,
    pub(super) reached: Option<Arc<Reached>>,
    /// The tokens that were made under which key.
    pub(super) made_tokens: Arc<Mutex<MadeUnder<String>>>,
    /// The windows for new devices, and those that were opened under which key.
    pub(super) windows: Option<Windows>,
    pub(super) made_admissions: Arc<Mutex<MadeUnder<[u8; 8]>>>,
    pub(super) sealer: Option<Sealer>,
    pub(super) rights: Option<Rights>,
    pub(super) throttle: Arc<Throttle>,
    /// Names by which callers from elsewhere may call this host.
    pub(super) names: Arc<[String]>,
    pub(super) requests: Arc<Permits>,
    pub(super) streams: Arc<Permits>,
    pub(super) tally: Arc<Tally>,
    pub(super) stopping: watch::Sender<bool>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api of {:?}", self.device)
    }
}

impl Api {
    /// The API of `device`, which answers through `handle`; the mesh's facts come from `mesh`, the runtime's from
    /// `counters`.
    pub fn new(
        device: DeviceId,
        handle: Handle,
        mesh: Arc<dyn MeshView>,
        counters: Arc<RuntimeMetrics>,
    ) -> Self {
        Self {
            handle,
            mesh,
            device,
            metrics: Arc::new(Metrics::new()),
            counters,
            doors: None,
            folder: None,
            looked: Arc::default(),
            reached: None,
            made_tokens: Arc::default(),
            windows: None,
            made_admissions: Arc::default(),
            sealer: None,
            rights: None,
            throttle: Arc::default(),
            names: Arc::default(),
            requests: Permits::new(REQUESTS),
            streams: Permits::new(STREAMS),
            tally: Arc::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// The same, showing the doors of the device's compartments.
    #[must_use]
    pub fn with_doors(mut self, doors: Option<Doors>) -> Self {
        self.doors = doors;
        self
    }

    /// The same, of a device with this data folder, which is looked at for what is wrong with it, and admits others if that may.
    #[must_use]
    pub fn with_folder(mut self, folder: Folder) -> Self {
        self.windows = admissions::windows(folder.clone(), self.handle.clone());
        self.folder = Some(folder);
        self
    }

    /// The same, which is reached like this.
    #[must_use]
    pub fn with_reached(mut self, reached: Reached) -> Self {
        self.reached = Some(Arc::new(reached));
        self
    }

    /// The same, taking personal data, which it seals with this.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// The same, for callers with these tokens, who may call this host by these names. Without it no token is good.
    #[must_use]
    pub fn with_rights(mut self, rights: Rights, names: Vec<String>) -> Self {
        self.rights = Some(rights);
        self.names = names.into();
        self
    }

    pub(super) fn router(&self) -> Router {
        let (routes, _) = openapi::routes().split_for_parts();
        routes
            .fallback(no_such_route)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(self.clone(), guard::around))
            // Around the guard, which reads the body.
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self.clone())
            .merge(console::router(self).with_state(self.clone()))
    }

    pub(super) async fn ask<T>(
        &self,
        query: Query,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, Problem> {
        match self.handle.query(query).await? {
            Answer::Failed(problem) => {
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_answered", problem).retry())
            }
            answer => pick(answer).ok_or_else(Problem::mismatch),
        }
    }

    pub(super) async fn act<T>(
        &self,
        command: Command,
        idempotency: Option<Idempotency>,
        pick: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<(T, bool), Problem> {
        match self.handle.command(command, idempotency).await {
            Ok(Outcome { reply, repeated }) => {
                pick(reply).map(|done| (done, repeated)).ok_or_else(Problem::mismatch)
            }
            Err(error) => {
                let refused = matches!(error, CallError::Refused(_));
                let problem = Problem::from(error);
                if refused {
                    self.metrics.refused(&problem.code);
                }
                Err(problem)
            }
        }
    }
}

async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        format!("there is nothing at {}; see /v1/openapi.json for what there is", uri.path()),
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not take {method}; the Allow header says what it takes", uri.path()),
    )
}
