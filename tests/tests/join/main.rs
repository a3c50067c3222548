//! Joining without a file: by a code, by a ticket, and not at all with a wrong one, or with somebody between who replaces
//! what is said. Real processes; in namespaces where the two sides are to find each other, over loopback elsewhere.
//!
//! Times are printed, not asserted.

mod by_hq;
mod by_page;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, put_on_sale};
use popmesh_tests::{Api, Child, Event, Host, Network, Node, Options};
use serde_json::Value;

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);
const VENUE: &str = "hall-a";
/// Frames of an exchange, both ways.
const FRAMES: usize = 5;

/// Starts the binary in the event's folder, on a host or on this machine.
fn start(event: &Event, host: Option<&Host>, name: &str, arguments: &[&str]) -> Result<Child> {
    let mut command = match host {
        Some(host) => host.command(event.program()),
        None => Command::new(event.program()),
    };
    command.args(arguments).current_dir(event.path()).env_remove("POPMESH_DATA").env("NO_COLOR", "1");
    Child::start(name, &mut command)
}

/// Runs it to its end: how it ended, what it said and how long it took.
fn run(event: &Event, host: Option<&Host>, arguments: &[&str]) -> Result<(ExitStatus, String, Duration)> {
    let begun = Instant::now();
    let mut child = start(event, host, arguments.first().copied().unwrap_or_default(), arguments)?.quiet();
    let status = child.wait(DEADLINE)?;
    Ok((status, child.output()?, begun.elapsed()))
}

/// The JSON objects among the lines of an output.
fn objects(said: &str) -> Vec<Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no {key} in {value}"))
}

/// A device that shows a code on loopback, or on a host where it is found.
struct NewDevice<'a> {
    event: &'a Event,
    name: &'a str,
    child: Child,
    shown: usize,
}

impl<'a> NewDevice<'a> {
    fn show(event: &'a Event, host: Option<&Host>, name: &'a str) -> Result<Self> {
        let mut arguments = vec!["--json", "--data", name, "join", "--name", name];
        if host.is_none() {
            arguments.extend(["--listen", "127.0.0.1:0", "--no-mdns"]);
        }
        Ok(Self { event, name, child: start(event, host, name, &arguments)?.quiet(), shown: 0 })
    }

    /// The next code, and where it is to be used.
    fn code(&mut self) -> Result<(String, SocketAddr)> {
        self.shown += 1;
        let said = self.child.wait_for_output(&format!("\"attempt\":{}", self.shown), DEADLINE)?;
        let shown = objects(&said).into_iter().find(|object| object["attempt"] == self.shown);
        let shown = shown.with_context(|| format!("no code in {said}"))?;
        Ok((text(&shown, "code")?.to_owned(), shown["addresses"][0].as_str().context("no address")?.parse()?))
    }

    fn end(&mut self) -> Result<(ExitStatus, String)> {
        Ok((self.child.wait(DEADLINE)?, self.child.output()?))
    }

    fn has_joined(&self) -> bool {
        let folder = self.event.path().join(self.name);
        ["device.certificate", "event.charter", "event.secret"].iter().any(|file| folder.join(file).exists())
    }
}

/// The same code with another last digit.
fn wrong(code: &str) -> String {
    let (rest, last) = code.split_at(code.len() - 1);
    format!("{rest}{}", if last == "7" { "8" } else { "7" })
}

fn admit(event: &Event, code: &str, at: SocketAddr, more: &[&str]) -> Result<(ExitStatus, String, Duration)> {
    let at = at.to_string();
    let admit = ["device", "admit", code, "--event", "organiser", "--role", "pos", "--venue", VENUE];
    run(event, None, &[&admit[..], &["--at", &at], more].concat())
}

fn ticket(event: &Event, more: &[&str]) -> Result<(String, String)> {
    let make = ["device", "ticket", "--event", "organiser", "--role", "pos", "--venue", VENUE];
    let made = event.popmesh(&[&make[..], more].concat())?;
    Ok((text(&made, "id")?.to_owned(), text(&made, "ticket")?.to_owned()))
}

/// A file with a ticket, as an argument: the text of one is not taken there.
fn in_file(event: &Event, ticket: &str) -> Result<String> {
    let path = event.path().join("given.ticket");
    fs::write(&path, ticket)?;
    Ok(format!("@{}", path.display()))
}

#[test]
fn by_code_and_by_ticket_and_then_they_sell() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", VENUE)?;
    let network = Network::new(51, 3)?;
    let organiser = Some(network.host(0));

    let mut by_code = NewDevice::show(&event, Some(network.host(1)), "by-code")?;
    let (code, _) = by_code.code()?;
    let admit =
        ["--json", "device", "admit", &code, "--event", "organiser", "--role", "pos", "--venue", VENUE];
    let (status, said, took) = run(&event, organiser, &admit)?;
    ensure!(status.success(), "{said}");
    let admitted = objects(&said).pop().context("no word")?;
    assert_eq!((&admitted["name"], &admitted["admitted"]), (&"by-code".into(), &true.into()));
    let (status, said) = by_code.end()?;
    ensure!(status.success(), "{said}");
    println!(
        "by code: {took:.2?} in all; found after {} ms, exchanged in {} ms",
        admitted["found_ms"], admitted["took_ms"]
    );

    let mut serving =
        start(&event, organiser, "tickets", &["device", "admit", "--tickets", "--event", "organiser"])?;
    serving.wait_for_output("until stopped", DEADLINE)?;
    let (id, once) = ticket(&event, &["--count", "1", "--for", "2h"])?;
    let join = |host: usize, name: &str, ticket: &str| {
        let ticket = in_file(&event, ticket)?;
        let arguments =
            ["--json", "--data", name, "join", "--name", name, "--ticket", &ticket, "--wait", "50s"];
        run(&event, Some(network.host(host)), &arguments)
    };
    let (status, said, took) = join(2, "by-ticket", &once)?;
    ensure!(status.success(), "{said}");
    let joined = objects(&said).pop().context("no word")?;
    println!("by ticket: {took:.2?} in all; exchanged in {} ms", joined["took_ms"]);
    let said = serving.wait_for_output("use 1 of 1; in", DEADLINE)?;
    ensure!(said.contains("admitted   by-ticket") && said.contains(&id), "{said}");

    // The same device may, when the answer was lost on its way. Another may not.
    let (status, said, _) = join(2, "by-ticket", &once)?;
    ensure!(status.success(), "{said}");
    serving.wait_for_output("use 1 of 1, as before", DEADLINE)?;
    let (_, expired) = ticket(&event, &["--for", "1ms"])?;
    for (ticket, to_the_device, at_the_organisers) in [
        (&once, "is used up: 1 of 1, by by-ticket", "is used up: 1 of 1, by by-ticket"),
        (&expired, " expired 20", " expired 20"),
    ] {
        let (status, said, _) = join(1, "third", ticket)?;
        assert_eq!(status.code(), Some(1), "{said}");
        ensure!(said.contains(to_the_device), "{said}");
        let told = serving.wait_for_output(at_the_organisers, DEADLINE)?;
        ensure!(told.contains("refused    "), "{told}");
        println!("refused: {}", text(&objects(&said).pop().context("no word")?, "detail")?);
        ensure!(!event.path().join("third/device.certificate").exists(), "it has joined");
    }
    // One that is not known is not answered; who is asked at its address says what it says to every stranger.
    let (forgotten, unknown) = ticket(&event, &[])?;
    fs::remove_dir_all(event.path().join("organiser/tickets").join(forgotten))?;
    let unknown = in_file(&event, &unknown)?;
    let third = ["--data", "third", "join", "--ticket", &unknown];
    let (status, said, _) = run(&event, Some(network.host(1)), &[&third[..], &["--wait", "3s"]].concat())?;
    assert_eq!(status.code(), Some(1), "{said}");
    ensure!(said.contains("nobody serves this ticket on this network"), "{said}");
    let at = serving.output()?;
    let at = at.split(" at ").nth(1).and_then(|rest| rest.split(',').next()).context("no address")?;
    let (status, said, _) = run(&event, Some(network.host(1)), &[&third[..], &["--at", at]].concat())?;
    assert_eq!(status.code(), Some(1), "{said}");
    ensure!(said.contains("it does not know this code or ticket"), "{said}");
    serving.wait_for_output("was not made here", DEADLINE)?;
    ensure!(!serving.output()?.contains("popmesh-ticket-1"), "a secret was printed");
    serving.kill()?;

    let names = ["hq", "by-code", "by-ticket"];
    let nodes = network.hosts().iter().zip(names);
    let nodes = nodes
        .map(|(host, name)| Node::start(&event, name, Options { host: Some(host), ..Options::default() }));
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    for device in &devices {
        device.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == names.len()).then_some(()))
        })?;
    }
    put_on_sale(devices[0], "CAP", 9)?;
    agree(&devices)?;
    for device in &devices {
        device.sell("CAP", Duration::from_secs(20), None)?.ok().with_context(|| device.name.clone())?;
    }
    agree(&devices)?;
    for device in &devices {
        assert_eq!(check(device, "CAP")?, 3, "{}", device.name);
    }
    Ok(())
}

#[test]
fn a_wrong_code_voids_the_one_that_is_shown() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut new = NewDevice::show(&event, None, "till")?;
    let (first, at) = new.code()?;
    let (status, said, _) = admit(&event, &wrong(&first), at, &[])?;
    assert_eq!(status.code(), Some(1), "{said}");
    ensure!(said.contains("is not admitted") && said.contains("this code is void"), "{said}");
    println!("at the organiser's: {}", said.trim());
    let (second, _) = new.code()?;
    assert_ne!(first, second);
    // The first is worth nothing any more, and trying it costs the second.
    let (status, said, _) = admit(&event, &first, at, &[])?;
    assert_eq!(status.code(), Some(1), "{said}");
    let (third, _) = new.code()?;
    let (status, said, _) = admit(&event, &third, at, &[])?;
    ensure!(status.success(), "{said}");
    let (status, said) = new.end()?;
    ensure!(status.success() && new.has_joined(), "{said}");
    ensure!(said.matches("is void").count() == 2, "{said}");
    println!("on the new device:\n{}", said.trim());
    Ok(())
}

#[test]
fn after_three_wrong_codes_it_goes_on_with_one_that_stays() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut new = NewDevice::show(&event, None, "till")?;
    let mut codes = Vec::new();
    for _ in 0..3 {
        let (code, at) = new.code()?;
        // Its address waits longer each time, and this goes on until it is let in.
        let (status, said, _) = admit(&event, &wrong(&code), at, &[])?;
        assert_eq!(status.code(), Some(1), "{said}");
        codes.push(code);
    }
    let (long, at) = new.code()?;
    assert_eq!(long.len(), "417-7K2-M9Q-7K2-M9Q".len(), "{long}");
    let (status, said, _) = admit(&event, &wrong(&long), at, &[])?;
    assert_eq!(status.code(), Some(1), "{said}");
    let (status, said, _) = admit(&event, &long, at, &[])?;
    ensure!(status.success(), "{said}");
    let (status, said) = new.end()?;
    ensure!(status.success() && new.has_joined(), "{said}");
    ensure!(said.matches("is void").count() == 3, "{said}");
    codes.dedup();
    assert_eq!(codes.len(), 3);
    Ok(())
}

#[test]
fn what_tries_no_code_costs_none() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut new = NewDevice::show(&event, None, "till")?;
    let (code, at) = new.code()?;
    for noise in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0, 0, 0, 2, 0x81, 0x05]] {
        let mut stream = TcpStream::connect(at)?;
        // The device may hang up as soon as it has seen enough, by a reset if something is left unread: after the
        // first byte none of these need succeed. The last returns once the device has hung up.
        let _ = stream.write_all(noise);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let (status, said, _) = admit(&event, &code, at, &[])?;
    ensure!(status.success(), "{said}");
    ensure!(new.end()?.0.success());
    Ok(())
}

#[test]
fn a_certificate_that_does_not_hold_by_its_clock_is_refused_with_both_clocks() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut new = NewDevice::show(&event, None, "till")?;
    let (code, at) = new.code()?;
    let later = ["--from", "2099-01-01T00:00:00Z"];
    let (status, said, _) = admit(&event, &code, at, &later)?;
    assert_eq!(status.code(), Some(1), "{said}");
    let (ended, told) = new.end()?;
    assert_eq!(ended.code(), Some(1), "{told}");
    for said in [&said, &told] {
        ensure!(
            said.contains("the new device's clock says 20") && said.contains("the admitting side's 20"),
            "{said}"
        );
        ensure!(said.contains("would hold from 2099-01-01") && said.contains("another --from"), "{said}");
    }
    ensure!(!new.has_joined(), "it has joined");
    println!("at the organiser's: {}", said.trim());
    Ok(())
}

#[test]
fn who_has_the_ticket_cannot_pass_for_the_organiser() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.popmesh(&["event", "init", "Trap", "--currency", "EUR", "--dir", "trap"])?;
    let (id, stolen) = ticket(&event, &["--count", "5"])?;
    let copy = event.path().join("trap/tickets").join(&id);
    fs::create_dir_all(&copy)?;
    fs::copy(event.path().join("organiser/tickets").join(&id).join("ticket"), copy.join("ticket"))?;
    let serve =
        ["--json", "device", "admit", "--tickets", "--event", "trap", "--listen", "127.0.0.1:0", "--no-mdns"];
    let mut trap = start(&event, None, "trap", &serve)?;
    let said = trap.wait_for_output("addresses", DEADLINE)?;
    let at = objects(&said)[0]["addresses"][0].as_str().context("no address")?.to_owned();
    let stolen = in_file(&event, &stolen)?;
    let join = ["--data", "till", "join", "--ticket", &stolen, "--at", &at];
    let (status, said, _) = run(&event, None, &join)?;
    assert_eq!(status.code(), Some(1), "{said}");
    ensure!(said.contains("somebody else has this ticket"), "{said}");
    ensure!(!event.path().join("till/event.charter").exists(), "it has joined");
    let told = trap.wait_for_output("does not take it", DEADLINE)?;
    ensure!(told.contains("\"admitted\":false"), "{told}");
    Ok(())
}

/// What somebody between the two does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Between {
    /// Passes everything on.
    Passes,
    /// Alters the last byte of the frame of this number.
    Alters(usize),
    /// Puts the first word of another device that wants to join in the place of this one's.
    Swaps,
}

/// Relays one connection, frame by frame: the new device speaks first, then they take turns.
fn relay(listener: &TcpListener, device: SocketAddr, decoy: SocketAddr, between: Between) -> Result<usize> {
    let (mut organiser, _) = listener.accept()?;
    let mut device = TcpStream::connect(device)?;
    for number in 0..FRAMES {
        let (from, to) =
            if number % 2 == 0 { (&mut device, &mut organiser) } else { (&mut organiser, &mut device) };
        let Ok(mut frame) = frame(from) else { return Ok(number) };
        match between {
            Between::Alters(at) if at == number => *frame.last_mut().context("an empty frame")? ^= 1,
            Between::Swaps if number == 0 => frame = self::frame(&mut TcpStream::connect(decoy)?)?,
            _ => {}
        }
        if to.write_all(&frame).is_err() {
            return Ok(number);
        }
    }
    Ok(FRAMES)
}

/// One frame, with its length.
fn frame(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut frame)?;
    Ok([&length[..], &frame].concat())
}

#[test]
fn somebody_between_can_pass_on_what_is_said_and_nothing_else() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let mut decoy = NewDevice::show(&event, None, "decoy")?;
    let (_, decoy) = decoy.code()?;
    let replaced = "replacing what they say";
    let between = "somebody between the two";
    let cases = [
        (Between::Passes, None),
        // Whoever compares first sees it, and tells the other. Half of all altered shares are none, so either can.
        (Between::Alters(0), Some(("between the two", "between the two"))),
        (Between::Swaps, Some((replaced, between))),
        (Between::Alters(1), Some((replaced, between))),
        (Between::Alters(2), Some((between, replaced))),
        // The certificate was sent, and did not arrive.
        (Between::Alters(3), Some((replaced, "did not say that it has it"))),
    ];
    for (number, (what, refused)) in cases.into_iter().enumerate() {
        let name = format!("till-{number}");
        let mut new = NewDevice::show(&event, None, &name)?;
        let (code, at) = new.code()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay_at = listener.local_addr()?;
        let (sender, relayed) = mpsc::channel();
        thread::spawn(move || sender.send(relay(&listener, at, decoy, what)));
        let (status, said, _) = admit(&event, &code, relay_at, &[])?;
        let frames = relayed.recv_timeout(DEADLINE)??;
        println!("{what:?}, {frames} frames went through; at the organiser's: {}", said.trim());
        match refused {
            None => {
                ensure!(status.success() && frames == FRAMES, "{said}");
                let (status, told) = new.end()?;
                ensure!(status.success() && new.has_joined(), "{told}");
            }
            Some((by_the_device, by_the_organiser)) => {
                assert_eq!(status.code(), Some(1), "{what:?}: {said}");
                ensure!(said.contains(by_the_organiser), "{what:?}: {said}");
                let is_told = |told: &str| told.contains("is void") || told.contains("as good as before");
                let told = popmesh_tests::wait_until("what it says", DEADLINE, || {
                    Ok(Some(new.child.output()?).filter(|told| is_told(told)))
                })?;
                // An altered share may be none: then no code was tried.
                if told.contains("is void") {
                    let (another, _) = new.code()?;
                    assert_ne!(another, code);
                } else {
                    assert_eq!(what, Between::Alters(0));
                }
                ensure!(told.contains(by_the_device), "{what:?}: {told}");
                ensure!(!new.has_joined(), "{what:?}: it has joined");
                println!("  on the new device: {}", told.lines().nth(1).unwrap_or_default());
            }
        }
    }
    Ok(())
}
