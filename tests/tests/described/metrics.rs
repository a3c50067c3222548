//! Metrics in both forms, read by the parsers of Prometheus' own client library.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Event;
use serde_json::json;

use crate::python;
use crate::stage::Stage;

/// Reads the metrics of a file, and complains of what no scraper would say.
const READ: &str = r##"
import sys
from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser
form, path = sys.argv[1:]
text = open(path).read()
read = {"open": openmetrics.parser.text_string_to_metric_families, "text": parser.text_string_to_metric_families}[form]
families = list(read(text))
names = [family.name for family in families]
assert len(names) == len(set(names)), "a family is there twice"
assert len(families) > 40, names
for family in families:
    assert family.name.startswith("popmesh_"), family.name
    assert family.documentation and not family.documentation.endswith("."), family
    assert family.type in ("counter", "gauge", "histogram", "info"), family
    for sample in family.samples:
        if family.type == "counter":
            assert sample.name == family.name + "_total", sample
        if sample.name == "popmesh_http_problems_total" and sample.labels["code"] == "foreign_host":
            assert sample.value == 1, sample
for name in ("popmesh_entries_refused", "popmesh_http_requests", "popmesh_http_problems", "popmesh_http_wrong_scope"):
    assert any(family.name == name and family.type == "counter" for family in families), name
assert ("# EOF" in text) == (form == "open")
"##;

#[test]
fn metrics_are_what_a_scraper_reads_in_both_forms() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let stage = Stage::set(&event)?;
    let node = &stage.node;
    node.raw("GET", "/v1/status", &[("host", "evil.example")], b"")?;
    // One that is refused by its second Host, and one by its Origin.
    let foreign = node.raw("GET", "/v1/status", &[("origin", "https://evil.example")], b"")?;
    assert_eq!(foreign.code(), "foreign_origin");
    for (form, accept) in [("open", "application/openmetrics-text"), ("text", "text/plain"), ("text", "*/*")]
    {
        let answer = node.raw("GET", "/metrics", &[("accept", accept)], b"")?;
        assert_eq!(answer.status, 200);
        let text = answer.body.as_str().context("no text")?.to_owned();
        let path = event.path().join(form);
        std::fs::write(&path, text)?;
        let output = python().args(["-c", READ, form]).arg(path).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{accept}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let neither = node.raw("GET", "/metrics", &[("accept", "application/json")], b"")?;
    assert_eq!((neither.status, neither.code()), (406, "not_acceptable"));
    assert_eq!(neither.body["type"], json!("urn:popmesh:problem:not_acceptable"));
    Ok(())
}
