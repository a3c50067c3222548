//! Takes a picture of each page of the console, at three sizes, light and dark, in a venue in the middle of its night: things
//! were sold, put aside and bought for pickup, and one till is cut off.
//!
//! `./scripts/screenshots` builds what it needs, and makes the pictures small.

mod night;
mod scenes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use popmesh_tests::browser::{Browser, Media, SIZES, Settings, Size};
use popmesh_tests::{Page, Stage};
use serde_json::json;

use scenes::{SCENES, Scene};

/// Takes a picture of each page of the console.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder that they are written to
    #[arg(long, default_value = "docs/screenshots")]
    to: PathBuf,
    /// Only scenes whose names begin so
    #[arg(long)]
    only: Option<String>,
    /// The language of the pages
    #[arg(long, default_value = "en")]
    language: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.to)?;
    let stage = night::open()?;
    let mut missed = Vec::new();
    for scene in SCENES {
        if arguments.only.as_ref().is_some_and(|only| !scene.name.starts_with(only)) {
            continue;
        }
        // A browser of its own for each: nothing is left from the scene before.
        let settings = Settings { languages: arguments.language.clone(), ..Settings::default() };
        let browser = Browser::start(&settings)?;
        let took = take(&browser, &stage, scene, &arguments.to).and_then(|()| browser.blame());
        match took {
            Ok(()) => println!("{}", scene.name),
            Err(error) => {
                println!("{}: {error:#}", scene.name);
                missed.push(scene.name);
            }
        }
    }
    if !missed.is_empty() {
        bail!("no picture, or not as it should be: {}", missed.join(", "));
    }
    Ok(())
}

fn take(browser: &Browser, stage: &Stage, scene: &Scene, to: &Path) -> Result<()> {
    let page = browser.open(&stage.page(scene.device, scene.page)?)?;
    page.resize(SIZES[0])?;
    page.reload()?;
    (scene.act)(&page, stage).with_context(|| scene.name.to_owned())?;
    for size in scene.sizes {
        page.resize(*size)?;
        // What was tapped is scrolled to; a picture shows how a page begins.
        let top = "scrollTo(0, 0); document.querySelectorAll('main *').forEach((one) => { if (one.scrollTop) one.scrollTop = 0; });";
        page.script(top, json!([]))?;
        for dark in [false, true] {
            if dark && scene.only_light {
                continue;
            }
            page.wish(Media { dark, reduced_motion: true, ..Media::default() })?;
            still(&page)?;
            let look = if scene.only_light {
                ""
            } else if dark {
                "-dark"
            } else {
                "-light"
            };
            page.screenshot(&to.join(format!("{}-{size}{look}.png", scene.name)))?;
        }
    }
    Ok(())
}

/// Waits until the page has drawn what it is to draw.
fn still(page: &Page<'_>) -> Result<()> {
    let drawn = "const [done] = arguments;
        document.fonts.ready.then(() => requestAnimationFrame(() => requestAnimationFrame(() => done(true))));";
    page.script_that_waits(drawn, json!([])).map(drop)
}

/// A picture that a stream is wide or high.
const STREAMS: [Size; 2] = [Size { width: 1920, height: 1080 }, Size { width: 1080, height: 1920 }];
