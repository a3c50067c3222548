//! One thing on a page that a person can use.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::driver::is_passing;
use super::{DEADLINE, Page, Seen};
use crate::wait_until;

/// The key under which WebDriver hands elements over, by its standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Which of several is meant is not clear.
#[derive(Debug)]
struct Several(String);

impl std::fmt::Display for Several {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for Several {}

/// Something with a role and a name. It is looked up anew for each act, so a page may draw itself anew meanwhile.
#[derive(Debug, Clone)]
pub struct Element<'p, 'b> {
    pub(super) page: &'p Page<'b>,
    pub(super) roles: Vec<String>,
    pub(super) name: String,
    /// Which of several, from 0; only one may be there if absent.
    pub(super) place: Option<usize>,
}

impl<'p> Element<'p, '_> {
    /// As it is now, waiting until it is there and can be used.
    ///
    /// # Errors
    /// When it is not there in time, with what is; or there are several of it.
    pub fn seen(&self) -> Result<Seen> {
        self.seen_when(|seen| seen.enabled)
    }

    /// As it is now, waiting until it is there and `fits`.
    ///
    /// # Errors
    /// When that takes too long, with what is there.
    pub fn seen_when(&self, fits: impl Fn(&Seen) -> bool) -> Result<Seen> {
        // While a page changes, there may be two of a thing for a moment.
        let mut several = None;
        let found = wait_until(&self.to_string(), DEADLINE, || match self.now() {
            Ok(seen) => Ok(seen.filter(&fits)),
            Err(error) if error.is::<Several>() => {
                several = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        });
        let found = found.map_err(|error| several.unwrap_or(error));
        found.with_context(|| self.page.describe())
    }

    /// As it is now, if it is there.
    ///
    /// # Errors
    /// When there are several of it.
    pub fn now(&self) -> Result<Option<Seen>> {
        let roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        let mut there = self.page.seen(&roles, &self.name)?;
        match (self.place, there.len()) {
            (Some(place), count) if place < count => Ok(Some(there.swap_remove(place))),
            (None, 1) => Ok(there.pop()),
            (_, 0) | (Some(_), _) => Ok(None),
            (None, _) => {
                let names: Vec<&str> = there.iter().map(|seen| &*seen.name).collect();
                Err(Several(format!("several times {self}: {names:?}")).into())
            }
        }
    }

    /// Taps it, as soon as it can be tapped.
    ///
    /// # Errors
    /// When it is not there in time, or something stays over it.
    pub fn tap(&self) -> Result<()> {
        self.act("click", &json!({}))?;
        let taps = &self.page.browser.taps;
        taps.set(taps.get() + 1);
        Ok(())
    }

    /// Types into it, after what is in it.
    ///
    /// # Errors
    /// When it is not there in time, or takes no text.
    pub fn types(&self, text: &str) -> Result<()> {
        self.act("value", &json!({ "text": text })).map(drop)
    }

    /// Empties it, and types into it.
    ///
    /// # Errors
    /// When it is not there in time, or takes no text.
    pub fn fills(&self, text: &str) -> Result<()> {
        self.act("clear", &json!({}))?;
        self.types(text)
    }

    /// Chooses what is called so from a list.
    ///
    /// # Errors
    /// When it is not there in time, or is no list that has it.
    pub fn chooses(&self, choice: &str) -> Result<()> {
        let script = "const [list, choice] = arguments;
            const option = [...list.options].find((option) => option.label.trim().startsWith(choice));
            if (!option) return [...list.options].map((option) => option.label);
            list.value = option.value;
            list.dispatchEvent(new Event('input', { bubbles: true }));
            list.dispatchEvent(new Event('change', { bubbles: true }));";
        let there = self.script(script, &json!(choice))?;
        anyhow::ensure!(there.is_null(), "{self} has no {choice:?}; it has {there}");
        Ok(())
    }

    /// Runs a script with the element and `more` as its arguments.
    ///
    /// # Errors
    /// When it is not there in time, or the script fails.
    pub fn script(&self, script: &str, more: &Value) -> Result<Value> {
        self.retrying(|element| self.page.script(script, json!([{ ELEMENT: element }, more])))
    }

    /// The text that it shows.
    ///
    /// # Errors
    /// When it is not there in time.
    pub fn text(&self) -> Result<String> {
        let text = self.script("return arguments[0].innerText", &Value::Null)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn act(&self, what: &str, body: &Value) -> Result<Value> {
        self.retrying(|element| self.page.call("POST", &format!("/element/{element}/{what}"), Some(body)))
    }

    fn retrying(&self, act: impl Fn(&str) -> Result<Value>) -> Result<Value> {
        let mut last = None;
        let done = wait_until(&format!("{self} to be of use"), DEADLINE, || {
            let tried =
                self.seen().and_then(|seen| self.page.element(&seen)).and_then(|element| act(&element));
            match tried {
                Ok(value) => Ok(Some(value)),
                Err(error) if is_passing(&error) => {
                    last = Some(error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        match (done, last) {
            (Err(error), Some(last)) => Err(error.context(format!("{last:#}"))),
            (done, _) => done,
        }
    }
}

impl std::fmt::Display for Element<'_, '_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "a {} {:?}", self.roles.join(" or "), self.name)
    }
}

impl Page<'_> {
    /// WebDriver's name of what was found in the tree.
    pub(super) fn element(&self, seen: &Seen) -> Result<String> {
        let node = self.protocol("DOM.resolveNode", json!({"backendNodeId": seen.node}))?;
        let text =
            "function () { globalThis.popmeshFound = this.nodeType === 1 ? this : this.parentElement; }";
        let object = &node["object"]["objectId"];
        self.protocol("Runtime.callFunctionOn", json!({"objectId": object, "functionDeclaration": text}))?;
        let script = "const found = globalThis.popmeshFound; delete globalThis.popmeshFound; return found;";
        let element = self.script(script, json!([]))?;
        element[ELEMENT].as_str().map(str::to_owned).with_context(|| format!("no element: {element}"))
    }
}
