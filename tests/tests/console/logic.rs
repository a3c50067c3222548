//! What pages reckon by themselves, without a node: scripts beside this that are run in a page and call back with what is wrong.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{Settings, watched};
use serde_json::json;

use crate::shop::{TILLS, open};

#[test]
fn pages_reckon_right() -> Result<()> {
    let stage = open(&TILLS[..1], 1, 1)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let mut run = 0;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("hq", "health")?)?;
        page.wait_for("Health")?;
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "js") {
                continue;
            }
            let wrong = page.script_that_waits(&fs::read_to_string(&path)?, json!([]))?;
            ensure!(wrong == json!([]), "{}: {wrong:#}", path.display());
            run += 1;
        }
        Ok(())
    })?;
    ensure!(run > 1, "no scripts in {}", folder.display());
    Ok(())
}
