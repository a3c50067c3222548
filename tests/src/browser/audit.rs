//! What keeps people from using a page, by the rules of axe-core: an audit by Deque Systems of what a machine can tell of the
//! Web Content Accessibility Guidelines.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Page;

/// A rule that a page breaks.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The rule's name: `color-contrast`, …
    pub rule: String,
    /// How bad: `minor`, `moderate`, `serious`, `critical`.
    pub impact: String,
    /// What the rule wants.
    pub help: String,
    /// Where it is broken, and how, one for each element.
    pub at: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} ({}): {}\n    {}", self.rule, self.impact, self.help, self.at.join("\n    "))
    }
}

/// axe-core, from what `scripts/test` has installed.
fn axe() -> Result<String> {
    let folder = std::env::var_os("POPMESH_BROWSER")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/browser"), PathBuf::from);
    let found = fs::read_dir(folder.join("lib")).ok().into_iter().flatten().flatten();
    let mut scripts = found
        .map(|python| python.path().join("site-packages/axe_playwright_python/axe.min.js"))
        .filter(|path| path.is_file());
    let script = scripts
        .next()
        .with_context(|| format!("no axe-core in {}; run ./scripts/test once", folder.display()))?;
    fs::read_to_string(&script).with_context(|| format!("read {}", script.display()))
}

impl Page<'_> {
    /// What the page breaks of WCAG 2.2, levels A and AA, now.
    ///
    /// # Errors
    /// When there is no axe-core, or it fails in the page.
    pub fn audit(&self) -> Result<Vec<Violation>> {
        if self.script("return typeof axe", json!([]))? != "object" {
            self.script(&axe()?, json!([]))?;
        }
        let script = "const [done] = arguments;
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
            axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then(
                (found) => done(found.violations.map((one) => ({
                    rule: one.id, impact: one.impact, help: one.help,
                    at: one.nodes.map((node) => `${node.html.slice(0, 200)}: ${node.failureSummary}`),
                }))),
                (error) => done(String(error)),
            );";
        let found = self.script_that_waits(script, json!([]))?;
        let each = found.as_array().with_context(|| format!("axe: {found}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let read = |one: &Value| Violation {
            rule: text(&one["rule"]),
            impact: text(&one["impact"]),
            help: text(&one["help"]),
            at: one["at"].as_array().into_iter().flatten().map(text).collect(),
        };
        Ok(each.iter().map(read).collect())
    }
}
