//! Hosts: programs and closures run inside them, and nothing of them stays behind.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::{Child, Network};

const DEADLINE: Duration = Duration::from_secs(20);

fn name_path(namespace: &str) -> PathBuf {
    Path::new("/var/run/netns").join(namespace)
}

fn network_of(process: &str) -> Result<PathBuf> {
    Ok(fs::read_link(format!("/proc/{process}/ns/net"))?)
}

#[test]
fn a_program_runs_inside_under_its_own_pid() -> Result<()> {
    let network = Network::new(1, 2)?;
    let mut addresses =
        Child::start("addresses", network.host(1).command("ip").args(["-o", "-4", "address"]))?;
    addresses.wait_for_output("inet 10.77.0.2/24", DEADLINE)?;
    assert!(addresses.wait(DEADLINE)?.success());

    let sleeper = Child::start("sleeper", network.host(0).command("sleep").arg("1000"))?;
    let pid = sleeper.id().to_string();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm"))?.trim(), "sleep");
    assert_ne!(network_of(&pid)?, network_of("self")?);
    drop(sleeper);
    assert!(!Path::new("/proc").join(&pid).exists(), "the guard left pid {pid} behind");
    Ok(())
}

#[test]
fn a_killed_child_is_reaped_and_its_output_kept() -> Result<()> {
    let mut shell = std::process::Command::new("sh");
    let mut child = Child::start("shell", shell.args(["-c", "echo out; echo err >&2; exec sleep 1000"]))?;
    let output = child.wait_for_output("err", DEADLINE)?;
    assert_eq!(output, "out\nerr\n");
    assert!(child.wait(Duration::from_millis(1)).is_err(), "it still sleeps");
    let status = child.kill()?;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(child.kill()?, status);
    Ok(())
}

#[test]
fn output_that_never_comes_is_an_error_with_what_came() -> Result<()> {
    let mut shell = std::process::Command::new("sh");
    let mut child = Child::start("shell", shell.args(["-c", "echo something else"]))?;
    let error = child.wait_for_output("ready", DEADLINE).expect_err("it never wrote that").to_string();
    assert!(error.contains("exited without") && error.contains("something else"), "{error}");
    Ok(())
}

#[test]
fn each_host_has_a_loopback_of_its_own() -> Result<()> {
    let network = Network::new(2, 2)?;
    thread::scope(|scope| -> Result<()> {
        for (host, answer) in network.hosts().iter().zip(["bread", "wine"]) {
            let listener = host.in_namespace(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 8080))?))?;
            scope.spawn(move || -> Result<()> {
                let (mut stream, _) = listener.accept()?;
                // To its end: closing on unread bytes would reset the connection under the answer.
                for line in BufReader::new(&stream).lines() {
                    if line?.is_empty() {
                        break;
                    }
                }
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
                Ok(())
            });
        }
        for (host, expected) in network.hosts().iter().zip(["bread", "wine"]) {
            let answer = host.in_namespace(|| {
                let mut response = ureq::get("http://127.0.0.1:8080/").call().context("call the API")?;
                Ok(response.body_mut().read_to_string()?)
            })?;
            assert_eq!(answer, expected);
        }
        Ok(())
    })
}

#[test]
fn a_panic_inside_a_host_reaches_the_test() -> Result<()> {
    let network = Network::new(3, 1)?;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        network.host(0).in_namespace(|| -> Result<()> { panic!("inside") })
    }));
    let message = panicked.expect_err("the panic was swallowed");
    assert_eq!(message.downcast_ref::<&str>(), Some(&"inside"));
    Ok(())
}

#[test]
fn namespaces_go_with_the_network_even_in_a_panic() -> Result<()> {
    let network = Network::new(4, 2)?;
    let names: Vec<_> = network.hosts().iter().map(|host| name_path(host.namespace())).collect();
    assert!(names.iter().all(|name| name.exists()), "{names:?}");
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _network = network;
        panic!("a failing test");
    }));
    assert!(panicked.is_err());
    assert!(!names.iter().any(|name| name.exists()), "left behind: {names:?}");
    Ok(())
}
