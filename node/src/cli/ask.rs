//! Questions before what cannot be taken back: the one place where a command waits for a person.
//!
//! What is at stake is said on standard error, always; standard output has results alone. `--yes` answers ahead. Where nobody is
//! at a terminal and nothing was answered ahead, nothing is done.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::failure::{Failure, Outcome};

/// An answer ahead.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Yes {
    /// Do not ask: it is all right; what is at stake is said all the same
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Asks whether to do what cannot be taken back. `question` is what the person reads last, such as `Erase it?`.
pub(super) fn whether(yes: Yes, question: &str) -> Outcome {
    if yes.yes {
        return Ok(());
    }
    let typed = answer(&format!("{question} [y/N] "), "say --yes if that is all right")?;
    if matches!(typed.to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::here("nothing was done"))
    }
}

/// Waits for a device's name: whoever types that has read what was said before. `instead` are the arguments that say the
/// same where nobody is, and that the device compares with how it stands.
pub(super) fn by_name(yes: Yes, name: &str, instead: &str, what: &str) -> Outcome {
    if yes.yes {
        return Ok(());
    }
    let help = format!("say {instead}, or --yes for whatever is so when it is done, if that is all right");
    let typed = answer(&format!("Type its name to {what}: "), &help)?;
    if typed == name { Ok(()) } else { Err(Failure::here("that is not its name; nothing was done")) }
}

fn answer(question: &str, help: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::with_help("nobody is there to confirm it; nothing was done", help));
    }
    eprint!("{question}");
    std::io::stderr().flush().ok();
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(|error| Failure::here(error.to_string()))?;
    Ok(typed.trim().to_owned())
}
