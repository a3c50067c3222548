//! What can be typed about a device: its key, its certificate, and who admits it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use popmesh_proto::identity::Roles;
use popmesh_proto::text::Place;

use super::join::{Admit, IssuerArgs, Ticket, Tickets, ValidityArgs};
use super::known;
use super::renew::RenewArgs;

/// What is done about a device.
#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Make this device's key and the enrolment that the organiser or an hq signs
    New {
        /// The device's name, for people [default: this host's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Sign a device's enrolment (the organiser, or an hq)
    Sign(Sign),
    /// Install the certificate that was signed
    Install {
        /// The certificate
        certificate: PathBuf,
        /// The event's charter
        #[arg(long)]
        charter: PathBuf,
    },
    /// Show who this device is
    Show,
    /// Admit the device that shows this code, over the network (the organiser, or an hq); or serve tickets
    Admit(Admit),
    /// Renew the certificate of a device, or of all, over the mesh: for longer, and otherwise as it is (an hq); or this device's
    /// own, with the organiser's key
    Renew(RenewArgs),
    /// Make a ticket with which devices that nobody attends join (the organiser, or an hq)
    Ticket(Ticket),
    /// List the tickets that were made here, and who used them
    Tickets(Tickets),
}

/// Sign a device's enrolment.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The enrolment that `popmesh device new` wrote
    pub(super) enrolment: PathBuf,
    #[command(flatten)]
    pub(super) by: IssuerArgs,
    /// What the device may do: pos, locker, encoder, steward (admits others), hq
    #[arg(long, value_name = "ROLE[,ROLE]", value_parser = known::roles(), hide_possible_values = true)]
    pub(super) role: Roles,
    /// Where it stands; its units are sold from there
    #[arg(long)]
    pub(super) venue: Place,
    /// Another name than the one it proposes
    #[arg(long)]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) validity: ValidityArgs,
    /// Where to write [default: NAME.certificate beside the enrolment]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}
