//! `popmesh device renew`, and what to do about a certificate that ends.

use std::path::{Path, PathBuf};

use clap::Args;
use popmesh_proto::command::{MAX_RENEWAL_DAYS, Renew, Renewed};
use popmesh_proto::identity::{Enrolment, Role};

use super::args::{Retry, Target};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::{device, join, note_closed, values};
use crate::clock::now_ms;
use crate::enrol::{self, DAY_MS, Grant, Issuer, Validity};
use crate::folder::{self, Folder};
use crate::health;

/// Renew certificates.
#[derive(Debug, Args)]
pub(super) struct RenewArgs {
    /// The device: its name, or the first digits of its key
    #[arg(required_unless_present_any = ["all", "event"])]
    device: Option<String>,
    /// Every device whose certificate this one may sign, and which then holds for longer
    #[arg(long, conflicts_with = "device")]
    all: bool,
    /// This device's own, with the organiser's key, which is in this folder: what an hq or a registrar needs. Its node takes it
    /// up when it is started again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["device", "all", "idempotency_key", "api", "api_token"])]
    event: Option<PathBuf>,
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
    if let Some(organiser) = &args.event {
        return renew_own(args, organiser, folder, json);
    }
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
        let skipped = done.skipped.iter().map(|skipped| format!("as before  {}", printable(&skipped.why)));
        let lines: Vec<String> = renewed.chain(skipped).collect();
        if lines.is_empty() { "There are no other devices.".to_owned() } else { lines.join("\n") }
    })
}

/// Signs this device's own certificate anew, with the organiser's key.
fn renew_own(args: &RenewArgs, organiser: &Path, folder: &Folder, json: bool) -> Outcome {
    note_closed(folder.close()?.as_ref());
    note_closed(folder::close(organiser)?.as_ref());
    let (identity, issuer, now_ms) = (folder.identity()?, Issuer::organiser(organiser)?, now_ms());
    enrol::check_event(folder, issuer.charter())?;
    let own = &identity.certificate;
    let until_ms = args.until.map(join::unix_ms).transpose()?;
    let lasts_ms = now_ms.saturating_add(u64::from(args.days) * DAY_MS);
    let until_ms = until_ms.unwrap_or(lasts_ms);
    if until_ms <= own.not_after_ms {
        return Err(Failure::with_help(
            format!("{} is good until {} already", printable(&own.name), values::time(own.not_after_ms)),
            "give more --days, or a later --until",
        ));
    }
    let grant = Grant {
        roles: own.roles,
        venue: own.venue.clone(),
        name: None,
        validity: Validity { from_ms: Some(own.not_before_ms), until_ms: Some(until_ms), days: args.days },
    };
    let enrolment = Enrolment { device: own.device, name: own.name.clone() };
    let signed = issuer.sign(enrolment, &grant, now_ms)?;
    enrol::install(folder, issuer.charter(), &signed, Some(issuer.secrets()), now_ms)?;
    print(json, &device::facts(&signed, issuer.charter(), &folder.certificate_path()), || {
        let restart = match folder.announced_api() {
            Some(_) => "\nIts node takes that up at its next start: stop it, and `popmesh run` again.",
            None => "",
        };
        format!(
            "renewed    {}, until {}{restart}",
            printable(&signed.name),
            values::time(signed.not_after_ms)
        )
    })
}

/// What to do about a certificate that ends at `until_ms`, if it is time to.
pub(super) fn advice(name: &str, roles: &[Role], until_ms: u64, now_ms: u64) -> Option<String> {
    let ending = health::ending(&printable(name), roles, until_ms, now_ms)?;
    Some(format!("{}: {}", ending.what, ending.next))
}
