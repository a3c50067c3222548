//! Claim tokens, read and made by an implementation that shares no line with popmesh's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The system's own Python: packages of the system belong to it, and not to another that may come first in the path.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn an_independent_implementation_agrees_on_every_vector() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(PYTHON)
        .arg(tests.join("independent/claim_token.py"))
        .arg(tests.join("../proto/vectors/token"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .with_context(|| format!("no {PYTHON}; on Debian and Ubuntu: apt-get install python3 python3-cbor2 python3-cryptography"))?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}{complained}");
    print!("{said}");
    let expected = "9 tokens read and made alike, 15 refused for the same reason\n";
    ensure!(said == expected, "it checked something else: {said}");
    Ok(())
}
