//! A browser, driven from outside as a person uses it: by what is written on the screen and by the names that a screen reader
//! says. It is Debian's Chromium, driven over the WebDriver protocol (a W3C standard) by chromedriver.
//!
//! [`watched`] runs a test in one and holds against it whatever went wrong in the pages: errors of scripts, errors on the
//! console, breaches of the content security policy, requests to other hosts. Nothing here waits for a fixed time: what is
//! waited for is a condition, with a deadline.

mod audit;
mod driver;
mod element;
mod emulation;
mod log;
mod page;
mod tree;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use audit::Violation;
use driver::Driver;
pub use element::Element;
pub use emulation::{Media, SIZES, Size};
pub use log::{Request, Transfer};
pub use page::{ENTER, ESCAPE, Page, TAB};
pub use tree::Seen;

/// Generous: it only bounds how long a broken page takes to say so.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// How to start a browser.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The languages that the person prefers, as browsers say them: `en`, `de,en`.
    pub languages: String,
    /// Whether to note what the pages load: without, [`Browser::requests`] and [`Browser::transfers`] are empty.
    pub notes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { languages: "en".to_owned(), notes: true }
    }
}

impl Settings {
    /// A person who reads this language.
    pub fn language(language: &str) -> Self {
        Self { languages: language.to_owned(), ..Self::default() }
    }
}

/// A running browser with a new, empty profile. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    /// Whether the driver notes what pages load; else it has no such log.
    noting: bool,
    /// The tab that calls go to.
    current: RefCell<String>,
    /// Origins that were opened: what pages may talk to.
    origins: RefCell<BTreeSet<String>>,
    /// What was taken from the driver's log, which gives everything once.
    requests: RefCell<Vec<Request>>,
    transfers: RefCell<Vec<Transfer>>,
    /// How often something was tapped.
    taps: Cell<usize>,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no chromedriver or no Chromium, or they do not come up.
    pub fn start(settings: &Settings) -> Result<Self> {
        let driver = Driver::start(settings)?;
        let current = driver.call("GET", "/window", None)?;
        let current = current.as_str().context("no tab")?.to_owned();
        let browser = Self {
            driver,
            noting: settings.notes,
            current: RefCell::new(current),
            origins: RefCell::default(),
            requests: RefCell::default(),
            transfers: RefCell::default(),
            taps: Cell::new(0),
        };
        browser.driver.call("POST", "/url", Some(&json!({"url": "about:blank"})))?;
        browser.notes()?;
        browser.forget();
        Ok(browser)
    }

    /// The tab that is there from the beginning, showing this address.
    ///
    /// # Errors
    /// When nothing is loaded.
    pub fn open(&self, url: &str) -> Result<Page<'_>> {
        let page = Page::new(self, self.current.borrow().clone());
        page.go(url)?;
        Ok(page)
    }

    /// One more tab, showing this address.
    ///
    /// # Errors
    /// When nothing is loaded.
    pub fn open_another(&self, url: &str) -> Result<Page<'_>> {
        let tab = self.driver.call("POST", "/window/new", Some(&json!({"type": "tab"})))?;
        let page = Page::new(self, tab["handle"].as_str().context("no tab was opened")?.to_owned());
        page.go(url)?;
        Ok(page)
    }

    /// How often something was tapped or clicked, in all tabs.
    pub fn taps(&self) -> usize {
        self.taps.get()
    }

    /// The process of Chromium itself; its helpers are its descendants.
    pub fn process(&self) -> u32 {
        self.driver.browser_process()
    }

    /// Every request over the network so far, in all tabs.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn requests(&self) -> Result<Vec<Request>> {
        self.notes()?;
        Ok(self.requests.borrow().clone())
    }

    /// What came over the network so far, in all tabs, compressed as it came.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn transfers(&self) -> Result<Vec<Transfer>> {
        self.notes()?;
        Ok(self.transfers.borrow().clone())
    }

    /// Forgets what was requested until now.
    pub fn forget(&self) {
        self.requests.borrow_mut().clear();
        self.transfers.borrow_mut().clear();
    }

    fn notes(&self) -> Result<()> {
        if !self.noting {
            return Ok(());
        }
        let entries = self.driver.log("performance")?;
        log::read(&entries, &mut self.requests.borrow_mut(), &mut self.transfers.borrow_mut())
    }

    /// Holds against the pages what went wrong in them since the last time.
    ///
    /// # Errors
    /// Errors of scripts and on the console, breaches of the policy, and requests to where nothing was opened.
    pub fn blame(&self) -> Result<()> {
        let wrong = log::errors(&self.driver.log("browser")?);
        ensure!(wrong.is_empty(), "the browser's console says:\n{}", wrong.join("\n"));
        let origins = self.origins.borrow();
        let requests = self.requests()?;
        let elsewhere: Vec<&str> =
            requests.iter().filter(|one| !origins.contains(&one.origin())).map(|one| &*one.url).collect();
        ensure!(elsewhere.is_empty(), "requests to elsewhere than {origins:?}: {elsewhere:?}");
        Ok(())
    }

    /// A call to the tab that it is about.
    fn call(&self, tab: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        if *self.current.borrow() != tab {
            self.driver.call("POST", "/window", Some(&json!({"handle": tab})))?;
            tab.clone_into(&mut self.current.borrow_mut());
        }
        self.driver.call(method, path, body)
    }

    fn opened(&self, url: &str) {
        if let Some(origin) = log::origin(url) {
            self.origins.borrow_mut().insert(origin);
        }
    }

    /// Leaves a picture of what is shown, and says where it is.
    fn keep_evidence(&self) {
        let tab = self.current.borrow().clone();
        let page = Page::new(self, tab);
        let name = std::thread::current().name().unwrap_or("browser").replace("::", "-");
        let folder = target().join("browser-failures");
        let picture = folder.join(format!("{name}.png"));
        let kept = fs::create_dir_all(&folder).map_err(Into::into).and_then(|()| page.screenshot(&picture));
        match kept {
            Ok(()) => eprintln!("what was shown is in {}", picture.display()),
            Err(error) => eprintln!("no picture of what was shown: {error:#}"),
        }
        eprintln!("{}", page.describe());
    }
}

/// Runs a test in a browser, and then holds against it what went wrong in the pages. Where it fails, a picture of what was
/// shown is kept in `target/browser-failures`.
///
/// # Errors
/// What the test says, or the pages' errors.
pub fn watched<T>(settings: &Settings, test: impl FnOnce(&Browser) -> Result<T>) -> Result<T> {
    let browser = Browser::start(settings)?;
    let outcome = test(&browser).and_then(|done| browser.blame().map(|()| done));
    if outcome.is_err() {
        browser.keep_evidence();
        if let Err(error) = browser.blame() {
            eprintln!("{error:#}");
        }
    }
    outcome
}

/// Cargo's folder for what it builds.
fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    let named = own.as_deref().and_then(|own| own.ancestors().find(|folder| folder.ends_with("target")));
    named.map_or_else(std::env::temp_dir, PathBuf::from)
}
