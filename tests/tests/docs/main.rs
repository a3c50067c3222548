//! The documentation: every command block of README.md and of each page in docs/ is typed as printed, page after page,
//! into a real shell with the real binary, and what it answers is what is printed.
//!
//! Each page has folders, hosts and a network of its own: the word before a `$` is the host, so that ports and mDNS are as
//! printed. A page that goes on where another one ends begins with that one. How to write one: HACKING.md.

mod inline;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_pages::{Machines, Page, Reader, Step};
use popmesh_tests::{Network, event};

/// Pages that other tests type, and which.
const ELSEWHERE: [(&str, &str); 2] =
    [("docs/rehearsal.md", "simulator/tests/rehearsal_page.rs"), ("docs/api.md", "tests/tests/api_page.rs")];
/// Blocks that cannot be typed here, by page, and what they need.
const NEEDS: [(&str, &str); 2] = [
    ("README.md", "some minutes, and a network for Rust's crates"),
    ("docs/bluetooth.md", "a Bluetooth adapter"),
];

/// The folder of the repository.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the repository")
}

fn page(name: &str) -> Result<Page> {
    Page::read(&root()?.join(name))
}

/// Each machine of a page is a host.
struct Hosts {
    names: Vec<String>,
    network: Network,
}

impl Machines for Hosts {
    fn command(&self, machine: &str, program: &str) -> Result<Command> {
        let at = self.names.iter().position(|name| name == machine).context("a machine without a host")?;
        Ok(self.network.host(at).command(program))
    }
}

/// Types a page, and before it those at whose end it begins.
fn read(name: &str) -> Result<()> {
    let mut pages = vec![page(name)?];
    while let Some(before) = &pages[0].goes_on_from {
        pages.insert(0, Page::read(before)?);
    }
    let mut names: Vec<String> = Vec::new();
    for machine in pages.iter().flat_map(Page::machines) {
        if !names.contains(&machine) {
            names.push(machine);
        }
    }
    let network = Network::new(22, names.len().max(1))?;
    let program = event::program()?;
    // What scripts build is built already; `cargo` does nothing here.
    let target = program.ancestors().nth(2).context("a binary in a folder of cargo's")?;
    let programs = [("popmesh", program.as_path()), ("cargo", Path::new("/bin/true"))];
    let mut reader = Reader::new(Hosts { names, network }, &programs)?
        .with("CARGO_TARGET_DIR", &target.display().to_string());
    symlink(root()?.join("scripts"), reader.home("")?.join("scripts"))?;
    pages.iter().try_for_each(|page| reader.read(page))
}

/// A test for each page, and the list of them.
macro_rules! pages {
    ($($test:ident $page:literal)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() -> Result<()> {
                read($page)
            }
        )*
    };
}

pages! {
    the_tour "docs/tour.md"
    the_crew_page "docs/crew.md"
    joining "docs/joining.md"
    stock "docs/stock.md"
    drops "docs/drops.md"
    carts_and_claims "docs/claims.md"
    lockers "docs/lockers.md"
    money "docs/money.md"
    the_stream "docs/stream.md"
    lost_devices "docs/lost-device.md"
    addresses_of_shoppers "docs/people.md"
    access_from_elsewhere "docs/access.md"
    the_console "docs/console.md"
    claim_tokens "docs/tokens.md"
    costs "docs/costs.md"
    bluetooth "docs/bluetooth.md"
    readme "README.md"
}

#[test]
fn every_page_is_typed_by_a_test() -> Result<()> {
    let mut there = BTreeSet::from(["README.md".to_owned()]);
    for entry in fs::read_dir(root()?.join("docs"))? {
        let entry = entry?;
        // Pictures lie in a folder.
        if entry.file_type()?.is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().ok().context("a name that is no text")?;
        there.insert(format!("docs/{name}"));
    }
    let listed: BTreeSet<String> =
        PAGES.iter().copied().chain(ELSEWHERE.map(|(page, _)| page)).map(str::to_owned).collect();
    assert_eq!(there, listed, "pages there are, and pages with a test");
    for (page, test) in ELSEWHERE {
        let text = fs::read_to_string(root()?.join(test)).with_context(|| format!("the test of {page}"))?;
        ensure!(text.contains(page), "{test} names no {page}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_typed_here_is_listed() -> Result<()> {
    let mut needs = BTreeSet::new();
    for name in PAGES.iter().copied().chain(ELSEWHERE.map(|(page, _)| page)) {
        for block in page(name)?.blocks {
            needs.extend(block.needs.map(|needs| (name.to_owned(), needs)));
        }
    }
    let listed: BTreeSet<_> =
        NEEDS.iter().map(|(page, needs)| ((*page).to_owned(), (*needs).to_owned())).collect();
    assert_eq!(needs, listed);
    Ok(())
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let others = ["HACKING.md", "ARCHITECTURE.md", "SECURITY.md"];
    let mut wrong = Vec::new();
    for name in PAGES.iter().copied().chain(ELSEWHERE.map(|(page, _)| page)).chain(others) {
        let path = root()?.join(name);
        let prose = fs::read_to_string(&path)?;
        for target in
            prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap_or(&path).join(file) };
            let text = fs::read_to_string(&to).unwrap_or_default();
            let is =
                to.is_dir() || (to.is_file() && (heading.is_empty() || headings(&text).contains(heading)));
            if !is {
                wrong.push(format!("{name}: {target}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "links to nowhere:\n{}", wrong.join("\n"));
    Ok(())
}

/// The anchors that GitHub gives to headings.
fn headings(text: &str) -> BTreeSet<String> {
    let of_line = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(of_line).collect()
}

/// The commands of a page up to the first sale, that included.
fn to_the_first_sale(page: &Page) -> usize {
    let commands = page.blocks.iter().flat_map(|block| &block.steps).filter_map(|step| match step {
        Step::Type { command, .. } => Some(command.as_str()),
        Step::Look { .. } | Step::End { .. } => None,
    });
    let before = commands.take_while(|command| !command.contains("popmesh sell "));
    before.count() + 1
}

#[test]
fn the_readme_says_how_many_commands_the_first_sale_takes() -> Result<()> {
    let count = to_the_first_sale(&page("docs/tour.md")?);
    for name in ["README.md", "docs/tour.md"] {
        let words = format!("{count} commands from a built binary to the first sale");
        let prose = page(name)?.prose.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(prose.contains(&words), "{name} does not say: {words}");
    }
    Ok(())
}
