//! A reader, who types a page as it is printed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::compare::{Pairs, compare};
use crate::page::{Page, Step, Talk};
use crate::terminal::{Shown, Terminal};
use crate::varying::{Kind, Piece, pieces};

/// Names a page: in that one, what is printed is replaced by what comes.
pub const WRITE_VARIABLE: &str = "POPMESH_WRITE_PAGE";

/// Within this a command must have ended, or said what it says before it runs on.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(90);
/// For so long something is looked at again, or tried again: a person types slower than devices hear of each other.
const PATIENCE: Duration = Duration::from_secs(30);
/// When pages are written, what comes first is hardly ever wrong.
const PATIENCE_WRITING: Duration = Duration::from_secs(3);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// What popmesh answers if the same again can do.
const AGAIN_CAN_DO: i32 = 4;

/// Commands that look and change nothing, after `popmesh` and its options.
const LOOKS: [&str; 25] = [
    "status",
    "peers",
    "stock",
    "claims",
    "claim show",
    "cart list",
    "doors",
    "log",
    "incidents list",
    "takings",
    "receipts",
    "receipt",
    "check",
    "doctor",
    "payment list",
    "people list",
    "registrar show",
    "device tickets",
    "device show",
    "api token list",
    "product list",
    "drop list",
    "lot list",
    "past show",
    "event show",
];

/// Where machines are.
pub trait Machines {
    /// A command that runs `program` on this machine.
    ///
    /// # Errors
    /// When there is no such machine.
    fn command(&self, machine: &str, program: &str) -> Result<Command>;
}

/// One machine: this one.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

impl Machines for ThisMachine {
    fn command(&self, _machine: &str, program: &str) -> Result<Command> {
        Ok(Command::new(program))
    }
}

/// A command that was left running.
#[derive(Debug)]
struct Running {
    machine: String,
    terminal: Terminal,
    /// How many lines of its answer were compared.
    seen: usize,
}

/// Who reads pages, from an empty folder on each machine.
#[derive(Debug)]
pub struct Reader<M> {
    // Before the folder: what runs must be gone when it is removed.
    terminals: BTreeMap<String, Terminal>,
    running: Vec<Running>,
    machines: M,
    environment: Vec<(String, String)>,
    /// What the page has, and what stood there this time.
    names: Vec<(String, String)>,
    writes: bool,
    folder: tempfile::TempDir,
}

impl<M: Machines> Reader<M> {
    /// Sits down before these machines; each of them finds these programs.
    ///
    /// # Errors
    /// When there is no place for their folders.
    pub fn new(machines: M, programs: &[(&str, &Path)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("popmesh-page-").tempdir().context("make a folder")?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).context("make a folder for programs")?;
        for (name, program) in programs {
            std::os::unix::fs::symlink(program, bin.join(name)).context("link a program")?;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = [
            ("PATH", format!("{}:{path}", bin.display())),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("USER", "ana".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ];
        Ok(Self {
            terminals: BTreeMap::new(),
            running: Vec::new(),
            machines,
            environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            names: Vec::new(),
            writes: false,
            folder,
        })
    }

    /// Sets a variable for all shells that are opened from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder in which a machine's commands run.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn home(&self, machine: &str) -> Result<PathBuf> {
        let home = self.folder.path().join("home").join(if machine.is_empty() { "here" } else { machine });
        fs::create_dir_all(&home).context("make a home")?;
        Ok(home)
    }

    /// Types all of a page.
    ///
    /// # Errors
    /// When something else comes than what is printed, with both.
    pub fn read(&mut self, page: &Page) -> Result<()> {
        let mut written = Vec::new();
        self.names.clear();
        self.writes = std::env::var(WRITE_VARIABLE).is_ok_and(|name| page.path.ends_with(name));
        for block in page.blocks.iter().filter(|block| block.needs.is_none()) {
            for step in &block.steps {
                let place = || format!("{}:{}", page.path.display(), step.line());
                let started = Instant::now();
                match self.take(step).with_context(place) {
                    Ok(edit) => written.extend(edit),
                    Err(error) if self.writes => {
                        // As far as it goes.
                        write(&page.path, &written)?;
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                }
                if let Step::Type { machine, command, .. } = step {
                    println!("{}: {machine}$ {command}: {:.1} s", place(), started.elapsed().as_secs_f64());
                }
            }
        }
        if self.writes { write(&page.path, &written) } else { Ok(()) }
    }

    fn take(&mut self, step: &Step) -> Result<Option<Edit>> {
        match step {
            Step::End { machine, power_cut, .. } => {
                let running = std::mem::take(&mut self.running);
                let (ended, others): (Vec<_>, _) =
                    running.into_iter().partition(|one| one.machine == *machine);
                self.running = others;
                ensure!(!ended.is_empty(), "nothing runs on there");
                for mut one in ended {
                    one.terminal.end(*power_cut, COMMAND_TIMEOUT)?;
                }
                Ok(None)
            }
            Step::Look { machine, printed, answer, .. } => {
                let place = self.running.iter_mut().rfind(|one| one.machine == *machine);
                let running = place.context("nothing runs on there")?;
                let lines: Vec<&str> = printed.iter().map(String::as_str).collect();
                let (shown, pairs) = running.look(&lines, self.writes, true)?;
                self.learn_all(pairs.as_ref())?;
                let talk = [Talk { printed: printed.clone(), typed: None }];
                Ok(self.writes.then(|| Edit::answer(answer.clone(), &talk, &shown, pairs)))
            }
            Step::Type { line, machine, command, runs_on, talk, answer } => {
                let typed = self.renamed(command);
                let came = if *runs_on {
                    self.start(machine, &typed, talk)
                } else {
                    self.run(machine, &typed, talk)
                };
                let (shown, pairs) = came.with_context(|| format!("{machine}$ {typed}"))?;
                self.learn_all(pairs.as_ref())?;
                if self.writes {
                    println!("{shown}");
                }
                if self.writes && pairs.is_none() {
                    // What was printed stands for what came in its place, so that later commands can be typed.
                    let printed: String = talk.iter().map(|part| part.printed.join("\n") + "\n").collect();
                    self.learn_all(Some(&in_order(&printed, &shown)))?;
                }
                let lines = line - 1 + command.matches('\n').count() + 1;
                ensure!(lines == answer.start, "line {line} was read wrongly");
                Ok(self.writes.then(|| {
                    Edit::new(*line, machine, &self.rewritten(command), answer.clone(), talk, &shown, pairs)
                }))
            }
        }
    }

    fn learn_all(&mut self, pairs: Option<&Pairs>) -> Result<()> {
        let mut names = pairs.into_iter().flatten().filter(|(kind, ..)| kind.is_name());
        names.try_for_each(|(_, printed, came)| self.learn(printed, came))
    }

    /// What the page calls so, and what it is called this time.
    fn learn(&mut self, printed: &str, came: &str) -> Result<()> {
        match self.names.iter().find(|(known, _)| known == printed) {
            Some((_, known)) if known != came && !self.writes => {
                bail!("the page has {printed} for two things: {known} and {came}")
            }
            Some(_) => {}
            None => self.names.push((printed.to_owned(), came.to_owned())),
        }
        // A name that begins with another one goes first.
        self.names.sort_by_key(|(printed, _)| std::cmp::Reverse(printed.len()));
        Ok(())
    }

    /// The command as the page has it from now on: what it leaves out stays so.
    fn rewritten(&self, command: &str) -> String {
        let whole = self.names.iter().filter(|(printed, _)| !printed.contains('…'));
        whole.fold(command.to_owned(), |command, (printed, came)| command.replace(printed.as_str(), came))
    }

    fn renamed(&self, command: &str) -> String {
        // In two goes: what came may be what the page has for something else.
        let mark = |at: usize| format!("\u{1}{at}\u{2}");
        let marked = self.names.iter().enumerate().fold(command.to_owned(), |command, (at, (printed, _))| {
            command.replace(printed.as_str(), &mark(at))
        });
        self.names
            .iter()
            .enumerate()
            .fold(marked, |command, (at, (_, came))| command.replace(&mark(at), came))
    }

    /// Types a command that goes on running into a terminal of its own.
    fn start(&mut self, machine: &str, command: &str, talk: &[Talk]) -> Result<(String, Option<Pairs>)> {
        let mut terminal = self.open(machine)?;
        terminal.type_command(command)?;
        let printed: Vec<&str> = talk.iter().flat_map(|part| &part.printed).map(String::as_str).collect();
        let mut running = Running { machine: machine.to_owned(), terminal, seen: 0 };
        let came = running.look(&printed, self.writes, false)?;
        self.running.push(running);
        Ok(came)
    }

    fn open(&self, machine: &str) -> Result<Terminal> {
        let home = self.home(machine)?;
        Terminal::open(&home, |program| {
            let mut command = self.machines.command(machine, program)?;
            command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
            command.env("HOME", &home).current_dir(&home);
            Ok(command)
        })
    }

    /// Types a command and what it asks for, and compares what it answers.
    fn run(&mut self, machine: &str, command: &str, talk: &[Talk]) -> Result<(String, Option<Pairs>)> {
        if !self.terminals.contains_key(machine) {
            let terminal = self.open(machine)?;
            self.terminals.insert(machine.to_owned(), terminal);
        }
        let terminal = self.terminals.get_mut(machine).context("a terminal that was just opened")?;
        let refuses = talk.iter().flat_map(|part| &part.printed).any(|line| line.starts_with("error: "));
        let until = Instant::now() + if self.writes { PATIENCE_WRITING } else { PATIENCE };
        loop {
            let (printed, shown) = converse(terminal, command, talk)?;
            let printed: Vec<&str> = printed.lines().collect();
            let answer: Vec<&str> = shown.text.lines().collect();
            let pairs = compare(&printed, &answer);
            let code = shown.exit_code.unwrap_or_default();
            if pairs.is_some() && (code != 0) == refuses {
                return Ok((shown.text, pairs));
            }
            let again = looks(command) || (refuses && code != 0) || (!refuses && code == AGAIN_CAN_DO);
            if again && Instant::now() < until {
                thread::sleep(AGAIN_AFTER);
                continue;
            }
            if self.writes {
                return Ok((shown.text, pairs));
            }
            return differs(&printed, &shown, if refuses { "it should refuse" } else { "it should do it" });
        }
    }
}

impl Running {
    /// Compares what came since the last time.
    fn look(&mut self, printed: &[&str], writes: bool, may_end: bool) -> Result<(String, Option<Pairs>)> {
        let seen = self.seen;
        let lines = |shown: &Shown| -> Vec<String> {
            // A line without an end is one that still comes.
            let whole = shown.text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().skip(seen).map(str::to_owned).collect()
        };
        let fits = |shown: &Shown| {
            let lines = lines(shown);
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            (0..=lines.len()).find_map(|end| Some((end, compare(printed, &lines[..end])?)))
        };
        let within = if writes { PATIENCE_WRITING } else { COMMAND_TIMEOUT };
        let came = self.terminal.wait("what is printed", within, |shown| {
            !writes && (shown.exit_code.is_some() || fits(shown).is_some())
        });
        let shown = if writes { self.terminal.shown() } else { came? };
        let found = fits(&shown);
        if !writes && (found.is_none() || (shown.exit_code.is_some() && !may_end)) {
            return differs(printed, &shown, "it should run on");
        }
        let lines = lines(&shown);
        let (end, pairs) = found.map_or((lines.len(), None), |(end, pairs)| (end, Some(pairs)));
        self.seen = seen + end;
        Ok((lines.join("\n"), pairs))
    }
}

/// Types a command, and what the page answers where the page answers. Answers all that is printed, with what is typed.
fn converse(terminal: &mut Terminal, command: &str, talk: &[Talk]) -> Result<(String, Shown)> {
    terminal.type_command(command)?;
    let mut printed = String::new();
    for part in talk {
        printed.push_str(&part.printed.join("\n"));
        let Some(typed) = &part.typed else {
            if !part.printed.is_empty() {
                printed.push('\n');
            }
            continue;
        };
        let fits = |shown: &Shown| {
            let ends = shown.text.ends_with('\n') == (printed.is_empty() || printed.ends_with('\n'));
            let (printed, came): (Vec<&str>, Vec<&str>) =
                (printed.lines().collect(), shown.text.lines().collect());
            ends && compare(&printed, &came).is_some()
        };
        let shown = terminal.wait(&format!("{printed:?}"), COMMAND_TIMEOUT, |shown| {
            shown.exit_code.is_some() || fits(shown)
        })?;
        if shown.exit_code.is_some() {
            break;
        }
        terminal.answer(typed)?;
        printed.push_str(typed);
        printed.push('\n');
    }
    let shown = terminal.wait("the command to end", COMMAND_TIMEOUT, |shown| shown.exit_code.is_some())?;
    Ok((printed, shown))
}

/// The names in two texts, in the order in which each kind comes.
fn in_order(printed: &str, came: &str) -> Pairs {
    let names = |text: &str| {
        text.lines()
            .flat_map(pieces)
            .filter_map(|piece| match piece {
                Piece::Varying(kind, text) if kind.is_name() => Some((kind, text)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let mut came = names(came);
    let of_kind = |(kind, printed): (Kind, String)| {
        let at = came.iter().position(|(other, _)| *other == kind)?;
        Some((kind, printed, came.remove(at).1))
    };
    names(printed).into_iter().filter_map(of_kind).collect()
}

/// Whether a command looks, and changes nothing.
fn looks(command: &str) -> bool {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    if words.first() != Some(&"popmesh") {
        return words.first() == Some(&"curl")
            && !words.iter().any(|word| ["-d", "-X", "--data"].contains(word));
    }
    words.remove(0);
    while let Some(option) = words.first().copied().filter(|word| word.starts_with("--")) {
        words.remove(0);
        if option == "--data" && !words.is_empty() {
            words.remove(0);
        }
    }
    let words = words.join(" ");
    LOOKS
        .iter()
        .any(|look| words.strip_prefix(look).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

fn differs<T>(printed: &[&str], shown: &Shown, should: &str) -> Result<T> {
    let code = shown.exit_code.map_or("it runs on".to_owned(), |code| format!("exit code {code}"));
    bail!(
        "{should}, and answer\n  {}\nIt answered ({code})\n  {}",
        printed.join("\n  "),
        shown.text.replace('\n', "\n  ")
    )
}

/// What is to stand in a page instead.
#[derive(Debug)]
struct Edit {
    /// Lines of the file, from 0.
    place: Range<usize>,
    lines: Vec<String>,
}

impl Edit {
    fn new(
        line: usize,
        machine: &str,
        typed: &str,
        answer: Range<usize>,
        talk: &[Talk],
        shown: &str,
        pairs: Option<Pairs>,
    ) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for (at, part) in typed.split('\n').enumerate() {
            let continued = lines.last().is_some_and(|line| line.ends_with('\\'));
            lines.push(match (at, continued) {
                (0, _) => format!("{machine}$ {part}"),
                (_, true) => part.to_owned(),
                (_, false) => format!("> {part}").trim_end().to_owned(),
            });
        }
        let place = line - 1..answer.end;
        lines.extend(Self::answer(answer, talk, shown, pairs).lines);
        Self { place, lines }
    }

    /// What is to stand there as the answer alone.
    fn answer(place: Range<usize>, talk: &[Talk], shown: &str, pairs: Option<Pairs>) -> Self {
        let mut lines = Vec::new();
        let printed: Vec<&String> = talk.iter().flat_map(|part| &part.printed).collect();
        let keeps =
            printed.iter().any(|line| line.contains('…')) || talk.iter().any(|part| part.typed.is_some());
        match pairs.filter(|_| keeps) {
            // What was left out stays so, and what varies is of this time.
            Some(pairs) => {
                for part in talk {
                    let mut part_lines: Vec<String> = part.printed.clone();
                    if let (Some(typed), Some(last)) = (&part.typed, part_lines.last_mut()) {
                        *last = format!("{last}{typed}⏎");
                    }
                    lines.extend(part_lines.into_iter().map(|line| {
                        pairs.iter().fold(line, |line, (_, printed, came)| {
                            if printed.contains('…') { line } else { line.replace(printed.as_str(), came) }
                        })
                    }));
                }
            }
            None => lines.extend(shown.lines().map(str::to_owned)),
        }
        Self { place, lines }
    }
}

fn write(path: &Path, edits: &[Edit]) -> Result<()> {
    let text = fs::read_to_string(path)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for edit in edits.iter().rev() {
        lines.splice(edit.place.clone(), edit.lines.iter().cloned());
    }
    fs::write(path, lines.join("\n") + "\n").with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<()> {
        let page = Page::parse(Path::new("page.md"), text)?;
        Reader::new(ThisMachine, &[])?.read(&page)
    }

    #[test]
    fn a_page_that_is_true_passes_and_a_changed_word_fails() {
        let page = "```console\n\
            $ echo claim 10447c234994bce4:2 | tr 1 3\n\
            claim 00447c234994bce4:2\n\
            $ echo again 00447c234994bce4:2\n\
            again 30447c234994bce4:2\n\
            other$ read -p 'Name: ' name; echo it is $name; pwd\n\
            Name: till⏎\n\
            it is till\n\
            /home/ana\n\
            $ echo up; sleep 2   # runs on\n\
            …\n\
            up\n\
            ```\n";
        read(page).unwrap();
        for (word, other) in [
            ("echo again", "echo agian"),
            ("it is till", "it is hq"),
            ("/home/ana", "/home/eve"),
            ("\nup\n", "\ndown\n"),
        ] {
            assert_eq!(page.matches(word).count(), 1, "{word}");
            let error = read(&page.replace(word, other)).expect_err(other);
            println!("{error:#}");
        }
    }

    #[test]
    fn what_fails_is_shown_as_failing() {
        read("```console\n$ true\n$ echo error: no; false\nerror: no\n```").unwrap();
        for wrong in ["$ echo error: no\nerror: no", "$ echo no; false\nno", "$ echo yes", "$ true\nno"] {
            read(&format!("```console\n{wrong}\n```")).expect_err(wrong);
        }
    }

    #[test]
    fn commands_that_look_are_known() {
        for look in [
            "popmesh status",
            "popmesh --data till --json claim show 3",
            "curl -s http://x/v1/status",
            "popmesh receipt 12 | cat",
        ] {
            assert!(looks(look), "{look}");
        }
        for act in [
            "popmesh claim refund 3",
            "popmesh sell TEE",
            "curl -d '{}' http://x",
            "popmesh receipts-of x",
            "echo",
        ] {
            assert!(!looks(act), "{act}");
        }
    }
}
