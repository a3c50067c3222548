//! What a Markdown file has to be typed.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Blocks of these languages are not to be typed: programs (which have tests of their own), files, pictures.
const OTHER_LANGUAGES: [&str; 4] = ["python", "toml", "text", "json"];
/// Ends a command that goes on running while the reader turns to another terminal.
const RUNS_ON: &str = "runs on";
/// Begins a block that cannot be typed everywhere, and says why.
const NEEDS: &str = "# needs ";
/// Begins what came in the terminal of a command that was left running.
const MEANWHILE: &str = "# meanwhile on ";
/// Ends what the reader types when asked.
const RETURN_KEY: char = '⏎';
/// With a link behind it: the page goes on from the end of another one.
const GOES_ON: &str = "goes on where [";

/// A page and its blocks, in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The file.
    pub path: PathBuf,
    /// The page at whose end this one begins.
    pub goes_on_from: Option<PathBuf>,
    /// What is to be typed.
    pub blocks: Vec<Block>,
    /// Languages of its other blocks.
    pub others: Vec<String>,
    /// Its text, without blocks.
    pub prose: String,
}

/// A block of commands and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its first line in the file, from 1.
    pub line: usize,
    /// What it needs, if it cannot be typed everywhere.
    pub needs: Option<String>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What the reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Types a command.
    Type {
        /// Its line in the file, from 1.
        line: usize,
        /// The machine, as the word before the `$` says; empty if there is none.
        machine: String,
        /// The command, as printed.
        command: String,
        /// Whether it goes on running.
        runs_on: bool,
        /// What comes, and what the reader types then.
        talk: Vec<Talk>,
        /// The lines of the file that have the answer, from 0.
        answer: Range<usize>,
    },
    /// Looks at the terminal of this machine in which a command was left running.
    Look {
        /// Its line in the file, from 1.
        line: usize,
        /// The machine.
        machine: String,
        /// What came since it was looked at last.
        printed: Vec<String>,
        /// The lines of the file that have that, from 0.
        answer: Range<usize>,
    },
    /// Presses Ctrl-C in the terminal of this machine in which a command runs on, or takes its power away.
    End {
        /// Its line in the file, from 1.
        line: usize,
        /// The machine.
        machine: String,
        /// Whether the machine's power is gone, so that the program has no say.
        power_cut: bool,
    },
}

/// A stretch of the answer, and what the reader types after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Talk {
    /// The lines; the last one without an end where the reader types behind it.
    pub printed: Vec<String>,
    /// What the reader types, if anything.
    pub typed: Option<String>,
}

impl Step {
    /// Its line in the file, from 1.
    pub fn line(&self) -> usize {
        let (Self::Type { line, .. } | Self::Look { line, .. } | Self::End { line, .. }) = self;
        *line
    }

    /// The machine at which it is done.
    pub fn machine(&self) -> &str {
        let (Self::Type { machine, .. } | Self::Look { machine, .. } | Self::End { machine, .. }) = self;
        machine
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When it cannot be read, or has a block of a kind that nobody would test.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(path, &text)
    }

    /// The same of a text.
    ///
    /// # Errors
    /// When it has a block of a kind that nobody would test.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut page = Self {
            path: path.to_owned(),
            goes_on_from: None,
            blocks: Vec::new(),
            others: Vec::new(),
            prose: String::new(),
        };
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                page.prose.push_str(line);
                page.prose.push('\n');
                continue;
            };
            let inner: Vec<(usize, &str)> = lines
                .by_ref()
                .take_while(|(_, line)| line.trim() != "```")
                .map(|(at, line)| (at + 1, line))
                .collect();
            match language.trim() {
                "console" => page.blocks.push(block(number + 1, &inner)?),
                other if OTHER_LANGUAGES.contains(&other) => page.others.push(other.to_owned()),
                other => bail!(
                    "{}:{}: a block of the language {other:?}: commands stand in ```console, all else is one of {OTHER_LANGUAGES:?}",
                    path.display(),
                    number + 1
                ),
            }
        }
        page.goes_on_from = page.prose.split_once(GOES_ON).and_then(|(_, rest)| {
            let target = rest.split_once("](")?.1.split_once(')')?.0;
            Some(path.parent()?.join(target.split('#').next()?))
        });
        Ok(page)
    }

    /// The machines on which something is typed, in the order in which they come.
    pub fn machines(&self) -> Vec<String> {
        let mut machines = Vec::new();
        for step in self.blocks.iter().filter(|block| block.needs.is_none()).flat_map(|block| &block.steps) {
            let machine = step.machine().to_owned();
            if !machines.contains(&machine) {
                machines.push(machine);
            }
        }
        machines
    }
}

fn block(line: usize, inner: &[(usize, &str)]) -> Result<Block> {
    let mut block = Block { line, needs: None, steps: Vec::new() };
    let mut lines = inner.iter().copied().peekable();
    while let Some((number, text)) = lines.next() {
        if let Some(needs) = text.strip_prefix(NEEDS) {
            block.needs = Some(needs.to_owned());
        } else if let Some((machine, power_cut)) = ended(text) {
            block.steps.push(Step::End { line: number, machine, power_cut });
        } else if let Some(machine) = text.strip_prefix(MEANWHILE) {
            let machine = machine.to_owned();
            block.steps.push(Step::Look { line: number, machine, printed: vec![], answer: number..number });
        } else if let Some((machine, command)) = prompt(text) {
            let mut command = command.to_owned();
            while let Some((_, more)) =
                lines.next_if(|(_, next)| *next == ">" || next.starts_with("> ") || command.ends_with('\\'))
            {
                command.push('\n');
                let more = if more == ">" { "" } else { more.strip_prefix("> ").unwrap_or(more) };
                command.push_str(more);
            }
            let runs_on = command.rsplit_once("# ").is_some_and(|(_, comment)| comment.contains(RUNS_ON));
            let talk = vec![Talk::default()];
            let end = number + command.matches('\n').count();
            let machine = machine.to_owned();
            block.steps.push(Step::Type { line: number, machine, command, runs_on, talk, answer: end..end });
        } else if text.trim().is_empty()
            && lines.peek().is_none_or(|(_, next)| prompt(next).is_some() || next.starts_with("# "))
        {
            // Between commands, for the eye alone.
        } else {
            let (talk, answer) = match block.steps.last_mut() {
                Some(Step::Type { talk, answer, .. }) => (talk, answer),
                Some(Step::Look { printed, answer, .. }) => {
                    answer.end = number;
                    printed.push(text.to_owned());
                    continue;
                }
                Some(Step::End { .. }) | None => bail!("line {number}: an answer to no command: {text}"),
            };
            answer.end = number;
            if talk.last().is_none_or(|part| part.typed.is_some()) {
                talk.push(Talk::default());
            }
            let Some(part) = talk.last_mut() else { continue };
            match text.strip_suffix(RETURN_KEY) {
                None => part.printed.push(text.to_owned()),
                Some(asked) => {
                    let at =
                        [": ", "? ", "] "].iter().filter_map(|end| Some(asked.rfind(end)? + end.len())).max();
                    let (asked, typed) = asked.split_at(at.unwrap_or(0));
                    part.printed.push(asked.to_owned());
                    part.typed = Some(typed.to_owned());
                }
            }
        }
    }
    ensure!(!block.steps.is_empty(), "line {line}: a block without a command");
    Ok(block)
}

/// `$ command`, or `till$ command` on the machine `till`.
fn prompt(text: &str) -> Option<(&str, &str)> {
    let (machine, command) = text.split_once("$ ")?;
    let is_name = machine.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_name.then_some((machine, command))
}

/// `# Ctrl-C on till`, or `# till loses its power`.
fn ended(text: &str) -> Option<(String, bool)> {
    let text = text.strip_prefix("# ")?;
    if let Some(machine) = text.strip_prefix("Ctrl-C on ") {
        return Some((machine.to_owned(), false));
    }
    Some((text.strip_suffix(" loses its power")?.to_owned(), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Page> {
        Page::parse(Path::new("docs/page.md"), text)
    }

    #[test]
    fn a_page_is_what_a_reader_types() {
        let text = "This page goes on where [the tour](tour.md) ends.\n\
            ```console\n\
            till$ popmesh retire x   # asks\n\
            Its name: x⏎\n\
            done\n\n\
            $ cat <<END\n> a\n> END\na\n\
            hq$ popmesh run   # runs on\n…\n\
            # meanwhile on hq\n\
            more\n\
            # till loses its power\n\
            ```\n\
            ```console\n# needs a radio\n$ popmesh run --ble hci0\n```\n";
        let page = parse(text).unwrap();
        assert_eq!(page.goes_on_from, Some(PathBuf::from("docs/tour.md")));
        assert_eq!(page.machines(), ["till", "", "hq"]);
        assert_eq!(page.blocks[1].needs.as_deref(), Some("a radio"));
        let talk = |part: &[(&[&str], Option<&str>)]| {
            part.iter()
                .map(|(printed, typed)| Talk {
                    printed: printed.iter().map(|line| (*line).to_owned()).collect(),
                    typed: typed.map(str::to_owned),
                })
                .collect::<Vec<_>>()
        };
        let kept: Vec<_> = page.blocks[0]
            .steps
            .iter()
            .map(|step| match step {
                Step::Type { command, runs_on, talk, .. } => (command.as_str(), *runs_on, talk.clone()),
                Step::Look { machine, printed, .. } => {
                    (machine.as_str(), false, talk(&[(&[&printed[0]], None)]))
                }
                Step::End { machine, power_cut, .. } => (machine.as_str(), *power_cut, vec![]),
            })
            .collect();
        assert_eq!(
            kept,
            [
                (
                    "popmesh retire x   # asks",
                    false,
                    talk(&[(&["Its name: "], Some("x")), (&["done"], None)])
                ),
                ("cat <<END\na\nEND", false, talk(&[(&["a"], None)])),
                ("popmesh run   # runs on", true, talk(&[(&["…"], None)])),
                ("hq", false, talk(&[(&["more"], None)])),
                ("till", true, vec![]),
            ]
        );
    }

    #[test]
    fn a_block_that_nobody_would_test_is_none() {
        for wrong in
            ["```\n$ popmesh\n```", "```sh\npopmesh\n```", "```console\nan answer\n```", "```console\n```"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
