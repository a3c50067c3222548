//! Descriptions without the words of the language that the node is written in.

use serde_json::{Map, Value};

use super::each_object;

/// Takes links to code out of descriptions, and joins lines that were broken for the source.
pub(super) fn clean(api: &mut Value) {
    each_object(api, &mut |object: &mut Map<String, Value>| {
        for name in ["description", "summary"] {
            if let Some(Value::String(text)) = object.get_mut(name) {
                *text = plain(text);
            }
        }
        if object.get("description").is_some_and(|text| text == "") {
            object.remove("description");
        }
    });
}

fn plain(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    let mut text = paragraphs.collect::<Vec<_>>().join("\n\n");
    // [`path::Name`] is Name, and a sentence that only points at code goes.
    while let Some((before, rest)) = text.split_once("[`") {
        let Some((link, after)) = rest.split_once("`]") else { break };
        let after = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((target, after)) if target.contains("::") => after,
            _ => after,
        };
        let name = link.rsplit("::").next().unwrap_or(link);
        let sentence = before.trim_end();
        text = match (sentence.strip_suffix("See"), after.strip_prefix('.')) {
            (Some(before), Some(after)) => format!("{}{after}", before.trim_end()),
            _ => format!("{before}`{name}`{after}"),
        };
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn links_to_code_become_names_and_broken_lines_one() {
        assert_eq!(plain("What is\nsold. See [`super::Command::Sell`]."), "What is sold.");
        assert_eq!(
            plain("As in [`crate::Reply`], or\n\n[`Stock`](crate::query::Stock)."),
            "As in `Reply`, or\n\n`Stock`."
        );
    }
}
