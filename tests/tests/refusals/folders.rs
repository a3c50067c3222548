//! Folders and ports that a node cannot have: taken, missing, not enrolled, or of two devices.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use popmesh_tests::Event;
use popmesh_tests::refusal::{refused, refused_to_run, unchanged};

use crate::{event, listening, port, start_hq};

#[test]
fn what_another_node_has() -> Result<()> {
    let event = event()?;
    let mut hq = start_hq(&event)?;
    let pid = hq.child().id();
    let mesh_port = port(&listening(&hq, "tcp")?)?.to_string();
    let api = hq.api().trim_start_matches("http://").to_owned();
    let address = event.path().join("hq/api.addr");
    let announced = fs::read_to_string(&address)?;
    fs::rename(&address, event.path().join("api.addr"))?;
    let said = unchanged(&[&hq], || refused_to_run(&event, "hq", &[]))?;
    assert!(said.contains(&format!("another popmesh node (process {pid}) runs on ")), "{said}");
    assert!(said.contains("stop it, or give this one a folder of its own"), "{said}");
    fs::write(&address, announced)?;

    let said = unchanged(&[&hq], || refused_to_run(&event, "till", &["--api", &api]))?;
    assert!(said.contains("is in use, perhaps by another popmesh") && said.contains("--api"), "{said}");
    let said = unchanged(&[&hq], || refused_to_run(&event, "till", &["--listen-port", &mesh_port]))?;
    assert!(said.contains(&format!("cannot listen on port {mesh_port}")), "{said}");
    assert!(said.contains("another program has it") && said.contains("--listen-port"), "{said}");
    hq.sell("CAP", Duration::ZERO, None)?.ok().map(drop)
}

#[test]
fn what_is_missing() -> Result<()> {
    let event = event()?;
    let said = refused_to_run(&event, "nowhere", &[])?;
    assert!(
        said.contains("no device was made there; `popmesh --data") && said.contains(" join` makes one"),
        "{said}"
    );
    assert!(!event.path().join("nowhere").exists(), "looking made the folder");
    event.popmesh(&["--data", "fresh", "device", "new", "--name", "fresh"])?;
    let said = refused_to_run(&event, "fresh", &[])?;
    assert!(said.contains("has no event charter") && said.contains("popmesh device install"), "{said}");
    let said = refused(&event, &["--data", "till", "status"], 3)?;
    assert!(said.contains("no node runs on till") && said.contains("popmesh run --data till"), "{said}");
    Ok(())
}

#[test]
fn what_belongs_to_another() -> Result<()> {
    let event = event()?;
    start_hq(&event)?.stop()?;
    let (hq, till) = (event.path().join("hq"), event.path().join("till"));
    let own = fs::read(till.join("device.certificate"))?;
    fs::copy(hq.join("device.certificate"), till.join("device.certificate"))?;
    let said = refused_to_run(&event, "till", &[])?;
    assert!(said.contains("the certificate is for device ") && said.contains("install its own"), "{said}");
    fs::write(till.join("device.certificate"), own)?;

    fs::copy(hq.join("popmesh.db"), till.join("popmesh.db"))?;
    let said = refused_to_run(&event, "till", &[])?;
    assert!(said.contains("belongs to device ") && said.contains("never copy a folder"), "{said}");
    assert_eq!(fs::read(hq.join("popmesh.db"))?, fs::read(till.join("popmesh.db"))?, "it was changed");
    fs::remove_file(till.join("popmesh.db"))?;

    let other = Event::found("Rival Drop")?;
    fs::copy(other.path().join("organiser/event.charter"), till.join("event.charter"))?;
    let said = refused_to_run(&event, "till", &[])?;
    assert!(said.contains("of another event"), "{said}");
    Ok(())
}
