//! What opens doors, and the keeper who has them opened.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics fails, as it should")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as channel};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use popmesh::door::{Board, DoorError, DoorSpec, Doors, Driver, Keeper, OPENS_WITHIN, Program, VirtualDoors};
use popmesh::runtime::{Call, Handle, Outcome, RuntimeMetrics, Wanted};
use popmesh_proto::command::{Command, DoorReport, Reply};
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::text::Compartment;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

fn seven() -> Compartment {
    "07".parse().unwrap()
}

/// A board that gives each request the next of these answers, or none at all; what it was asked comes out.
fn board(answers: Vec<Option<&'static str>>) -> (String, channel::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/open/{{compartment}}", listener.local_addr().unwrap());
    let (asked, questions) = channel::channel();
    thread::spawn(move || {
        let mut unanswered = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            asked.send(line.trim().to_owned()).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let mut stream = reader.into_inner();
            match answer {
                Some(answer) => {
                    let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    stream.write_all(head.as_bytes()).unwrap();
                }
                None => unanswered.push(stream),
            }
        }
        // Keeps the unanswered waiting until the test is over.
        while asked.send(String::new()).is_ok() {
            thread::park_timeout(Duration::from_millis(50));
        }
    });
    (url, questions)
}

#[tokio::test]
async fn a_board_is_asked_by_post_and_any_2xx_means_that_it_opened() {
    let (url, asked) = board(vec![Some("200 OK"), Some("204 No Content"), Some("200 OK")]);
    let board = Board::new(url, OPENS_WITHIN);
    assert_eq!(board.open(&seven()).await, Ok(()));
    assert_eq!(asked.recv().unwrap(), "POST /open/07 HTTP/1.1");
    assert_eq!(board.open(&"B.1-x".parse().unwrap()).await, Ok(()));
    assert_eq!(asked.recv().unwrap(), "POST /open/B.1-x HTTP/1.1");
    assert_eq!(board.open(&"Fächer7".parse().unwrap()).await, Ok(()));
    assert_eq!(asked.recv().unwrap(), "POST /open/F%C3%A4cher7 HTTP/1.1");
}

#[tokio::test]
async fn a_board_that_says_anything_else_or_nothing_did_not_open() {
    let (url, _asked) = board(vec![Some("500 Jam"), Some("302 Found"), Some("404 Not Found"), None]);
    let board = Board::new(url, Duration::from_millis(300));
    for status in [500, 302, 404] {
        assert_eq!(board.open(&seven()).await, Err(DoorError::Answered(status)));
    }
    assert_eq!(board.open(&seven()).await, Err(DoorError::Late(Duration::from_millis(300))));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Board::new(format!("http://{gone}/{{compartment}}"), OPENS_WITHIN);
    let error = nobody.open(&seven()).await.unwrap_err();
    assert!(matches!(&error, DoorError::Unreachable(_)), "{error}");
}

fn script(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("open-door");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_program_gets_the_compartment_and_its_exit_code_tells() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("asked");
    let program =
        Program::new(script(&folder, &format!("echo \"$# $1\" >> {}", out.display())), OPENS_WITHIN);
    assert_eq!(program.open(&seven()).await, Ok(()));
    assert_eq!(fs::read_to_string(out).unwrap(), "1 07\n");

    let program =
        Program::new(script(&folder, "echo relay 3 is dead >&2; echo more >&2; exit 7"), OPENS_WITHIN);
    let error = program.open(&seven()).await.unwrap_err();
    assert_eq!(error.to_string(), "the program ended with exit status: 7: relay 3 is dead");

    let program = Program::new(folder.path().join("missing"), OPENS_WITHIN);
    let error = program.open(&seven()).await.unwrap_err();
    assert!(
        matches!(&error, DoorError::NotRun { problem, .. } if problem.contains("No such file")),
        "{error}"
    );
}

fn has_ended(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    // A zombie has ended, too.
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("sleep 1000 & echo $$ $! > {}.new; mv {0}.new {0}; wait", pids.display());
    let program = Program::new(script(&folder, &text), Duration::from_millis(500));
    assert_eq!(program.open(&seven()).await, Err(DoorError::Late(Duration::from_millis(500))));
    let pids = fs::read_to_string(pids).expect("it ran");
    for pid in pids.split_whitespace() {
        while !has_ended(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_program_that_leaves_something_running_has_opened_all_the_same() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let text = format!("sleep 1000 & echo $! > {}; exit 0", pid.display());
    let program = Program::new(script(&folder, &text), OPENS_WITHIN);
    assert_eq!(program.open(&seven()).await, Ok(()));
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!has_ended(&pid));
    let killed = std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn a_virtual_door_opens_unless_it_is_jammed() {
    let doors = VirtualDoors::default();
    doors.open(&seven()).await.unwrap();
    doors.jam(&seven(), true);
    assert_eq!(doors.open(&seven()).await, Err(DoorError::Jammed));
    assert_eq!((doors.all()[0].opened, doors.all()[0].jammed), (1, true));
    doors.jam(&seven(), false);
    doors.open(&seven()).await.unwrap();
    assert_eq!(doors.all()[0].opened, 2);
}

/// Opens a door when the test lets it, and says when it begins.
struct Slow {
    began: mpsc::UnboundedSender<Compartment>,
    go: Semaphore,
}

impl Driver for Slow {
    fn open<'a>(&'a self, compartment: &'a Compartment) -> BoxFuture<'a, Result<(), DoorError>> {
        Box::pin(async move {
            self.began.send(compartment.clone()).unwrap();
            self.go.acquire().await.unwrap().forget();
            if compartment.as_str() == "08" { Err(DoorError::Jammed) } else { Ok(()) }
        })
    }
}

#[tokio::test]
async fn one_door_opens_at_a_time_and_each_is_reported_on() {
    let (began, mut begun) = mpsc::unbounded_channel();
    let slow = Arc::new(Slow { began, go: Semaphore::new(0) });
    // Room for one call: the keeper has to wait for the device to take it.
    let (calls, mut called) = mpsc::channel(1);
    let handle =
        Handle::new(calls, popmesh::runtime::Events::in_memory(popmesh_proto::id::DeviceId([7; 32])));
    let metrics = Arc::new(RuntimeMetrics::default());
    let (want, wanted) = mpsc::unbounded_channel();
    let doors = Doors::by("slow", slow.clone());
    let keeper = Keeper::start(&doors, wanted, handle, metrics.clone());
    let redemption = |seq| Ref { chain: ChainId([1; 16]), seq };
    for (seq, compartment) in [(1, "07"), (2, "07"), (3, "08")] {
        let compartment = compartment.parse().unwrap();
        want.send(Wanted { redemption: redemption(seq), compartment }).unwrap();
    }
    let mut first = [begun.recv().await.unwrap().to_string(), begun.recv().await.unwrap().to_string()];
    first.sort();
    assert_eq!(first, ["07", "08"], "different doors do not wait for each other");
    assert!(begun.try_recv().is_err(), "07 is opened for one at a time");
    slow.go.add_permits(3);
    assert_eq!(begun.recv().await.unwrap(), seven());
    let mut reports = Vec::new();
    while reports.len() < 3 {
        let Some(Call::Command { command: Command::DoorReport(report), outcome, .. }) = called.recv().await
        else {
            panic!("something else was called")
        };
        let DoorReport { redemption, compartment, problem } = report;
        reports.push((redemption.seq, compartment.to_string(), problem));
        let drop = popmesh_proto::command::DropInfo::planned("neon".parse().unwrap(), "Neon".to_owned());
        // The keeper does not look at the reply.
        outcome.send(Ok(Outcome { reply: Reply::Drop(drop), repeated: false })).unwrap();
    }
    reports.sort();
    let jammed = Some("jammed, for a rehearsal".to_owned());
    let expected = [(1, "07".to_owned(), None), (2, "07".to_owned(), None), (3, "08".to_owned(), jammed)];
    assert_eq!(reports, expected);
    keeper.stop().await;
    assert_eq!((metrics.doors_opened.get(), metrics.doors_stuck.get()), (2, 1));
    assert_eq!(Doors::new(&DoorSpec::Virtual, OPENS_WITHIN).name(), "virtual");
}
