//! `popmesh join`, `popmesh device admit` and `popmesh device ticket`: joining over the local network.

mod admitting;
mod newcomer;
mod tickets;

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use popmesh_proto::identity::Roles;
use popmesh_proto::text::Place;

use super::failure::Failure;
use super::given::{Given, not_in_arguments};
use super::{Data, known, note_closed, values};
use crate::enrol::{Grant, ORGANISER_KEY, Validity};
use crate::folder::{self, Folder};
use crate::join::{Admitting, ListenError, MAX_COUNT};
use crate::qr::Code;

pub(super) use admitting::admit;
pub(super) use newcomer::join;
pub(super) use tickets::{ticket, tickets};

/// Characters of a prefix of names, which have up to 80.
const PREFIX_MAX: usize = 40;
/// The longest that a ticket can be good for.
const MAX_FOR: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Join an event over the network.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// The device's name, for people [default: this host's name]
    #[arg(long)]
    name: Option<String>,
    /// Join with a ticket, unattended: - reads it from standard input, @FILE from a file
    #[arg(long, value_name = "-|@FILE", value_parser = not_in_arguments)]
    ticket: Option<Given>,
    /// Where tickets are served, instead of looking for that by mDNS
    #[arg(long, value_name = "ADDR", requires = "ticket")]
    at: Option<SocketAddr>,
    /// Where to wait for who admits this device [default: every address of this host, any free port]
    #[arg(long, value_name = "ADDR", conflicts_with = "ticket")]
    listen: Option<SocketAddr>,
    /// Do not announce this device by mDNS: who admits it gives its address
    #[arg(long, conflicts_with = "ticket")]
    no_mdns: bool,
    /// For how long to try
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    wait: Duration,
}

/// Admit a device over the network, or serve tickets.
#[derive(Debug, Args)]
pub(super) struct Admit {
    /// The code that the device shows, or the text of its QR code; - reads it from standard input, where other users of
    /// this host do not see it
    #[arg(required_unless_present = "tickets")]
    code: Option<Given>,
    /// Admit whoever has a ticket, until stopped
    #[arg(long, conflicts_with_all = ["code", "role", "venue", "name", "reuse_name", "at", "days", "from", "until"])]
    tickets: bool,
    #[command(flatten)]
    by: IssuerArgs,
    /// What the device may do: pos, locker, encoder, steward (admits others), hq
    #[arg(long, value_name = "ROLE[,ROLE]", required_unless_present = "tickets", value_parser = known::roles(), hide_possible_values = true)]
    role: Option<Roles>,
    /// Where it stands; its units are sold from there
    #[arg(long, required_unless_present = "tickets")]
    venue: Option<Place>,
    /// Another name than the one it proposes
    #[arg(long)]
    name: Option<String>,
    /// Give a name that another device has, which is gone for good
    #[arg(long)]
    reuse_name: bool,
    #[command(flatten)]
    validity: ValidityArgs,
    /// Where the device is, instead of looking for it by mDNS
    #[arg(long, value_name = "ADDR")]
    at: Option<SocketAddr>,
    /// For how long to look for the device
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration, conflicts_with = "tickets")]
    wait: Duration,
    /// Where to wait for devices with tickets [default: every address of this host, any free port]
    #[arg(long, value_name = "ADDR", requires = "tickets")]
    listen: Option<SocketAddr>,
    /// Do not announce by mDNS that tickets are served here
    #[arg(long, requires = "tickets")]
    no_mdns: bool,
}

/// List the tickets that were made here, and who used them.
#[derive(Debug, Args)]
pub(super) struct Tickets {
    #[command(flatten)]
    by: IssuerArgs,
}

/// Make a ticket.
#[derive(Debug, Args)]
pub(super) struct Ticket {
    #[command(flatten)]
    by: IssuerArgs,
    /// What the devices may do: pos, locker, encoder
    #[arg(long, value_name = "ROLE[,ROLE]", value_parser = known::roles(), hide_possible_values = true)]
    role: Roles,
    /// Where they stand
    #[arg(long)]
    venue: Place,
    /// How many devices it admits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)))]
    count: u32,
    /// For how long it admits them, at most 31d
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = lifetime)]
    lifetime: Duration,
    /// What the devices' names begin with, such as till-; it is put in front of those that do not
    #[arg(long, value_name = "TEXT", value_parser = prefix)]
    prefix: Option<String>,
    #[command(flatten)]
    validity: ValidityArgs,
    /// Write the ticket into a file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write its QR code as an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Who signs: the organiser, or the device of the data folder, which has to be an hq or a steward.
#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    /// The folder with the organiser's key and the charter; without it, the device of the data folder signs, if it may
    /// [default: this folder, if the key is here and no --data is given]
    #[arg(long, value_name = "DIR")]
    event: Option<PathBuf>,
}

/// Where who signs has its folder.
pub(super) enum Issuing<'a> {
    /// The organiser's.
    Organiser(&'a Path),
    /// A device's.
    Device(&'a Folder),
}

impl IssuerArgs {
    /// Who is meant.
    ///
    /// # Errors
    /// [`Failure`] if nobody is.
    pub(super) fn issuing<'a>(&'a self, data: &'a Data) -> Result<Issuing<'a>, Failure> {
        let here = Path::new(".");
        let issuing = match &self.event {
            Some(event) => Issuing::Organiser(event),
            None if data.is_given || data.folder.certificate_path().exists() && !is_organisers(here) => {
                Issuing::Device(&data.folder)
            }
            None if is_organisers(here) => Issuing::Organiser(here),
            None => {
                return Err(Failure::with_help(
                    "nobody is here who may admit devices",
                    "name the data folder of an hq or a steward with --data, or the folder with the organiser's key with --event",
                ));
            }
        };
        note_closed(folder::close(issuing.folder())?.as_ref());
        Ok(issuing)
    }

    fn admitting(&self, data: &Data) -> Result<Admitting, Failure> {
        Ok(match self.issuing(data)? {
            Issuing::Organiser(folder) => Admitting::organiser(folder)?,
            Issuing::Device(folder) => Admitting::device(folder)?,
        })
    }
}

fn is_organisers(folder: &Path) -> bool {
    folder.join(ORGANISER_KEY).exists()
}

impl Issuing<'_> {
    fn folder(&self) -> &Path {
        match self {
            Self::Organiser(folder) => folder,
            Self::Device(folder) => folder.path(),
        }
    }

    /// The argument that names it.
    fn argument(&self) -> String {
        match self {
            Self::Organiser(folder) => format!("--event {}", folder.display()),
            Self::Device(folder) => format!("--data {}", folder.path().display()),
        }
    }
}

/// When a certificate holds.
#[derive(Debug, Args)]
pub(super) struct ValidityArgs {
    /// For how many days
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366), conflicts_with = "until")]
    days: u32,
    /// From when (RFC 3339) [default: an hour ago, since clocks differ]
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Until when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let time = values::duration(text)?;
    if time.is_zero() || time > MAX_FOR { Err("give a time of up to 31d".to_owned()) } else { Ok(time) }
}

fn prefix(text: &str) -> Result<String, String> {
    let is_usable = (1..=PREFIX_MAX).contains(&text.chars().count())
        && text.chars().all(|c| !c.is_control())
        && text.trim_start() == text;
    let error = || format!("give 1 to {PREFIX_MAX} characters that a name can begin with, such as till-");
    is_usable.then(|| text.to_owned()).ok_or_else(error)
}

/// A time as Unix milliseconds.
pub(super) fn unix_ms(at: jiff::Timestamp) -> Result<u64, Failure> {
    u64::try_from(at.as_millisecond()).map_err(|_| Failure::here(format!("{at} is before 1970")))
}

/// What is to be signed of a device.
pub(super) fn grant(
    roles: Roles,
    venue: &Place,
    name: Option<String>,
    validity: &ValidityArgs,
) -> Result<Grant, Failure> {
    if venue.is_compartment() {
        return Err(Failure::with_help(
            format!("{venue} is a compartment; a device stands at a venue"),
            "give a --venue without a slash",
        ));
    }
    let validity = Validity {
        from_ms: validity.from.map(unix_ms).transpose()?,
        until_ms: validity.until.map(unix_ms).transpose()?,
        days: validity.days,
    };
    Ok(Grant { roles, venue: venue.clone(), name, validity })
}

/// A QR code, where there is a terminal to show it on.
fn picture(text: &str) -> String {
    let shown = std::io::stdout().is_terminal();
    let code = shown.then(|| Code::new(text).ok()).flatten();
    code.map_or_else(String::new, |code| format!("{}\n\n", code.terminal()))
}

/// A listener, and the addresses at which it is reached.
fn listen(at: Option<SocketAddr>) -> Result<(TcpListener, Vec<SocketAddr>), Failure> {
    crate::join::listen(at).map_err(|error| {
        let help = match error {
            ListenError::Io(_) => "give an address of this host with --listen",
            ListenError::NoNetwork => "connect it to the network of who admits it",
        };
        Failure::with_help(error.to_string(), help)
    })
}
