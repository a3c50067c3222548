//! The command line. What concerns the running node goes through its API only.

mod act;
mod api;
mod args;
mod args_api;
mod args_cart;
mod args_claim;
mod args_device;
mod args_event;
mod args_money;
mod args_run;
mod args_sell;
mod args_stock;
mod ask;
mod cart;
mod check;
mod claim;
mod client;
mod completions;
mod currency;
mod device;
mod doctor;
mod door;
mod drops;
mod event;
mod export;
mod failure;
mod given;
mod items;
mod join;
mod known;
mod man;
mod money;
mod names;
mod people;
mod quickstart;
mod renew;
mod sell;
mod show;
mod table;
mod tls;
mod token;
mod told;
mod trust;
mod undo;
mod values;
mod watch;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use rustix::fs::Mode;

use crate::folder::{Closed, Folder};
use crate::run::{LogFormat, RunOptions, Starter, Transports};
use args::{Cli, Command};
use args_run::Run;
use client::Client;
use failure::{Failure, Outcome};

/// Looks at the database of a folder whose node is not running: what it holds in words, or what is wrong with it.
pub type StoreCheck = fn(&Path) -> Result<String, String>;

/// The data folder, and whether somebody named it.
struct Data {
    folder: Folder,
    is_given: bool,
}

/// What the command line cannot do by itself.
pub struct Hooks<S> {
    /// Starts the device behind the API.
    pub starter: S,
    /// Checks the database.
    pub check_store: StoreCheck,
}

/// Does what the arguments of this process say.
pub fn main<S: Starter>(hooks: Hooks<S>) -> ExitCode {
    // Before anything is written, and before there are threads: whatever this process makes is for its owner alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Of help and the version that were asked for, nothing is an error.
        Err(usage) if usage.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            return failure::tell_usage(&usage.to_string());
        }
        Err(usage) => usage.exit(),
    };
    let json = cli.json;
    match dispatch(cli, hooks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(json),
    }
}

fn dispatch<S: Starter>(cli: Cli, hooks: Hooks<S>) -> Outcome {
    let json = cli.json;
    let is_given = cli.data.is_some();
    let folder = Folder::new(match cli.data {
        Some(data) => data,
        None => default_data()?,
    });
    if keeps(&cli.command) {
        note_closed(folder.close()?.as_ref());
    }
    match cli.command {
        Command::Payment(payment) => money::payment(payment, &folder, json),
        Command::Receipts(receipts) => money::receipts(&receipts, &folder, json),
        Command::Receipt(receipt) => money::receipt(&receipt, &folder, json),
        Command::Takings(takings) => money::takings(&takings, &folder, json),
        Command::Quickstart(request) => quickstart::quickstart(&request, &Data { folder, is_given }, json),
        Command::Event(event) => event::event(event, &folder, json),
        Command::Device(device) => device::device(device, &Data { folder, is_given }, json),
        Command::Join(request) => join::join(&request, &folder, json),
        Command::Api(api) => api::api(api, &folder, json),
        Command::Run(run) => start(run, Data { folder, is_given }, hooks.starter),
        Command::Doctor(doctor) => doctor::doctor(&doctor, &folder, json, hooks.check_store),
        Command::Check(target) => check::check(&Client::find(&target, &folder)?, json),
        Command::Openapi => openapi(),
        Command::Man(args) => man::man(&args, Cli::command(), json),
        Command::Completions { shell } => completions::completions(shell, Cli::command()),
        Command::Status(status) => {
            let client = Client::find(&status.target, &folder)?;
            if status.watch { watch::watch(client, json) } else { show::status(&client, json) }
        }
        Command::Peers(target) => show::peers(&Client::find(&target, &folder)?, json),
        Command::Stock(stock) => show::stock(&Client::find(&stock.target, &folder)?, &stock, json),
        Command::Claims(claims) => show::claims(&Client::find(&claims.target, &folder)?, &claims, json),
        Command::Token(token) => token::token(token, &folder, json),
        Command::Log(log) => show::log(&Client::find(&log.target, &folder)?, &log, json),
        Command::Export(export) => export::export(&Client::find(&export.target, &folder)?, &export.dir, json),
        Command::Links(links) => act::links(&links, &folder, json),
        Command::Product(product) => act::product(product, &folder, json),
        Command::Drop(drop) => drops::drop(drop, &folder, json),
        Command::Lot(lot) => act::lot(lot, &folder, json),
        Command::Transfer(transfer) => act::transfer(&transfer, &folder, json),
        Command::Move(change) => act::change_place(&change, &folder, json),
        Command::Cart(cart) => cart::cart(cart, &folder, json),
        Command::Claim(claim) => claim::claim(claim, &folder, json),
        Command::Retire(retire) => trust::retire(&retire, &folder, json),
        Command::Registrar(registrar) => trust::registrar(registrar, &folder, json),
        Command::Leave(leave) => trust::leave(&leave, &folder, json),
        Command::Past(past) => trust::past(past, &folder, json),
        Command::Incidents(incidents) => trust::incidents(incidents, &folder, json),
        Command::People(command) => people::people(command, &folder, json),
        Command::Stow(stow) => door::stow(&stow, &folder, json),
        Command::Doors(target) => door::doors(&Client::find(&target, &folder)?, json),
        Command::Door(command) => door::door(command, &folder, json),
        Command::Damage(damage) => act::damage(&damage, &folder, json),
        Command::Sell(sell) => sell::sell(&sell, &folder, json),
        Command::Undo(args) => undo::undo(&args, &folder, json),
    }
}

/// Whether a command reads or writes the secrets of the data folder itself, and does not leave that to the running node.
fn keeps(command: &Command) -> bool {
    use args_device::Device::{Install, New, Show};
    matches!(
        command,
        Command::Device(New { .. } | Install { .. } | Show) | Command::Join(_) | Command::Api(_)
    )
}

/// Says that a folder was open to others.
fn note_closed(closed: Option<&Closed>) {
    if let Some(closed) = closed {
        eprintln!("warning: {closed}");
    }
}

fn default_data() -> Result<PathBuf, Failure> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("popmesh"))
        .ok_or_else(|| Failure::with_help("this user has no home folder", "name a data folder with --data"))
}

fn start<S: Starter>(run: Run, data: Data, starter: S) -> Outcome {
    // Who asks for a log gets that, and nothing between its lines.
    let is_for_a_person = std::io::stdout().is_terminal()
        && run.log_format.is_none()
        && std::env::var_os("POPMESH_LOG").is_none();
    let Data { folder, is_given } = data;
    let transports = match (run.tcp_only, run.quic_only, run.ble_only) {
        (true, ..) => Transports::TcpOnly,
        (_, true, _) => Transports::QuicOnly,
        (_, _, true) => Transports::BleOnly,
        _ => Transports::Both,
    };
    let options = RunOptions {
        data: folder.clone(),
        api: run.serving.api,
        api_tls: run.serving.tls,
        screen: run.serving.screen,
        interfaces: run.interface,
        listen_port: run.listen_port.unwrap_or(0),
        peers: run.peer,
        mdns: !run.no_mdns,
        transports,
        ble: run.ble,
        venue_kbit: run.venue_kbit,
        ble_links: usize::from(run.ble_links),
        log_format: run.log_format.unwrap_or(if is_for_a_person {
            LogFormat::Problems
        } else {
            LogFormat::Human
        }),
        door_within: run.door.within(),
        door: run.door.door,
    };
    let named = is_given.then(|| folder.path().to_owned());
    Ok(crate::run::run(options, starter, |up| async move {
        if is_for_a_person {
            told::tell(up, named).await;
        }
    })?)
}

fn openapi() -> Outcome {
    let text = serde_json::to_string_pretty(&crate::api::description())
        .map_err(|error| Failure::here(format!("cannot write the description: {error}")))?;
    client::say(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
