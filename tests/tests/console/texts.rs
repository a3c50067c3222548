//! What the pages say, by the names of their texts: tests ask for what a person reads, in the person's language.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The texts of one language.
pub(crate) struct Texts {
    all: Value,
    language: String,
}

impl Texts {
    pub(crate) fn load(language: &str) -> Result<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../node/src/console/texts");
        let path = folder.join(format!("{language}.json"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self { all: serde_json::from_str(&text)?, language: language.to_owned() })
    }

    /// The text under a name such as `till.pay_now`, with its places filled in. `count` chooses the form.
    pub(crate) fn say(&self, name: &str, values: &[(&str, &str)]) -> Result<String> {
        let pointer = format!("/{}", name.replace('.', "/"));
        let missing = || format!("no text {name} in {}", self.language);
        let mut text = self.all.pointer(&pointer).with_context(missing)?;
        if text.is_object() {
            let one = values.iter().any(|(key, value)| *key == "count" && *value == "1");
            text = text.get(if one { "one" } else { "other" }).with_context(missing)?;
        }
        let mut text = text.as_str().with_context(missing)?.to_owned();
        for (key, value) in values {
            text = text.replace(&format!("{{{key}}}"), value);
        }
        if text.contains('{') {
            bail!("{name} wants more than {values:?}: {text}");
        }
        Ok(text)
    }

    /// An amount in euros, as this language writes it.
    pub(crate) fn money(&self, cents: u32) -> String {
        let (euros, cents) = (cents / 100, cents % 100);
        if self.language == "de" {
            format!("{euros},{cents:02} €")
        } else {
            format!("€{euros}.{cents:02}")
        }
    }
}
