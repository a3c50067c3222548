//! What `popmesh doctor` finds out about the Bluetooth adapter.

use popmesh_ble::{Adapter, Examined, Unfit};

use crate::folder::Folder;
use crate::health::{Finding, event_secret_missing};

const CHECK: &str = "bluetooth";

/// HCI's number for version 4.0; before it there was no LE.
const FIRST_WITH_LE: u8 = 6;

/// An adapter that no node uses yet.
pub(super) fn adapter(adapter: &Adapter, folder: &Folder) -> Finding {
    if let Some(missing) = event_secret_missing(folder) {
        return missing;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("{adapter} cannot be looked at: {error}");
            return Finding::act(CHECK, "bluetooth_unfit", text, "try again");
        }
    };
    let finding = match runtime.block_on(adapter.examine()) {
        Ok(found) => fit(adapter, found),
        Err(unfit) => {
            let text = format!("{adapter}: {unfit}");
            Finding::act(CHECK, "bluetooth_unfit", text, advice(&unfit, adapter))
        }
    };
    finding.with("adapter", adapter.to_string())
}

fn fit(adapter: &Adapter, found: Examined) -> Finding {
    let version = version(found.version);
    if found.several_links {
        let text = format!(
            "{adapter} is free and speaks LE (Bluetooth {version}), with several links at once; how many, no adapter tells: \
             keep --ble-links to what its maker says"
        );
        return Finding::ok(CHECK, "bluetooth_fit", text);
    }
    let text = format!(
        "{adapter} speaks LE (Bluetooth {version}), but says that it cannot listen, connect and be connected to all at once"
    );
    Finding::look(CHECK, "bluetooth_one_link", text, "use it with --ble-links 1, or take another one")
}

fn version(number: u8) -> String {
    match number {
        6..=8 => format!("4.{}", number - FIRST_WITH_LE),
        9..=13 => format!("5.{}", number - 9),
        14.. => format!("6.{}", number - 14),
        _ => format!("before 4.0, number {number}"),
    }
}

/// What to do about it.
fn advice(unfit: &Unfit, adapter: &Adapter) -> String {
    match (unfit, adapter) {
        (Unfit::NoBluetooth, _) => {
            "load the kernel's part for it (`modprobe bluetooth btusb`), or use a dongle with --ble serial:…".to_owned()
        }
        (Unfit::NotThere, Adapter::Linux(_)) => {
            format!("plug it in, or name one of those that are there: {}", listed("/sys/class/bluetooth", "hci"))
        }
        (Unfit::NotThere | Unfit::NotSerial, _) => {
            format!("plug the dongle in, or name its line: {}", listed("/dev/serial/by-id", ""))
        }
        (Unfit::NotPermitted, Adapter::Linux(_)) => {
            let program = std::env::current_exe()
                .map_or_else(|_| "popmesh".to_owned(), |path| path.display().to_string());
            format!("give it the capability: `setcap cap_net_admin+ep {program}`, or AmbientCapabilities=CAP_NET_ADMIN in its unit")
        }
        (Unfit::NotPermitted, _) => {
            "add the user to the group that the line belongs to (`ls -l` says which, mostly dialout), and log in again".to_owned()
        }
        (Unfit::Held, Adapter::Linux(number)) => format!(
            "let go of it: `systemctl stop bluetooth`, then `hciconfig hci{number} down`; or stop the other node that has it"
        ),
        (Unfit::Held, _) => "stop what has it open (`fuser` says what, often ModemManager)".to_owned(),
        (Unfit::Blocked, _) => "`rfkill unblock bluetooth`, or the switch on the machine".to_owned(),
        (Unfit::Refused, _) => "start the controller there, or name another address".to_owned(),
        (Unfit::Silent | Unfit::Gone(_) | Unfit::Nonsense, Adapter::Serial(_)) => {
            "see that it is a dongle with HCI firmware over UART at 1,000,000 baud, pull it out and put it back".to_owned()
        }
        (Unfit::Silent | Unfit::Gone(_) | Unfit::Nonsense, _) => "pull it out and put it back".to_owned(),
        (Unfit::NotLe, _) => "take another one: it has to be of Bluetooth 4.0 or later".to_owned(),
        (Unfit::Unopened(_), _) => "see what the system's log says of it, or take another one".to_owned(),
    }
}

/// What is there by that beginning.
fn listed(folder: &str, beginning: &str) -> String {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        // A connection is listed as hci0:12.
        .filter(|name| name.starts_with(beginning) && !name.contains(':'))
        .collect();
    names.sort();
    if names.is_empty() { format!("none is in {folder}") } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_says_what_to_do() {
        let adapters =
            ["hci0", "serial:/dev/ttyACM0", "tcp:127.0.0.1:1"].map(|text| text.parse::<Adapter>().unwrap());
        let other = || std::io::Error::other("odd");
        for adapter in &adapters {
            for unfit in [
                Unfit::NoBluetooth,
                Unfit::NotThere,
                Unfit::Refused,
                Unfit::NotPermitted,
                Unfit::Held,
                Unfit::Blocked,
                Unfit::NotSerial,
                Unfit::Unopened(other()),
                Unfit::Silent,
                Unfit::Gone(other()),
                Unfit::Nonsense,
                Unfit::NotLe,
            ] {
                assert!(advice(&unfit, adapter).len() > 20, "{unfit} of {adapter}");
            }
        }
        assert!(advice(&Unfit::Held, &adapters[0]).contains("hciconfig hci0 down"));
        assert!(advice(&Unfit::NotPermitted, &adapters[0]).contains("cap_net_admin"));
        assert!(advice(&Unfit::NotPermitted, &adapters[1]).contains("dialout"));
    }

    #[test]
    fn versions_are_called_as_on_the_box() {
        assert_eq!([6, 8, 9, 13, 14].map(version), ["4.0", "4.2", "5.0", "5.4", "6.0"]);
    }
}
