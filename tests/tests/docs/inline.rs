//! Commands in the middle of a sentence: each names commands and options that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_tests::event;

use super::{ELSEWHERE, PAGES, page};

/// What a command's help lists.
#[derive(Debug, Default)]
struct Help {
    commands: BTreeSet<String>,
    options: BTreeSet<String>,
}

/// The helps that were asked for.
#[derive(Debug)]
struct Helps {
    program: PathBuf,
    asked: BTreeMap<Vec<String>, Help>,
}

impl Helps {
    fn of(&mut self, path: &[String]) -> Result<&Help> {
        if !self.asked.contains_key(path) {
            let output = Command::new(&self.program).args(path).arg("--help").output()?;
            ensure!(output.status.success(), "popmesh {} --help", path.join(" "));
            let text = String::from_utf8(output.stdout).context("help that is no text")?;
            self.asked.insert(path.to_owned(), help(&text));
        }
        self.asked.get(path).context("what was just asked")
    }

    /// What is wrong with a command, if anything.
    fn wrong(&mut self, words: &[&str]) -> Result<Option<String>> {
        let mut path = Vec::new();
        let mut is_value = false;
        for word in words {
            let name = word.split('=').next().unwrap_or_default();
            if let Some(long) = name.strip_prefix("--") {
                let there = self.of(&path)?.options.contains(name);
                // Of a value that is named by a word in capitals nobody can say more.
                if !there && !long.is_empty() {
                    return Ok(Some(format!("popmesh {} has no {name}", path.join(" "))));
                }
                is_value = path.is_empty() && name == "--data";
                continue;
            }
            if std::mem::take(&mut is_value) || word.starts_with('-') {
                continue;
            }
            let help = self.of(&path)?;
            if help.commands.contains(*word) {
                path.push((*word).to_owned());
            } else if !help.commands.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                return Ok(Some(format!("popmesh {} has no command {word}", path.join(" "))));
            }
        }
        Ok(None)
    }
}

fn help(text: &str) -> Help {
    let mut help = Help::default();
    let mut in_commands = false;
    for line in text.lines() {
        if !line.starts_with(' ') && !line.trim().is_empty() {
            in_commands = line == "Commands:";
        }
        if in_commands && let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) {
            help.commands.extend(name.split_whitespace().next().map(str::to_owned));
        }
        // An option begins its line; in a sentence it may be that of another command.
        let option = line.trim_start();
        if option.starts_with('-') {
            let names = option.split([' ', ',', '=', '[']).filter(|word| word.starts_with("--"));
            help.options.extend(names.take(1).map(str::to_owned));
        }
    }
    help
}

/// The commands that stand in a text between backticks.
fn commands(prose: &str) -> Vec<Vec<&str>> {
    let spans = prose.split('`').skip(1).step_by(2);
    spans.filter_map(|span| Some(span.strip_prefix("popmesh ")?.split_whitespace().collect())).collect()
}

#[test]
fn commands_in_sentences_are_commands_that_there_are() -> Result<()> {
    let mut helps = Helps { program: event::program()?, asked: BTreeMap::new() };
    let (mut wrong, mut count) = (Vec::new(), 0);
    for name in PAGES.iter().copied().chain(ELSEWHERE.map(|(page, _)| page)) {
        let prose = page(name)?.prose;
        for words in commands(&prose) {
            count += 1;
            wrong.extend(
                helps.wrong(&words)?.map(|why| format!("{name}: {why}, in: popmesh {}", words.join(" "))),
            );
        }
    }
    println!("{count} commands");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A check that finds nothing wrong with anything checks nothing.
    for nonsense in [&["selll", "TEE"][..], &["sell", "TEE", "--for-free"], &["claim", "refnd", "3"]] {
        ensure!(helps.wrong(nonsense)?.is_some(), "{nonsense:?} passes");
    }
    Ok(())
}
