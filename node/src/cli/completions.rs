//! `popmesh completions`: what a shell needs to complete commands, options and values.

use clap::{Arg, Command};
use clap_complete::Shell;

use super::client;
use super::failure::Outcome;

pub(super) fn completions(shell: Shell, mut command: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "popmesh", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Fish {
        // What is generated for fish knows two levels of commands, and no values of what is no option.
        add(&command, &mut Vec::new(), &mut script);
    }
    client::say(script.trim_end())
}

/// Adds what is missing for fish of a command, which is below those of `path`, and of all below it.
fn add<'a>(command: &'a Command, path: &mut Vec<&'a str>, script: &mut String) {
    let seen: Vec<String> = path.iter().map(|name| format!("__fish_seen_subcommand_from {name}")).collect();
    let begin = format!("complete -c popmesh -n \"{}\"", seen.join("; and "));
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let values = values(argument);
        if argument.is_positional() {
            if !values.is_empty() {
                script.push_str(&format!("{begin} -f -a \"{values}\"\n"));
            }
            continue;
        }
        if path.len() < 3 {
            continue;
        }
        let long = argument.get_long().map_or_else(String::new, |long| format!(" -l {long}"));
        let short = argument.get_short().map_or_else(String::new, |short| format!(" -s {short}"));
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let about = about.lines().next().unwrap_or_default().replace('\\', "").replace('\'', "’");
        let takes = match (argument.get_action().takes_values(), values.is_empty()) {
            (false, _) => String::new(),
            (true, true) => " -r".to_owned(),
            (true, false) => format!(" -r -f -a \"{values}\""),
        };
        script.push_str(&format!("{begin}{short}{long} -d '{about}'{takes}\n"));
    }
    for below in command.get_subcommands() {
        path.push(below.get_name());
        add(below, path, script);
        path.pop();
    }
}

fn values(argument: &Arg) -> String {
    let all = argument.get_possible_values();
    all.iter().map(|value| value.get_name()).collect::<Vec<_>>().join(" ")
}
