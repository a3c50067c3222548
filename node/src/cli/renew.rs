//! `popmesh device renew`, and what to do about a certificate that ends.

use clap::Args;
use popmesh_proto::command::{MAX_RENEWAL_DAYS, Renew, Renewed};
use popmesh_proto::identity::{ENDS_SOON_MS, Role};

use super::args::{Retry, Target};
use super::client::{Client, print};
use super::failure::Outcome;
use super::table::printable;
use super::{join, values};
use crate::folder::Folder;

/// Renew certificates.
#[derive(Debug, Args)]
pub(super) struct RenewArgs {
    /// The device: its name, or the first digits of its key
    #[arg(required_unless_present = "all")]
    device: Option<String>,
    /// Every device whose certificate this one may sign, and which then holds for longer
    #[arg(long, conflicts_with = "device")]
    all: bool,
    /// For how many days from now, or for as long as this device's own holds if that is less
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RENEWAL_DAYS)), conflicts_with = "until")]
    days: u32,
    /// Until when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    target: Target,
}

pub(super) fn renew(args: &RenewArgs, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&args.target, folder)?;
    let device = args.device.as_deref().map(|name| client.device(name)).transpose()?;
    let until_ms = args.until.map(join::unix_ms).transpose()?;
    let body = Renew { device, days: until_ms.is_none().then_some(args.days), until_ms };
    let key = args.retry.idempotency_key.as_deref();
    let done: Renewed = client.post("/v1/devices/renewals", Some(&body), key)?;
    print(json, &done, || {
        let renewed = done.devices.iter().map(|renewed| {
            format!("renewed    {}, until {}", printable(&renewed.name), values::time(renewed.until_ms))
        });
        let skipped = done
            .skipped
            .iter()
            .map(|skipped| format!("as before  {}: {}", printable(&skipped.name), printable(&skipped.why)));
        let lines: Vec<String> = renewed.chain(skipped).collect();
        if lines.is_empty() { "There are no other devices.".to_owned() } else { lines.join("\n") }
    })
}

/// What to do about a certificate that ends at `until_ms`, if it is time to.
pub(super) fn advice(name: &str, roles: &[Role], until_ms: u64, now_ms: u64) -> Option<String> {
    let is_organisers = roles.iter().any(|role| matches!(role, Role::Hq | Role::Registrar));
    let name = printable(name);
    if now_ms >= until_ms {
        let who = if is_organisers { "the organiser" } else { "an hq" };
        return Some(format!(
            "over: have {who} admit this device again, with `popmesh join` here, or set the clock"
        ));
    }
    let soon = until_ms - now_ms <= ENDS_SOON_MS;
    soon.then(|| match is_organisers {
        true => {
            "ends soon: have the organiser sign another, or admit this device again with `popmesh join` here"
                .to_owned()
        }
        false => format!("ends soon: renew it with `popmesh device renew {name}` on an hq"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_do_something_is_told_in_time_what() {
        let until_ms = 10 * ENDS_SOON_MS;
        let told = |roles: &[Role], now_ms| advice("till", roles, until_ms, now_ms).unwrap_or_default();
        assert_eq!(told(&[Role::Pos], until_ms - ENDS_SOON_MS - 1), "");
        assert!(told(&[Role::Pos], until_ms - ENDS_SOON_MS).contains("device renew till"));
        assert!(told(&[Role::Pos, Role::Hq], until_ms - 1).contains("the organiser sign another"));
        assert!(told(&[Role::Registrar], until_ms).contains("have the organiser admit"));
        assert!(told(&[Role::Pos], until_ms).contains("have an hq admit this device again"));
    }
}
