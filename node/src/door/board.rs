//! A board that opens doors over HTTP.

use std::time::Duration;

use futures::future::BoxFuture;
use popmesh_proto::text::Compartment;
use tokio::task::spawn_blocking;
use ureq::Agent;

use super::spec::SLOT;
use super::{DoorError, Driver};

/// Asks a board with a POST; any answer from 200 to 299 means that the door opened.
#[derive(Debug)]
pub struct Board {
    agent: Agent,
    url: String,
    within: Duration,
}

impl Board {
    /// The board at `url`, which has `{compartment}` in it, and is to answer within so long.
    pub fn new(url: String, within: Duration) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(within))
            .build()
            .new_agent();
        Self { agent, url, within }
    }

    fn ask(agent: &Agent, url: &str, within: Duration) -> Result<(), DoorError> {
        match agent.post(url).send_empty() {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(DoorError::Answered(answer.status().as_u16())),
            Err(ureq::Error::Timeout(_)) => Err(DoorError::Late(within)),
            Err(error) => Err(DoorError::Unreachable(error.to_string())),
        }
    }
}

impl Driver for Board {
    fn open<'a>(&'a self, compartment: &'a Compartment) -> BoxFuture<'a, Result<(), DoorError>> {
        let (agent, within) = (self.agent.clone(), self.within);
        let url = self.url.replace(SLOT, &escaped(compartment.as_str()));
        Box::pin(async move {
            let asked = spawn_blocking(move || Self::ask(&agent, &url, within)).await;
            asked.unwrap_or_else(|error| Err(DoorError::Unreachable(error.to_string())))
        })
    }
}

/// A compartment may have letters that a URL may not.
fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
