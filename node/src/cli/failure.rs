//! How a command fails: what is printed, and the exit code.

use std::process::ExitCode;

use popmesh_proto::command::Fitting;
use serde_json::{Value, json};

use super::table::{Table, printable};
use super::values;
use crate::api::Problem;
use crate::clock::localised;
use crate::enrol::EnrolError;
use crate::folder::FolderError;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The node, or this program itself, refuses.
    Problem(Box<Problem>),
    /// The same, and what to do about it here.
    Advised {
        /// What.
        problem: Box<Problem>,
        /// What to do.
        help: String,
    },
    /// Something on this host is wrong.
    Here {
        /// What.
        error: String,
        /// What to do.
        help: Option<String>,
    },
    /// The node does not answer.
    Unreachable {
        /// What was tried.
        error: String,
        /// What to do.
        help: String,
    },
    /// Everything was printed already.
    Told,
}

/// A command's result.
pub(super) type Outcome = Result<(), Failure>;

impl Failure {
    /// Something on this host is wrong.
    pub(super) fn here(error: impl Into<String>) -> Self {
        Self::Here { error: error.into(), help: None }
    }

    /// What the node refuses, and what to do about it here.
    pub(super) fn advised(problem: impl Into<Box<Problem>>, help: impl Into<String>) -> Self {
        Self::Advised { problem: problem.into(), help: help.into() }
    }

    /// The same, and what to do.
    pub(super) fn with_help(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Here { error: error.into(), help: Some(help.into()) }
    }

    /// 1: refused or failed. 3: the node does not answer. 4: refused now, but the same again can do.
    fn code(&self) -> u8 {
        match self {
            Failure::Unreachable { .. } => 3,
            Failure::Problem(problem) | Failure::Advised { problem, .. }
                if problem.retry_after_s.is_some() =>
            {
                4
            }
            Failure::Problem(_) | Failure::Advised { .. } | Failure::Here { .. } | Failure::Told => 1,
        }
    }

    /// Says on standard error what is wrong and what to do.
    pub(super) fn tell(&self, json: bool) -> ExitCode {
        if json {
            if let Some(value) = self.to_json() {
                eprintln!("{value}");
            }
        } else {
            let (error, help) = self.in_words();
            if let Some(error) = error {
                eprintln!("error: {}", localised(&error));
            }
            if let Some(help) = help {
                eprintln!("help: {}", localised(&help));
            }
        }
        ExitCode::from(self.code())
    }

    fn to_json(&self) -> Option<Value> {
        match self {
            Failure::Problem(problem) | Failure::Advised { problem, .. } => {
                serde_json::to_value(problem).ok()
            }
            Failure::Here { error, help } => Some(
                json!({"type": "urn:popmesh:problem:failed", "title": "failed", "code": "failed", "detail": error, "help": help}),
            ),
            Failure::Unreachable { error, help } => {
                Some(json!({"type": "urn:popmesh:problem:node_not_reachable", "title": "node not reachable",
                    "code": "node_not_reachable", "detail": error, "help": help}))
            }
            Failure::Told => None,
        }
    }

    fn in_words(&self) -> (Option<String>, Option<String>) {
        match self {
            Failure::Problem(problem) => match fitting(problem) {
                Some((detail, help)) => (Some(detail), Some(help)),
                None => (Some(problem.detail.clone()), help_for(&problem.code).map(str::to_owned)),
            },
            Failure::Advised { problem, help } => (Some(problem.detail.clone()), Some(help.clone())),
            Failure::Here { error, help } => (Some(error.clone()), help.clone()),
            Failure::Unreachable { error, help } => (Some(error.clone()), Some(help.clone())),
            Failure::Told => (None, None),
        }
    }
}

/// Says as JSON that what was typed cannot be: exit code 2.
pub(super) fn tell_usage(text: &str) -> ExitCode {
    let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
    let (detail, help) = text.split_once("\n\n").unwrap_or((text, ""));
    let problem = json!({"type": "urn:popmesh:problem:usage", "title": "usage", "code": "usage", "detail": detail.trim(),
        "help": help.trim()});
    eprintln!("{problem}");
    ExitCode::from(2)
}

/// Several claims fit what was given for one: a line for each, at the times of this host.
fn fitting(problem: &Problem) -> Option<(String, String)> {
    if problem.code != "ambiguous_claim" {
        return None;
    }
    let named = problem.facts.get("named")?.as_str()?;
    let claims: Vec<Fitting> = serde_json::from_value(problem.facts.get("claims")?.clone()).ok()?;
    let mut table = Table::new(&["code", "sold", "by", "items", ">total"]);
    for claim in &claims {
        table.row([
            claim.code.to_string(),
            values::time(claim.at_ms),
            claim.seller.clone(),
            claim.items.clone(),
            claim.currency.format(claim.total),
        ]);
    }
    let count = problem.facts.get("count").and_then(Value::as_u64).unwrap_or(claims.len() as u64);
    let error = format!("{} fits {count} claims:\n{}", printable(named), table.to_string().trim_end());
    Some((error, "give the code of the one that is meant".to_owned()))
}

/// What to do, where the detail does not say it already.
fn help_for(code: &str) -> Option<&'static str> {
    match code {
        "unknown_sku" => Some("see `popmesh product list` and `popmesh lot list`"),
        "unknown_drop" => Some("see `popmesh drop list`"),
        "held_elsewhere" => Some("wait longer with --wait, or ask a holder to `popmesh transfer` units here"),
        "sold_out" => Some("see `popmesh stock` for what else there is"),
        "role_forbids" => Some("do it on a device that has the role, such as hq"),
        "not_stored" => Some("run `popmesh doctor`; free space on the disk or replace it"),
        "other_device" => Some("name the node with --api, or its folder with --data"),
        "token_needed" => Some("give it in POPMESH_TOKEN, or with --token - or --token @FILE"),
        "key_reused" => Some("leave --idempotency-key away to get a new key"),
        "timeout" => Some("ask again with the same --idempotency-key"),
        _ => None,
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        Self::here(error.to_string())
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        Self::here(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::here(format!("{error:#}"))
    }
}
