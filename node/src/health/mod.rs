//! What is wrong with a device, in words for a person, with the next step: the one list that `popmesh doctor` prints and
//! the API gives.
//!
//! `here` looks at what needs no running node (clock, folder, disk, key, certificate, network); `device` at what a running one
//! answers. Each *finding* has a code and the values in its words, so that a page can say it in another language.

mod device;
mod disk;
mod folder;
mod here;

use std::collections::BTreeMap;

use popmesh_proto::id::DeviceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use device::{Answers, of_device, of_store, receipts_in_words};
pub(crate) use here::{ending, event_secret_missing, here, is_possible};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is well.
    Ok,
    /// Somebody should look at it; what the device is for goes on.
    Look,
    /// Something does not work until somebody acts.
    Act,
}

/// One thing that was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What was looked at, such as `clock` or `books`.
    pub check: String,
    /// What was found, such as `clock_ok`: the same code always means the same words.
    #[schema(example = "certificate_ends")]
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is the case, in English.
    pub text: String,
    /// What to do next, in English; absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The values in these words, by name: texts, numbers, and lists of texts. Those whose names end in `_ms` are times,
    /// Unix milliseconds, but for `apart_ms`, which is a span.
    #[schema(value_type = Object)]
    pub params: BTreeMap<String, Value>,
    /// Since when, Unix milliseconds; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// The other device that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

impl Finding {
    /// Nothing is wrong.
    pub(crate) fn ok(check: &str, code: &str, text: impl Into<String>) -> Self {
        Self::new(check, code, Severity::Ok, text.into(), None)
    }

    /// Somebody should look at it.
    pub(crate) fn look(check: &str, code: &str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(check, code, Severity::Look, text.into(), Some(next.into()))
    }

    /// Somebody must act.
    pub(crate) fn act(check: &str, code: &str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(check, code, Severity::Act, text.into(), Some(next.into()))
    }

    fn new(check: &str, code: &str, severity: Severity, text: String, next: Option<String>) -> Self {
        let (check, code) = (check.to_owned(), code.to_owned());
        Self { check, code, severity, text, next, params: BTreeMap::new(), since_ms: None, device: None }
    }

    /// The same, with a value that its words have.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// The same, since then, if that is known.
    #[must_use]
    pub(crate) fn since(self, since_ms: Option<u64>) -> Self {
        Self { since_ms, ..self }
    }

    /// The same, about another device.
    #[must_use]
    pub(crate) fn about(self, device: DeviceId) -> Self {
        Self { device: Some(device), ..self }
    }
}
