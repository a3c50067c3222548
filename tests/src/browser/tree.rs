//! The accessibility tree: what is on a page by role and name, as a screen reader says it. What is hidden, or lies behind a
//! dialog, is not in it.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Page;

/// One thing on a page.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its role, as ARIA calls it: `button`, `link`, `textbox`, `heading`, …
    pub role: String,
    /// What it is called.
    pub name: String,
    /// What it says beside its name; empty if nothing.
    pub description: String,
    /// What a field has in it; empty if nothing.
    pub value: String,
    /// Whether it can be used.
    pub enabled: bool,
    /// Whether it is pressed, checked, selected or expanded; absent where that means nothing.
    pub on: Option<bool>,
    /// How the protocol below names its node.
    pub(super) node: i64,
}

impl Seen {
    fn read(node: &Value) -> Option<Self> {
        let text = |name: &str| match &node[name]["value"] {
            Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        if node["ignored"] == true {
            return None;
        }
        let property = |name: &str| {
            let mut all = node["properties"].as_array().into_iter().flatten();
            all.find(|property| property["name"] == name).map(|property| &property["value"]["value"])
        };
        let on = ["pressed", "checked", "selected", "expanded"].into_iter().find_map(property);
        Some(Self {
            role: text("role").to_lowercase(),
            name: text("name"),
            description: text("description"),
            value: text("value"),
            enabled: property("disabled") != Some(&json!(true)),
            on: on.map(|on| *on == json!(true) || *on == json!("true")),
            node: node["backendDOMNodeId"].as_i64()?,
        })
    }
}

impl Page<'_> {
    /// Everything on the page that has a role, in the order of the document.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn tree(&self) -> Result<Vec<Seen>> {
        let tree = self.protocol("Accessibility.getFullAXTree", json!({}))?;
        let nodes = tree["nodes"].as_array().context("no accessibility tree")?;
        Ok(nodes.iter().filter_map(Seen::read).collect())
    }

    /// What has one of these roles and this name now: those that are called just so, else those whose names begin with it, else
    /// those with it in their names.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn seen(&self, roles: &[&str], name: &str) -> Result<Vec<Seen>> {
        let mut of_role = self.tree()?;
        of_role.retain(|seen| roles.contains(&&*seen.role) && seen.name.contains(name));
        let fits: [&dyn Fn(&Seen) -> bool; 2] =
            [&|seen| seen.name == name, &|seen| seen.name.starts_with(name)];
        for fits in fits {
            if of_role.iter().any(fits) {
                of_role.retain(fits);
            }
        }
        Ok(of_role)
    }
}
