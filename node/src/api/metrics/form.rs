//! The two forms that metrics are written in, and which of them a caller takes.
//!
//! OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) for who names it, and Prometheus' text form 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>) for everybody else: promtool, curl, and older scrapers.

use std::fmt::Write;

use axum::http::{HeaderMap, StatusCode};

use crate::api::accept::Accept;
use crate::api::problem::Problem;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus' text form 0.0.4.
    Text,
}

impl Form {
    /// Its media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The form that the caller likes most; the text form if it says nothing, or likes all alike.
    ///
    /// # Errors
    /// A problem 406 if it takes neither.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let accept = Accept::of(headers);
        if accept.is_silent() {
            return Ok(Self::Text);
        }
        let open = accept.liking("application/openmetrics-text", Some("1.0.0"));
        let text = accept.liking("text/plain", Some("0.0.4"));
        match (open.weight, text.weight) {
            (0, 0) => Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "metrics are given as application/openmetrics-text (version 1.0.0) or text/plain (version 0.0.4); accept one of them",
            )),
            (likes_open, likes_text)
                if likes_open > likes_text || (likes_open == likes_text && open.named) =>
            {
                Ok(Self::Open)
            }
            _ => Ok(Self::Text),
        }
    }

    /// The same metrics in this form, made of OpenMetrics text.
    pub(super) fn write(self, open_metrics: &str) -> String {
        let mut text = String::with_capacity(open_metrics.len());
        let mut kinds = Kinds::default();
        for line in open_metrics.lines() {
            match (self, line.strip_prefix("# HELP ")) {
                // The encoder puts a full stop behind each help, whatever it says.
                (Self::Open, Some(help)) => writeln!(text, "# HELP {}", help.trim_end_matches('.')),
                (Self::Open, None) => writeln!(text, "{line}"),
                (Self::Text, _) => kinds.write(line, &mut text),
            }
            // Writing to a text does not fail.
            .unwrap_or_default();
        }
        text
    }
}

/// What the text form calls a family, which it says with the names of its samples.
#[derive(Debug, Default)]
struct Kinds<'a> {
    /// The help of the family that begins, until its type is known.
    help: Option<(&'a str, &'a str)>,
}

impl<'a> Kinds<'a> {
    fn write(&mut self, line: &'a str, text: &mut String) -> std::fmt::Result {
        if let Some(help) = line.strip_prefix("# HELP ") {
            self.help = help.split_once(' ');
            return Ok(());
        }
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|kind| kind.split_once(' ')) else {
            // Units and the end are OpenMetrics' own.
            return if line.starts_with("# ") { Ok(()) } else { writeln!(text, "{line}") };
        };
        let (suffix, kind) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            "unknown" => ("", "untyped"),
            kind => ("", kind),
        };
        if let Some((_, help)) = self.help.take().filter(|(of, _)| *of == name) {
            writeln!(text, "# HELP {name}{suffix} {}", help.trim_end_matches('.'))?;
        }
        writeln!(text, "# TYPE {name}{suffix} {kind}")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn form(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Form::of(&headers).ok()
    }

    #[test]
    fn who_names_open_metrics_gets_it_and_everybody_else_text() {
        assert_eq!(Form::of(&HeaderMap::new()).unwrap(), Form::Text);
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let older = "text/plain;version=0.0.4;q=1,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus, Form::Open),
            (older, Form::Text),
            ("*/*", Form::Text),
            ("", Form::Text),
            ("text/plain", Form::Text),
            ("text/*", Form::Text),
            ("TEXT/PLAIN; Version=0.0.4", Form::Text),
            ("application/openmetrics-text", Form::Open),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Form::Open),
            ("application/*", Form::Open),
            ("application/openmetrics-text, text/plain", Form::Open),
            ("application/openmetrics-text;q=0.1, text/plain;q=0.2", Form::Text),
            ("application/openmetrics-text;q=0, */*", Form::Text),
            ("text/plain;q=0, */*;q=0.1", Form::Open),
            ("application/openmetrics-text;version=0.0.1, text/plain;q=0.1", Form::Text),
            ("text/html, */*;q=0.1", Form::Text),
        ] {
            assert_eq!(form(accept), Some(expected), "{accept}");
        }
        for accept in [
            "application/json",
            "text/html",
            "text/plain;version=0.0.5",
            "application/openmetrics-text;version=2.0.0",
            "*/*;q=0",
            "text/plain;q=0",
        ] {
            assert_eq!(form(accept), None, "{accept}");
        }
    }

    #[test]
    fn the_text_form_names_samples() {
        let open = "# HELP a_b Some help.\n# TYPE a_b counter\n# UNIT a_b seconds\na_b_total 1\n# HELP c One\n# TYPE c info\n\
            c_info{v=\"1\"} 1\n# HELP d More. And more..\n# TYPE d gauge\nd 2\n# EOF\n";
        let text = "# HELP a_b_total Some help\n# TYPE a_b_total counter\na_b_total 1\n# HELP c_info One\n\
            # TYPE c_info gauge\nc_info{v=\"1\"} 1\n# HELP d More. And more\n# TYPE d gauge\nd 2\n";
        assert_eq!(Form::Text.write(open), text);
        assert_eq!(Form::Open.write(open), open.replace("help.", "help").replace("more..", "more"));
    }
}
