//! Devices by what people call them: the one place where a path, a parameter or a body says which device is meant.
//!
//! A device is named by its key, by its name, or by the first digits of its key, at least four. A whole key is always a key,
//! whatever devices are called.

use std::cell::{Cell, RefCell};

use axum::http::StatusCode;
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Answer, DeviceInfo, Query};
use serde_json::json;

use super::problem::Problem;
use super::service::{Api, only};

/// So many digits mean a key, and not a name that was mistyped.
const MIN_DIGITS: usize = 4;

/// The devices that are known while a request is read.
#[derive(Default)]
pub(super) struct Names {
    known: Option<Vec<DeviceInfo>>,
    /// Whether a whole key, too, must be that of a device that is known.
    only_known: bool,
    /// Whether it has to be known who there is.
    wanted: Cell<bool>,
    problem: RefCell<Option<Problem>>,
}

impl Names {
    /// The device that a text names. Who is not known is kept as a problem, and told in short.
    pub(super) fn find(&self, text: &str) -> Result<DeviceId, &'static str> {
        if !self.only_known
            && let Ok(device) = text.parse()
        {
            return Ok(device);
        }
        let Some(known) = &self.known else {
            // Anybody: it is read again once it is known who there is.
            self.wanted.set(true);
            return Ok(DeviceId([0; 32]));
        };
        find(text, known).map_err(|problem| {
            self.problem.replace(Some(problem));
            "no device that is known"
        })
    }
}

/// Reads something in which devices may be named. What a command says of a key that nobody knows is for the device to judge;
/// a question about such a device is answered here, with `only_known`.
pub(super) async fn reading<T>(
    api: &Api,
    only_known: bool,
    read: impl Fn(&Names) -> Result<T, Problem>,
) -> Result<T, Problem> {
    {
        let nobody = Names { only_known, ..Names::default() };
        let first = read(&nobody);
        if first.is_err() || !nobody.wanted.get() {
            return first;
        }
    }
    let names = Names { known: Some(devices(api).await?), only_known, ..Names::default() };
    read(&names).map_err(|problem| names.problem.take().unwrap_or(problem))
}

/// The device that a text names, which must be one that is known, by its key too.
pub(super) async fn one(api: &Api, text: &str) -> Result<DeviceId, Problem> {
    find(text, &devices(api).await?)
}

pub(super) async fn devices(api: &Api) -> Result<Vec<DeviceInfo>, Problem> {
    api.ask(Query::Devices, only!(Answer::Devices)).await
}

fn find(text: &str, known: &[DeviceInfo]) -> Result<DeviceId, Problem> {
    let key: Option<DeviceId> = text.parse().ok();
    let by_key: Vec<&DeviceInfo> = known.iter().filter(|info| Some(info.device) == key).collect();
    let by_name: Vec<&DeviceInfo> = known.iter().filter(|info| info.name == text).collect();
    let digits = text.to_ascii_lowercase();
    let begins =
        |info: &&DeviceInfo| digits.len() >= MIN_DIGITS && info.device.to_string().starts_with(&digits);
    let by_digits: Vec<&DeviceInfo> = known.iter().filter(begins).collect();
    let found = [by_key, by_name, by_digits].into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [one] => Ok(one.device),
        [] => Err(unknown(text, known)),
        several => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "ambiguous_device",
            format!(
                "{:?} could be several devices: {}; give the first digits of the key of one",
                short(text),
                listed(several.iter().copied())
            ),
        )
        .with("device", short(text))
        .with("candidates", facts(several.iter().copied()))),
    }
}

/// A device that nobody knows of, and those that there are.
pub(super) fn unknown(text: &str, known: &[DeviceInfo]) -> Problem {
    let text = short(text);
    let detail =
        format!("no device is named {text:?}, and no key begins so; known: {}", listed(known.iter()));
    Problem::new(StatusCode::NOT_FOUND, "unknown_device", detail)
        .with("device", text)
        .with("known", facts(known.iter()))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn listed<'a>(devices: impl Iterator<Item = &'a DeviceInfo>) -> String {
    let each: Vec<String> = devices.map(|info| format!("{} ({})", info.name, info.device.short())).collect();
    each.join(", ")
}

fn facts<'a>(devices: impl Iterator<Item = &'a DeviceInfo>) -> Vec<serde_json::Value> {
    devices.map(|info| json!({"device": info.device, "name": info.name})).collect()
}

#[cfg(test)]
mod tests {
    use popmesh_proto::identity::Role;

    use super::*;

    fn info(name: &str, first: u8) -> DeviceInfo {
        DeviceInfo {
            device: DeviceId([first; 32]),
            name: name.to_owned(),
            roles: vec![Role::Pos],
            venue: "hall-a".parse().unwrap(),
            certificate_until_ms: 0,
            linked: false,
            reachable: false,
            last_heard_ms: None,
            faults: 0,
            unread: 0,
            cut_off_until_ms: None,
            clock_ahead_ms: None,
            retired_by: None,
            has_newest_secret: None,
            suspended: false,
            left_to: None,
            program: None,
        }
    }

    #[test]
    fn a_device_is_found_by_name_or_by_the_beginning_of_its_key() {
        let devices = [info("till-1", 0xab), info("till-2", 0xcd), info("twin", 1), info("twin", 2)];
        assert_eq!(find("till-1", &devices).unwrap(), DeviceId([0xab; 32]));
        assert_eq!(find("CDCD", &devices).unwrap(), DeviceId([0xcd; 32]));
        assert_eq!(find(&DeviceId([1; 32]).to_string(), &devices).unwrap(), DeviceId([1; 32]));
        assert_eq!(
            find("twin", &devices).unwrap_err().code,
            "ambiguous_device",
            "two devices have this name"
        );
        assert!(find("ab", &devices).is_err(), "too short to mean a key");
        assert!(find("till", &devices).is_err(), "names are not guessed");
    }
}
