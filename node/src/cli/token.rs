//! `popmesh token`: what a claim token says, and its code. Needs the event's charter alone, no running node.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::id::EventMark;
use popmesh_proto::identity::{Certificate, Ed25519};
use popmesh_proto::log::Gate;
use popmesh_proto::token::{Kind, MAX_TEXT, Token, TokenError, UnprovenToken, from_text};
use serde::Serialize;
use serde_json::{Value, json};

use super::args_claim::{self as args, Picture, TokenCode};
use super::client::{print, say};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::values;
use crate::clock::now_ms;
use crate::folder::{self, Folder, FolderError};
use crate::qr::{Code, QrError};

pub(super) fn token(token: args::Token, data: &Folder, json: bool) -> Outcome {
    match token {
        args::Token::Inspect { text } => inspect(&given(text)?, data, json),
        args::Token::Qr(request) => qr(request, json),
    }
}

/// The text itself, or for `-` what comes on standard input.
pub(super) fn given(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let mut bytes = Vec::new();
    // One more than is allowed is enough to see that it is too long.
    std::io::stdin()
        .lock()
        .take(MAX_TEXT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::here(format!("cannot read standard input: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a token says.
struct Said {
    token: Token,
    event: EventMark,
    issuer: Certificate,
}

/// What is known of a token.
struct Findings {
    /// What it says, if it could be read.
    said: Option<Said>,
    /// Whether it was issued by a device of this event that might, and not altered since.
    proven: bool,
    /// What is wrong with it.
    problem: Option<TokenError>,
}

fn examine(text: &str, gate: &mut Gate, now_ms: u64) -> Findings {
    let unproven = match from_text(text).and_then(|bytes| UnprovenToken::parse(&bytes)) {
        Ok(unproven) => unproven,
        Err(problem) => return Findings { said: None, proven: false, problem: Some(problem) },
    };
    let said = Some(Said {
        token: unproven.token().clone(),
        event: unproven.event(),
        issuer: unproven.issuer().clone(),
    });
    match unproven.prove(gate) {
        Ok(signed) => Findings { said, proven: true, problem: signed.check_at(now_ms).err() },
        Err(problem) => Findings { said, proven: false, problem: Some(problem) },
    }
}

fn inspect(text: &str, data: &Folder, json: bool) -> Outcome {
    let missing = || FolderError::NotInstalled { folder: data.path().to_owned(), what: "event charter" };
    let charter = data.charter()?.ok_or_else(missing)?;
    let event_name = charter.charter().name.clone();
    let findings = examine(text, &mut Gate::of(charter, Arc::new(Ed25519)), now_ms());
    print(json, &facts(&findings), || describe(&findings, &event_name))?;
    if findings.problem.is_some() { Err(Failure::Told) } else { Ok(()) }
}

fn facts(findings: &Findings) -> Value {
    let said = findings.said.as_ref();
    json!({
        "good": findings.problem.is_none(),
        "proven": findings.proven,
        "problem": findings.problem.as_ref().map(ToString::to_string),
        "token": said.map(|Said { token, event, .. }| json!({
            "kind": match token.kind { Kind::Claim => "claim", Kind::Cart => "cart" },
            "event": event,
            "claim": token.claim,
            "drop": token.drop,
            "items": token.items.iter()
                .map(|item| json!({"sku": item.sku, "units": item.units})).collect::<Vec<_>>(),
            "custodian": token.custodian,
            "under": token.under,
            "issued_ms": token.issued_ms,
            "not_before_ms": token.not_before_ms,
            "expires_ms": token.expires_ms,
            "code": ClaimCode::of(&token.claim),
            "pin": token.pin.is_some(),
        })),
        "issuer": said.map(|Said { issuer, .. }| json!({
            "device": issuer.device,
            "name": issuer.name,
            "roles": issuer.roles.iter().collect::<Vec<_>>(),
            "venue": issuer.venue,
        })),
    })
}

fn describe(findings: &Findings, event_name: &str) -> String {
    let mut lines = Vec::new();
    if let Some(Said { token, issuer, .. }) = &findings.said {
        if !findings.proven {
            lines.push("Nothing of this is proven:".to_owned());
        }
        match token.kind {
            Kind::Claim => {
                lines.push(format!("claim       {}", token.claim));
                lines.push(format!("code        {}", ClaimCode::of(&token.claim)));
            }
            Kind::Cart => lines.push(format!("cart        {} (not paid)", token.claim)),
        }
        lines.push(format!("drop        {}", token.drop));
        for item in &token.items {
            let count = item.units.len();
            let units = if count == 1 { "unit" } else { "units" };
            lines.push(format!("item        {}: {count} {units}, serials {}", item.sku, item.units));
        }
        let custodian = if token.custodian == issuer.device {
            "the issuer".to_owned()
        } else {
            token.custodian.to_string()
        };
        lines.push(format!("custodian   {custodian}"));
        lines.extend(token.under.map(|under| format!("by custody  {under}")));
        lines.push(format!(
            "issuer      {} ({}), {} at {}",
            printable(&issuer.name),
            issuer.device.short(),
            issuer.roles,
            issuer.venue
        ));
        if token.pin.is_some() {
            lines.push("PIN         to be asked for".to_owned());
        }
        lines.push(format!("issued      {}", values::time(token.issued_ms)));
        if let Some(from_ms) = token.not_before_ms {
            lines.push(format!("valid from  {}", values::time(from_ms)));
        }
        lines.push(format!(
            "expires     {}",
            token.expires_ms.map_or_else(|| "never".to_owned(), values::time)
        ));
        lines.push(String::new());
    }
    lines.push(match &findings.problem {
        None if findings.said.as_ref().is_some_and(|said| said.token.kind == Kind::Cart) => {
            format!(
                "Good: put aside in {}. Whether it was paid or released, its holder knows.",
                printable(event_name)
            )
        }
        None => format!(
            "Good: sold in {}. Whether it was redeemed already, its custodian knows.",
            printable(event_name)
        ),
        Some(problem) => format!("NOT GOOD: {}", printable(&problem.to_string())),
    });
    lines.join("\n")
}

fn qr(request: TokenCode, json: bool) -> Outcome {
    let text = given(request.text)?;
    let refused = |error: TokenError| Failure::here(error.to_string());
    // Whatever a scanner or a person did to it: the code is that of the text as it was issued.
    let bytes = from_text(&text).map_err(refused)?;
    UnprovenToken::parse(&bytes).map_err(refused)?;
    let text = popmesh_proto::token::to_text(&bytes);
    draw(&text, &request.picture, json)
}

/// Draws the code of a token that a node has issued; as JSON, without a file to write, this is the node's answer.
pub(super) fn draw_answer(answer: &impl Serialize, text: &str, picture: &Picture, json: bool) -> Outcome {
    match (&picture.svg, &picture.png) {
        (None, None) if json => print(json, answer, String::new),
        _ => draw(text, picture, json),
    }
}

/// Draws the code of a token.
pub(super) fn draw(text: &str, picture: &Picture, json: bool) -> Outcome {
    let failed = |error: QrError| Failure::here(error.to_string());
    let code = Code::new(text).map_err(failed)?;
    let code = match caption_of(text) {
        Some(caption) => code.with_caption(&caption),
        None => code,
    };
    let (path, picture) = match (&picture.svg, &picture.png) {
        (Some(path), _) => (path, code.svg().into_bytes()),
        (None, Some(path)) => (path, code.png().map_err(failed)?),
        (None, None) if json => return print(json, &json!({"text": text, "svg": code.svg()}), String::new),
        (None, None) => return say(&format!("{}\n{text}", code.terminal())),
    };
    write(path, &picture)?;
    print(json, &json!({"text": text, "file": path, "bytes": picture.len()}), || {
        format!("{}  {} bytes", path.display(), picture.len())
    })
}

/// What people can say of a claim's code when no scanner is at hand.
fn caption_of(text: &str) -> Option<String> {
    let unproven = UnprovenToken::parse(&from_text(text).ok()?).ok()?;
    let token = unproven.token();
    (token.kind == Kind::Claim).then(|| ClaimCode::of(&token.claim).to_string())
}

fn write(path: &Path, picture: &[u8]) -> Outcome {
    folder::replace_bytes(path, picture)
        .map_err(|error| Failure::with_help(error.to_string(), "choose a file that can be written"))
}
