//! A page in a tab.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Browser, DEADLINE, Element};
use crate::wait_until;

/// How often a person scans what shows nothing, and how long they look.
const SCANS: usize = 4;
const SCAN_PATIENCE: Duration = Duration::from_secs(6);
/// Roles of what text is typed into, or chosen from.
const FIELDS: [&str; 5] = ["textbox", "searchbox", "spinbutton", "combobox", "listbox"];
/// Roles of what is tapped.
const BUTTONS: [&str; 8] =
    ["button", "togglebutton", "radio", "checkbox", "switch", "tab", "menuitem", "disclosuretriangle"];

/// One tab, and the page in it.
#[derive(Debug)]
pub struct Page<'b> {
    pub(super) browser: &'b Browser,
    tab: String,
}

impl<'b> Page<'b> {
    pub(super) fn new(browser: &'b Browser, tab: String) -> Self {
        Self { browser, tab }
    }

    /// Goes to an address, and waits until it is loaded.
    ///
    /// # Errors
    /// When nothing is loaded.
    pub fn go(&self, url: &str) -> Result<()> {
        self.browser.opened(url);
        self.call("POST", "/url", Some(&json!({ "url": url }))).map(drop)
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// When nothing is loaded.
    pub fn reload(&self) -> Result<()> {
        self.call("POST", "/refresh", Some(&json!({}))).map(drop)
    }

    /// Where it is.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn url(&self) -> Result<String> {
        self.call("GET", "/url", None)?.as_str().map(str::to_owned).context("no address")
    }

    /// Closes the tab.
    ///
    /// # Errors
    /// When it is closed already.
    pub fn close(self) -> Result<()> {
        let left = self.call("DELETE", "/window", None)?;
        if let Some(another) = left[0].as_str() {
            self.browser.driver.call("POST", "/window", Some(&json!({"handle": another})))?;
            another.clone_into(&mut self.browser.current.borrow_mut());
        }
        Ok(())
    }

    /// What has this role and this name; an act waits until it is there.
    pub fn find(&self, role: &str, name: &str) -> Element<'_, 'b> {
        self.one_of(&[role], name)
    }

    /// A button, or something else that is tapped and does something.
    pub fn button(&self, name: &str) -> Element<'_, 'b> {
        self.one_of(&BUTTONS, name)
    }

    /// What leads to another page.
    pub fn link(&self, name: &str) -> Element<'_, 'b> {
        self.one_of(&["link"], name)
    }

    /// What one types into, or chooses from.
    pub fn field(&self, label: &str) -> Element<'_, 'b> {
        self.one_of(&FIELDS, label)
    }

    /// Whatever is tapped and called so, button or link: a person does not care.
    pub fn tappable(&self, name: &str) -> Element<'_, 'b> {
        self.one_of(&[&BUTTONS[..], &["link", "option", "cell", "row"]].concat(), name)
    }

    fn one_of(&self, roles: &[&str], name: &str) -> Element<'_, 'b> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Element { page: self, roles, name: name.to_owned(), place: None }
    }

    /// One of several that have this role and this name, from 0.
    pub fn nth(&self, role: &str, name: &str, place: usize) -> Element<'_, 'b> {
        Element { place: Some(place), ..self.one_of(&[role], name) }
    }

    /// All text that is shown.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn text(&self) -> Result<String> {
        // What is an image with a name says that name.
        let text = self.script("return document.body ? document.body.innerText : ''", json!([]))?;
        Ok(text.as_str().unwrap_or_default().replace('\u{a0}', " "))
    }

    /// Waits until a text is shown; answers all that is.
    ///
    /// # Errors
    /// When that takes too long, with what is shown instead.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        self.wait_until(&format!("{text:?} to be shown"), |page| {
            Ok(Some(page.text()?).filter(|shown| shown.contains(text)))
        })
    }

    /// Waits until a text is shown no more.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_for_end_of(&self, text: &str) -> Result<()> {
        self.wait_until(&format!("{text:?} to go"), |page| Ok((!page.text()?.contains(text)).then_some(())))
    }

    /// Waits until `look` answers something.
    ///
    /// # Errors
    /// When that takes too long, with what is shown.
    pub fn wait_until<T>(&self, what: &str, look: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        self.wait_for_so_long(what, DEADLINE, look)
    }

    /// The same, with a deadline of its own.
    ///
    /// # Errors
    /// When that takes too long, with what is shown.
    pub fn wait_for_so_long<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        wait_until(what, timeout, || look(self)).with_context(|| self.describe())
    }

    /// Types where the focus is, key by key and without a pause, as a scanner does that passes for a keyboard.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn keys(&self, text: &str) -> Result<()> {
        let each = text.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        });
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": each.collect::<Vec<_>>()});
        self.call("POST", "/actions", Some(&json!({"actions": [keyboard]}))).map(drop)
    }

    /// A scan: the text, and Enter.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn scan(&self, text: &str) -> Result<()> {
        self.keys(&format!("{text}{ENTER}"))
    }

    /// Scans until something is shown, as a person does whose scanner did not beep.
    ///
    /// # Errors
    /// When it is not shown after several scans.
    pub fn scan_until_shown(&self, text: &str, shown: &str) -> Result<String> {
        for _ in 0..SCANS {
            self.scan(text)?;
            let seen = wait_until(shown, SCAN_PATIENCE, || {
                Ok(Some(self.text()?).filter(|text| text.contains(shown)))
            });
            if let Ok(text) = seen {
                return Ok(text);
            }
        }
        bail!("{SCANS} scans of {text:?} did not show {shown:?}; {}", self.describe())
    }

    /// Runs a script's body in the page.
    ///
    /// # Errors
    /// When it throws.
    pub fn script(&self, script: &str, arguments: Value) -> Result<Value> {
        self.call("POST", "/execute/sync", Some(&json!({"script": script, "args": arguments})))
    }

    /// Runs a script's body whose last argument is to be called with the outcome.
    ///
    /// # Errors
    /// When it throws, or does not answer within 80 s.
    pub fn script_that_waits(&self, script: &str, arguments: Value) -> Result<Value> {
        self.call("POST", "/execute/async", Some(&json!({"script": script, "args": arguments})))
    }

    /// A picture of what is in the window, as PNG.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn screenshot(&self, to: &Path) -> Result<()> {
        let picture = self.call("GET", "/screenshot", None)?;
        let bytes =
            STANDARD.decode(picture.as_str().context("no picture")?).context("a picture in base64")?;
        fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
    }

    /// A picture of a part of the page: left, top, width and height in CSS pixels of the window. As PNG in base64, to compare.
    ///
    /// # Errors
    /// When there is none.
    pub fn picture_of(&self, [x, y, width, height]: [f64; 4]) -> Result<String> {
        let scroll = self.script("return [scrollX, scrollY]", json!([]))?;
        let at = |axis: usize| scroll[axis].as_f64().unwrap_or_default();
        let clip = json!({"x": x + at(0), "y": y + at(1), "width": width, "height": height, "scale": 1});
        let picture = self.protocol("Page.captureScreenshot", json!({"format": "png", "clip": clip}))?;
        picture["data"].as_str().map(str::to_owned).context("no picture")
    }

    /// Has every document run a script's text before its own.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn run_before(&self, script: &str) -> Result<()> {
        self.protocol("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).map(drop)
    }

    /// What is on the page in words, for messages.
    pub fn describe(&self) -> String {
        let url = self.url().unwrap_or_default();
        let text = self.text().unwrap_or_default();
        let useful = |role: &str| {
            [&BUTTONS[..], &FIELDS, &["link", "heading", "alert", "dialog"]].concat().contains(&role)
        };
        let tree = self.tree().unwrap_or_default();
        let each = tree.iter().filter(|seen| useful(&seen.role)).map(|seen| {
            let state = if seen.enabled { "" } else { " (disabled)" };
            format!("  {} {:?}{state}", seen.role, seen.name)
        });
        format!("at {url}\nshown:\n{text}\nto be used:\n{}", each.collect::<Vec<_>>().join("\n"))
    }

    /// A command of Chromium's own protocol, where WebDriver has none.
    ///
    /// # Errors
    /// When it refuses.
    pub fn protocol(&self, command: &str, parameters: Value) -> Result<Value> {
        self.call("POST", "/goog/cdp/execute", Some(&json!({"cmd": command, "params": parameters})))
            .with_context(|| command.to_owned())
    }

    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        self.browser.call(&self.tab, method, path, body)
    }

    /// Answers a question that the browser itself asks.
    ///
    /// # Errors
    /// When it asks none.
    pub fn answers_dialog(&self, yes: bool) -> Result<()> {
        let path = if yes { "/alert/accept" } else { "/alert/dismiss" };
        self.call("POST", path, Some(&json!({}))).map(drop)
    }

    /// What the element with the focus is called, with its role.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn focused(&self) -> Result<Option<(String, String)>> {
        let element = self.call("GET", "/element/active", None)?;
        let Some(id) =
            element.as_object().and_then(|object| object.values().next()?.as_str().map(str::to_owned))
        else {
            bail!("nothing has the focus: {element}");
        };
        let text = |what: &str| -> Result<String> {
            let value = self.call("GET", &format!("/element/{id}/{what}"), None)?;
            Ok(value.as_str().unwrap_or_default().to_owned())
        };
        let (role, label) = (text("computedrole")?, text("computedlabel")?);
        let is_page =
            matches!(&*role, "" | "generic" | "none" | "document" | "RootWebArea") && label.is_empty();
        Ok((!is_page).then_some((role, label)))
    }
}

/// The Enter key, as WebDriver writes it.
pub const ENTER: char = '\u{E007}';
/// The Tab key.
pub const TAB: char = '\u{E004}';
/// The Escape key.
pub const ESCAPE: char = '\u{E00C}';
