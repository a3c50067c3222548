//! `popmesh man`: manual pages, from what can be typed.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::client::{print, say};
use super::failure::{Failure, Outcome};

/// When these pages last changed in substance.
const DATE: &str = "2026-12-01";

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Refused, or failed. Nothing was changed that was not said."),
    ("2", "Wrong usage."),
    ("3", "The node does not answer."),
    ("4", "Refused now; the same again can do."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("POPMESH_DATA", "The data folder, where --data does not name one."),
    ("POPMESH_TOKEN", "The token for an API elsewhere, where no other user sees it."),
    ("POPMESH_TRUST", "What an API elsewhere is known by, as --trust has it."),
    (
        "POPMESH_LOG",
        "What run logs, such as popmesh=debug. Where it is set, run says nothing on standard output.",
    ),
    ("POPMESH_BLE", "The adapter for Bluetooth LE, as run --ble has it."),
    ("POPMESH_BLE_LINKS", "Links over Bluetooth LE at once at most, as run --ble-links has it."),
    ("POPMESH_VENUE_KBIT", "What the venue\u{2019}s Wi-Fi carries, as run --venue-kbit has it."),
    (
        "TZ",
        "The time zone that times are shown in; the host\u{2019}s own without it. JSON has Unix milliseconds always.",
    ),
    ("LC_MONETARY", "From which country quickstart takes the currency, if none is given."),
    ("XDG_DATA_HOME, HOME", "Where the data folder is, where nothing names it."),
    ("USER, LOGNAME", "Who looked, for door settle without --by."),
    ("NO_COLOR", "No colours in the log."),
];

const FILES: &[(&str, &str)] = &[
    (
        "~/.local/share/popmesh",
        "The data folder of a device, where nothing else is named: its key (device.key), its certificate, the event\u{2019}s \
         charter and secret, its books (popmesh.db) and what says how far they go (mark). One node uses it at a time. It is for \
         its owner alone.",
    ),
    (
        "~/.local/share/popmesh-organiser",
        "The organiser\u{2019}s folder, as quickstart writes it beside the data folder: organiser.key, event.charter. No till \
         needs the key; keep a copy of it elsewhere.",
    ),
    (
        "api.addr",
        "In the data folder, while its node runs: where the API listens, by which the other commands find it.",
    ),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("popmesh quickstart \"Neon Drop\" --currency EUR", "Found an event, with this device as its hq."),
    ("popmesh run", "Run the device, until Ctrl-C."),
    ("popmesh product add TEE \"Tee\" --price 25.00", "Say what is sold."),
    ("popmesh drop new opening --open", "Plan a drop, and open it for sale."),
    ("popmesh lot mint --drop opening --sku TEE --serials 1-100", "Mint a hundred numbered units."),
    ("popmesh sell TEE", "Sell one."),
    ("popmesh join", "On another device: show a code, by which it joins the event."),
    (
        "popmesh device admit CODE --role pos --venue shop",
        "On the hq: admit the device that shows that code.",
    ),
    ("popmesh man ~/.local/share/man/man1", "Install these pages for this user."),
    (
        "popmesh completions bash > ~/.local/share/bash-completion/completions/popmesh",
        "Install completions for bash; for zsh into a folder of $fpath as _popmesh, for fish into \
         ~/.config/fish/completions/popmesh.fish.",
    ),
];

/// Write manual pages.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder to write popmesh.1 and a page for each command into; made if it is not there [default: popmesh.1 alone, to
    /// standard output]
    #[arg(value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, mut command: Command, json: bool) -> Outcome {
    // The version and the help that clap adds are the same for all, and stand in the main page.
    command = command.disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        let page = page(&command, &command).map_err(|error| Failure::here(error.to_string()))?;
        return say(page.trim_end());
    };
    let failed = |path: &Path, error: std::io::Error| Failure::here(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let mut written = Vec::new();
    for each in all(&command) {
        let path = dir.join(format!("{}.1", name(each)));
        let text = page(each, &command).map_err(|error| failed(&path, error))?;
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        written.push(path);
    }
    print(json, &json!({"pages": written}), || {
        format!("{} pages; read one with: man -l {}", written.len(), dir.join("popmesh.1").display())
    })
}

/// A command and all below it.
fn all(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).flat_map(all);
    std::iter::once(command).chain(below).collect()
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, main: &Command) -> std::io::Result<String> {
    let source = format!("popmesh {}", main.get_version().unwrap_or_default());
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .date(DATE)
        .source(source)
        .manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if name(command) == name(main) {
        listed(&mut page, "EXIT STATUS", EXIT_STATUS)?;
        listed(&mut page, "ENVIRONMENT", ENVIRONMENT)?;
        listed(&mut page, "FILES", FILES)?;
        listed(&mut page, "EXAMPLES", EXAMPLES)?;
    } else {
        let mut roff = Roff::new();
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold(name(main)), roman("(1)")]);
        roff.to_writer(&mut page)?;
    }
    Ok(without_idle_breaks(&String::from_utf8_lossy(&page)))
}

/// Without breaks of lines beside blank ones, which the list of a value's choices has, and which say nothing.
fn without_idle_breaks(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    let is_blank = |at: Option<usize>| at.and_then(|at| lines.get(at)).is_some_and(|line| line.is_empty());
    let kept = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| **line != ".br" || !is_blank(at.checked_sub(1)) && !is_blank(at.checked_add(1)));
    kept.fold(String::new(), |page, (_, line)| page + line + "\n")
}

fn listed(page: &mut impl Write, heading: &str, rows: &[(&str, &str)]) -> std::io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (what, text) in rows {
        roff.control("TP", []);
        roff.text([bold(*what)]);
        roff.text([roman(*text)]);
    }
    roff.to_writer(page)
}
