//! `popmesh doctor`: what could keep this device from selling, found before the doors open. While its node runs, that one
//! says it all; otherwise what can be looked at without it.

mod radio;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::StoreCheck;
use super::args::{Doctor, Target};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::table::printable;
use crate::api::HealthList;
use crate::clock::localised;
use crate::folder::Folder;
use crate::health::{self, Finding, Severity};

pub(super) fn doctor(args: &Doctor, folder: &Folder, json: bool, check_store: StoreCheck) -> Outcome {
    let findings = match running(folder) {
        Some(client) => asked(&client, folder),
        None => {
            let mut findings = health::here(folder);
            findings.push(Finding::ok("node", "node_not_running", "not running"));
            findings.push(store(folder, check_store));
            findings.extend(ports(args));
            findings.extend(args.ble.as_ref().map(|adapter| radio::adapter(adapter, folder)));
            findings
        }
    };
    print(json, &findings, || findings.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    let failed = findings.iter().any(|finding| finding.severity == Severity::Act);
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// A finding on a line.
fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Ok => "ok  ",
        Severity::Look => "warn",
        Severity::Act => "FAIL",
    };
    let next = finding.next.as_ref().map_or_else(String::new, |next| format!("; {next}"));
    let said = localised(&printable(&format!("{}{next}", finding.text)));
    format!("{severity}  {:<12} {said}", finding.check)
}

fn running(folder: &Folder) -> Option<Client> {
    let client = Client::find(&Target::default(), folder).ok()?;
    let answers =
        !matches!(client.get::<serde_json::Value>("/v1/health", &[]), Err(Failure::Unreachable { .. }));
    answers.then_some(client)
}

/// What the running node says, and where it says nothing, what can be seen without it.
fn asked(client: &Client, folder: &Folder) -> Vec<Finding> {
    let problem = match client.get::<HealthList>("/v1/health/list", &[("fresh", Some("true".to_owned()))]) {
        Ok(list) => return list.items,
        Err(Failure::Problem(problem)) => problem.detail,
        Err(other) => format!("{other:?}"),
    };
    let mut findings = health::here(folder);
    let silent = Finding::act(
        "node",
        "node_not_answering",
        format!("does not answer as it should: {problem}"),
        "look at its log, and start it again",
    );
    findings.push(silent.with("problem", problem));
    findings
}

fn store(folder: &Folder, check_store: StoreCheck) -> Finding {
    match check_store(folder.path()) {
        Ok(found) => Finding::ok("database", "database_ok", found),
        Err(problem) => {
            let (text, next) =
                problem.split_once("; ").unwrap_or((&problem, "keep the folder, and have it looked at"));
            Finding::act("database", "database_problem", text, next).with("problem", problem.clone())
        }
    }
}

fn ports(args: &Doctor) -> Vec<Finding> {
    let mut findings = vec![port("api port", args.api, TcpListener::bind(args.api).map(|_| ()), "--api")];
    if let Some(number) = args.listen_port {
        let any = SocketAddr::from(([0, 0, 0, 0], number));
        findings.push(port("tcp port", any, TcpListener::bind(any).map(|_| ()), "--listen-port"));
        findings.push(port("udp port", any, UdpSocket::bind(any).map(|_| ()), "--listen-port"));
    }
    findings
}

fn port(check: &'static str, address: SocketAddr, bound: std::io::Result<()>, option: &str) -> Finding {
    let finding = match bound {
        Ok(()) => Finding::ok(check, "port_ok", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::act(
            check,
            "port_in_use",
            format!("{address} is in use by another program"),
            format!("stop it, or choose another with {option}"),
        ),
        Err(error) => Finding::act(
            check,
            "port_problem",
            format!("{address}: {error}"),
            format!("choose another with {option}"),
        ),
    };
    finding.with("address", address.to_string())
}
