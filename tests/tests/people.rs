//! An address that a shopper leaves at a till: sealed there, on every device, read by the organiser alone, and gone from every
//! file once it is erased. Clear text is nowhere, also not in logs at their most talkative.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Api, Event, Host, Network, Node, Options};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["hq", "till", "other"];
const TILL: usize = 1;
const DEADLINE: Duration = Duration::from_secs(60);
const GONE: &str = "order-4711";
const MIA: &str = "mia-7f3a9c21@example.org";
const NO_FILES: [PathBuf; 0] = [];
const KEPT: &str = "jo-55e0b1d4@example.org";

/// What every caller of the command line would do: inside the device's host, with something on standard input.
fn popmesh(event: &Event, host: &Host, arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = host
        .command(event.program())
        .args(arguments)
        .current_dir(event.path())
        .env_remove("POPMESH_DATA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn done(output: &Output) -> Result<Value> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn people(api: &Api<'_>) -> Result<Vec<Value>> {
    api.list("/v1/people")
}

/// Waits until a device says of all that was taken that its payload is so.
fn wait_for(api: &Api<'_>, wanted: &[(&str, &str)]) -> Result<()> {
    api.wait_until("payloads", DEADLINE, |api| {
        let known = people(api)?;
        let is_so = |(entry, payload): &(&str, &str)| {
            known.iter().any(|person| person["entry"] == *entry && person["payload"] == *payload)
        };
        Ok((known.len() == wanted.len() && wanted.iter().all(is_so)).then_some(()))
    })
}

fn payload(api: &Api<'_>, entry: &str) -> Result<Vec<u8>> {
    let kept = api.list("/v1/people/sealed")?;
    let of = kept.iter().find(|kept| kept["entry"] == entry);
    let sealed = of.and_then(|kept| kept["sealed"].as_str()).context("its payload is not there")?;
    Ok(BASE64_STANDARD.decode(sealed)?)
}

/// The files of a device that have any sixteen bytes of `what`.
fn files_with(folder: &Path, what: &[u8]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.is_dir() {
            found.extend(files_with(&path, what)?);
            continue;
        }
        let bytes = fs::read(&path)?;
        let parts: std::collections::HashSet<&[u8]> = what.chunks_exact(16).collect();
        if bytes.windows(16).any(|window| parts.contains(window)) {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn an_address_is_read_by_the_organiser_alone_and_erased_from_every_file() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(83, NAMES.len())?;
    for (name, roles) in NAMES.into_iter().zip(["hq", "pos", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let mut nodes = network
        .hosts()
        .iter()
        .zip(NAMES)
        .map(|(host, name)| {
            let options = Options { host: Some(host), log: Some("trace"), quiet: true, ..Options::default() };
            Node::start(&event, name, options)
        })
        .collect::<Result<Vec<_>>>()?;
    put_on_sale(&nodes[0], "CAP", 5)?;
    agree(&nodes.iter().map(|node| &**node).collect::<Vec<_>>())?;

    // Alone, with the command line and with the API; then its power fails.
    network.cut_off(TILL);
    let till = &network.hosts()[TILL];
    let add = [
        "--json",
        "--data",
        "till",
        "people",
        "add",
        "--kind",
        "opt-in",
        "--shopper",
        GONE,
        "--consent",
        "news of the next drop",
        "--consent-version",
        "2",
    ];
    let nothing = popmesh(&event, till, &add, "\n")?;
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    let taken = done(&popmesh(&event, till, &add, &format!("{MIA}\n"))?)?;
    let consent = json!({"text": "mail when there are caps again", "version": "1"});
    let body = json!({"kind": "waitlist", "sku": "CAP", "consent": consent, "content": KEPT});
    let kept = nodes[TILL].done("/v1/people", &body)?;
    let bad = json!({"kind": "contact", "content": MIA});
    assert_eq!(nodes[TILL].post("/v1/people", &bad, None)?.code(), "invalid");
    let (gone, kept) = (taken["entry"].to_string(), kept["entry"].to_string());
    let (gone, kept) = (gone.trim_matches('"'), kept.trim_matches('"'));
    let said_before = fs::read_to_string(nodes[TILL].child().output_path())?;
    nodes[TILL].kill()?;
    nodes[TILL].restart()?;
    let here = [(gone, "here"), (kept, "here")];
    wait_for(&nodes[TILL], &here)?;

    network.heal();
    for node in &nodes {
        wait_for(node, &here)?;
    }
    let (sealed, sealed_kept) = (payload(&nodes[0], gone)?, payload(&nodes[0], kept)?);
    assert_eq!((sealed.len(), sealed_kept.len()), (256, 256));
    for node in &nodes {
        assert!(!files_with(node.data(), &sealed)?.is_empty(), "{}: this search finds nothing", node.name);
        for text in [MIA, KEPT] {
            assert_eq!(files_with(node.data(), text.as_bytes())?, NO_FILES, "{text} in clear");
        }
    }

    // The organiser reads it, where a device's key opens nothing.
    let hq = &network.hosts()[0];
    let open = |key: &[&str]| {
        popmesh(&event, hq, &[&["--json", "--data", "hq", "people", "open"], key].concat(), "")
    };
    let opened = done(&open(&["--organiser-key", "organiser/organiser.key"])?)?;
    let contents: Vec<&str> =
        opened.as_array().into_iter().flatten().filter_map(|person| person["content"].as_str()).collect();
    assert!(contents.len() == 2 && contents.contains(&MIA) && contents.contains(&KEPT), "{opened}");
    for (key, words) in [
        (&[][..], "--organiser-key"),
        (&["--organiser-key", "hq/device.key"][..], "none of 2 can be opened with this key"),
        (&["--organiser-key", "other/device.key"][..], "none of 2 can be opened with this key"),
        (&["--organiser-key", "organiser/organiser.key", "--out", "all.txt"][..], ".csv or .json"),
    ] {
        let refused = open(key)?;
        let said = String::from_utf8_lossy(&refused.stdout) + String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(words), "{key:?}: {said}");
        assert!(!said.contains(MIA));
    }
    done(&open(&["--organiser-key", "organiser/organiser.key", "--out", "people.csv"])?)?;
    let csv = fs::read_to_string(event.path().join("people.csv"))?;
    assert!(csv.contains(&format!("\"{GONE}\"")) && csv.contains(&format!("\"{MIA}\"")), "{csv}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(event.path().join("people.csv"))?.permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    // Erased: while one device is cut off, which hears of it later.
    network.cut_off(2);
    let erase = ["--json", "--data", "hq", "people", "erase", "--yes", "--shopper", GONE];
    let other = ["--json", "--data", "other", "people", "erase", "--yes", "--shopper", GONE];
    let refused = popmesh(&event, &network.hosts()[2], &other, "")?;
    assert_eq!(refused.status.code(), Some(1), "another till erases what it did not take");
    let erased = done(&popmesh(&event, hq, &erase, "")?)?;
    assert_eq!(erased["erased"].as_array().map(Vec::len), Some(1), "{erased}");
    assert_eq!(files_with(nodes[0].data(), &sealed)?, NO_FILES, "on the hq, once it has answered");
    network.heal();
    for node in &nodes {
        wait_for(node, &[(gone, "erased"), (kept, "here")])?;
        assert_eq!(files_with(node.data(), &sealed)?, NO_FILES, "{}", node.name);
        assert!(!files_with(node.data(), &sealed_kept)?.is_empty(), "{}", node.name);
        let known = people(node)?;
        let still = known.iter().find(|person| person["entry"] == gone).context("its entry is gone")?;
        assert_eq!((&still["size"], still["hash"].as_str().map(str::len)), (&json!(256), Some(64)));
    }
    agree(&nodes.iter().map(|node| &**node).collect::<Vec<_>>())?;
    let opened = done(&open(&["--organiser-key", "organiser/organiser.key"])?)?;
    assert_eq!(opened.as_array().map(Vec::len), Some(1), "{opened}");

    let mut said = vec![said_before];
    for node in &mut nodes {
        said.push(node.child().output()?);
    }
    assert!(said.iter().all(|said| said.contains("TRACE")), "nothing is shown by logs that say little");
    for said in said {
        assert!(!said.contains(MIA) && !said.contains(KEPT), "a log has it in clear");
    }
    let folders: Vec<PathBuf> = nodes.iter().map(|node| node.data().to_owned()).collect();
    for node in nodes {
        node.stop()?;
    }
    for folder in folders {
        assert_eq!(files_with(&folder, &sealed)?, NO_FILES);
        assert_eq!(files_with(&folder, MIA.as_bytes())?, NO_FILES);
    }
    Ok(())
}
