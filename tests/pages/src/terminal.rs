//! A terminal with a shell in it, into which a reader types.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcgetpgrp;

/// Around the exit code that the shell shows when it waits for a command. Nothing that is printed has these.
const PROMPT: [char; 2] = ['\u{1e}', '\u{1f}'];
/// Within this a shell must be there.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A person would press Ctrl-C again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
const CTRL_C: &[u8] = b"\x03";

/// What came, and whether there is an end to it.
#[derive(Debug, Default)]
struct Came {
    bytes: Vec<u8>,
    ended: bool,
}

/// A shell on a terminal of its own. Dropping it ends what runs there.
#[derive(Debug)]
pub struct Terminal {
    input: File,
    shell: Child,
    came: Arc<(Mutex<Came>, Condvar)>,
    home: String,
}

/// What pages have for the folder in which the reader is at home.
pub const HOME: &str = "/home/ana";

/// What a terminal shows since the last command was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The text.
    pub text: String,
    /// The command's exit code, once it has ended.
    pub exit_code: Option<i32>,
}

impl Terminal {
    /// Opens a terminal of somebody who is at home in this folder; `command` makes the command that runs a program where the shell is to be.
    ///
    /// # Errors
    /// When there is none to be had, or the shell does not come up.
    pub fn open(home: &Path, command: impl FnOnce(&str) -> Result<Command>) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .context("open a terminal")?;
        grantpt(&ours).context("own the terminal")?;
        unlockpt(&ours).context("unlock the terminal")?;
        let name = ptsname(&ours, Vec::new()).context("the terminal's name")?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = File::from(rustix::fs::open(name, flags, Mode::empty()).context("open the terminal")?);
        // Of util-linux: the terminal becomes the one that the shell controls, as where a person sits.
        let mut shell = command("setsid")?;
        shell.args(["--ctty", "bash", "--noprofile", "--norc", "--noediting", "-i"]);
        shell.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
        let shell = shell.spawn().context("start a shell")?;
        let input = File::from(ours);
        let came = Arc::new((Mutex::new(Came::default()), Condvar::new()));
        let mut output = input.try_clone()?;
        let kept = Arc::clone(&came);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // A terminal that nobody has open any more answers with an error.
                let read = output.read(&mut buffer).unwrap_or(0);
                let mut came = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                came.bytes.extend(buffer.iter().take(read));
                came.ended = read == 0;
                kept.1.notify_all();
                if came.ended {
                    return;
                }
            }
        });
        let mut terminal = Self { input, shell, came, home: home.display().to_string() };
        let [open, close] = PROMPT.map(|letter| letter as u32);
        let settings = format!(
            "bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo -onlcr cols 200; PS2=; PS1=$'\\x{open:x}$?\\x{close:x}'\n"
        );
        terminal.send(settings.as_bytes())?;
        terminal.wait("the shell", START_TIMEOUT, |shown| shown.exit_code.is_some())?;
        Ok(terminal)
    }

    /// Types a command, and forgets what was shown before.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_command(&mut self, command: &str) -> Result<()> {
        self.lock().bytes.clear();
        self.type_line(&command.replace(HOME, &self.home))
    }

    /// Types a line into what runs there. It is shown as a terminal would show it.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn answer(&mut self, line: &str) -> Result<()> {
        let shown = format!("{line}\n");
        self.lock().bytes.extend(shown.as_bytes());
        self.type_line(line)
    }

    fn type_line(&mut self, line: &str) -> Result<()> {
        self.send(format!("{line}\n").as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.input.write_all(bytes).context("type into the terminal")
    }

    /// What it shows.
    pub fn shown(&self) -> Shown {
        shown(&self.lock().bytes, &self.home)
    }

    fn lock(&self) -> MutexGuard<'_, Came> {
        self.came.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it shows what `is` wants to see.
    ///
    /// # Errors
    /// When the time is over before, or the shell is gone.
    pub fn wait(&self, what: &str, within: Duration, is: impl Fn(&Shown) -> bool) -> Result<Shown> {
        let until = Instant::now() + within;
        let mut came = self.lock();
        loop {
            let shown = shown(&came.bytes, &self.home);
            if is(&shown) {
                return Ok(shown);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || came.ended {
                bail!("still waiting for {what} after {within:?}; the terminal shows:\n{}", shown.text);
            }
            came = self.came.1.wait_timeout(came, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Presses Ctrl-C, or kills what runs as a power cut would, and waits until the shell is back.
    ///
    /// # Errors
    /// When it goes on.
    pub fn end(&mut self, power_cut: bool, within: Duration) -> Result<Shown> {
        let until = Instant::now() + within;
        loop {
            // Between two commands of a line nothing but the shell itself is there to be ended.
            while !self.runs_something()? && Instant::now() < until {
                thread::sleep(LOOK_EVERY);
            }
            if power_cut {
                self.kill().context("kill what runs there")?;
            } else {
                self.send(CTRL_C)?;
            }
            // What was about to become the program was still a copy of the shell, which does not mind.
            let ended = self.wait("the command to end", AGAIN_AFTER, |shown| shown.exit_code.is_some());
            if ended.is_ok() || Instant::now() >= until {
                return ended;
            }
        }
    }

    fn runs_something(&self) -> Result<bool> {
        let foreground = tcgetpgrp(&self.input).context("what runs in the terminal")?;
        Ok(Pid::from_child(&self.shell) != foreground || self.shown().exit_code.is_some())
    }

    fn kill(&self) -> rustix::io::Result<()> {
        let foreground = tcgetpgrp(&self.input)?;
        // The shell itself, where nothing runs in it, is reaped by its own handle.
        if Pid::from_child(&self.shell) == foreground {
            Ok(())
        } else {
            kill_process_group(foreground, Signal::KILL)
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What cannot be ended is gone already.
        let _ = self.kill();
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// The same without what only changes the look of letters.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let settings = part.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(part.len());
        let kept = part[settings..].strip_prefix('m');
        plain + &kept.map_or_else(|| format!("\u{1b}[{part}"), str::to_owned)
    })
}

fn shown(bytes: &[u8], home: &str) -> Shown {
    // What is written over is not seen: progress that counts up in one line.
    let over = |line: &str| {
        let line = line.trim_end_matches('\r');
        line.rsplit_once('\r').map_or(line, |(_, last)| last).to_owned()
    };
    let lines: Vec<String> = String::from_utf8_lossy(bytes).split('\n').map(over).collect();
    let text = without_colours(&lines.join("\n")).replace(home, HOME);
    let [open, close] = PROMPT;
    let code = text.split_once(open).and_then(|(text, rest)| {
        let code = rest.split_once(close)?.0.parse().ok()?;
        Some(Shown { text: text.to_owned(), exit_code: Some(code) })
    });
    code.unwrap_or(Shown { text, exit_code: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    fn open() -> Terminal {
        Terminal::open(Path::new("/nowhere"), |program| Ok(Command::new(program))).unwrap()
    }

    fn done(terminal: &mut Terminal, command: &str) -> (String, i32) {
        terminal.type_command(command).unwrap();
        let shown = terminal.wait("an end", WITHIN, |shown| shown.exit_code.is_some()).unwrap();
        (shown.text, shown.exit_code.unwrap())
    }

    #[test]
    fn a_shell_does_what_is_typed() {
        let mut terminal = open();
        assert_eq!(
            done(&mut terminal, "x=3; echo out; echo err >&2; (exit 7)"),
            ("out\nerr\n".to_owned(), 7)
        );
        assert_eq!(
            done(&mut terminal, "echo $x; test -t 0 && echo a terminal"),
            ("3\na terminal\n".to_owned(), 0)
        );
        let bold = "printf 'a \\033[1;32mgreen\\033[0m word\\n'";
        assert_eq!(done(&mut terminal, bold), ("a green word\n".to_owned(), 0));
        assert_eq!(done(&mut terminal, "cat <<END\nto $x\nEND"), ("to 3\n".to_owned(), 0));
    }

    #[test]
    fn questions_are_answered_and_what_runs_on_is_ended() {
        let mut terminal = open();
        terminal.type_command("read -p 'Name: ' name; echo it is $name").unwrap();
        terminal.wait("the question", WITHIN, |shown| shown.text == "Name: ").unwrap();
        terminal.answer("till").unwrap();
        let shown = terminal.wait("an end", WITHIN, |shown| shown.exit_code.is_some()).unwrap();
        assert_eq!(shown.text, "Name: till\nit is till\n");
        for (power_cut, code) in [(false, 130), (true, 137)] {
            terminal.type_command("echo up; sleep 1000").unwrap();
            terminal.wait("it to be up", WITHIN, |shown| shown.text.contains("up\n")).unwrap();
            assert_eq!(terminal.end(power_cut, WITHIN).unwrap().exit_code, Some(code));
        }
        assert_eq!(done(&mut terminal, "echo still there").1, 0);
    }
}
