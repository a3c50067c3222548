//! `popmesh api`: the certificate and the tokens of this device's API. Works on the data folder, running node or not.

use serde_json::{Value, json};

use super::args_api::{ApiCommand, ApiToken};
use super::ask;
use super::client::print;
use super::failure::{Failure, Outcome};
use super::table::{Table, printable};
use super::values;
use crate::access::{Authority, CertificateError, Rights, StoredToken, TokenId, TokensError};
use crate::clock::now_ms;
use crate::folder::Folder;

pub(super) fn api(command: ApiCommand, data: &Folder, json: bool) -> Outcome {
    // Without a key there is no device that anybody could call.
    let key = data.key()?;
    match command {
        ApiCommand::Certificate => {
            let authority = Authority::open(data, &key)?;
            let fingerprint = hex::encode(authority.fingerprint());
            let facts = json!({
                "device": key.id(), "fingerprint_sha256": fingerprint, "pem": authority.pem(),
                "file": data.api_certificate_path(),
            });
            print(json, &facts, || {
                format!(
                    "device       {}\nfingerprint  {fingerprint}  (SHA-256)\nfile         {}\n\n{}\nElsewhere: popmesh \
                     --api https://ADDRESS:PORT --trust FINGERPRINT, with POPMESH_TOKEN set.",
                    key.id(),
                    data.api_certificate_path().display(),
                    authority.pem(),
                )
            })
        }
        ApiCommand::Token(token) => tokens(token, &Rights::of(data), json),
    }
}

fn tokens(command: ApiToken, rights: &Rights, json: bool) -> Outcome {
    match command {
        ApiToken::New { scope, lasts, name } => {
            let made = rights.make(scope, lasts, &name, now_ms())?;
            let mut facts = facts(made.id, &made.stored);
            facts["token"] = made.text.clone().into();
            print(json, &facts, || {
                format!(
                    "{}\n\nScope {}, until {}. It is not shown again; take it back with `popmesh api token revoke {}`.",
                    made.text,
                    made.stored.scope,
                    values::time(made.stored.ends_ms),
                    made.id
                )
            })
        }
        ApiToken::List => {
            let tokens = rights.list()?;
            let facts: Vec<Value> = tokens.iter().map(|(id, token)| facts(*id, token)).collect();
            print(json, &facts, || table(&tokens))
        }
        ApiToken::Revoke { id, yes } => {
            if let Some((_, known)) = rights.list()?.iter().find(|(known, _)| *known == id) {
                eprintln!(
                    "Token {id} ({}, scope {}): whoever has it is let in no more.",
                    printable(&known.name),
                    known.scope
                );
                ask::whether(yes, "Revoke it?")?;
            }
            let token = rights.revoke(id, now_ms())?;
            print(json, &facts(id, &token), || {
                format!("Token {id} ({}) is refused from now on.", printable(&token.name))
            })
        }
    }
}

fn facts(id: TokenId, token: &StoredToken) -> Value {
    json!({
        "id": id.to_string(), "name": token.name, "scope": token.scope, "created_ms": token.created_ms,
        "ends_ms": token.ends_ms, "revoked_ms": token.revoked_ms, "state": state(token),
    })
}

fn state(token: &StoredToken) -> &'static str {
    match token {
        StoredToken { revoked_ms: Some(_), .. } => "revoked",
        StoredToken { ends_ms, .. } if now_ms() >= *ends_ms => "ended",
        _ => "good",
    }
}

fn table(tokens: &[(TokenId, StoredToken)]) -> String {
    let mut table = Table::new(&["id", "scope", "state", "ends", "name"]);
    for (id, token) in tokens {
        table.row([
            id.to_string(),
            token.scope.to_string(),
            state(token).to_owned(),
            values::time(token.ends_ms),
            token.name.clone(),
        ]);
    }
    if table.is_empty() {
        "No tokens; make one with `popmesh api token new`.".to_owned()
    } else {
        table.to_string()
    }
}

impl From<TokensError> for Failure {
    fn from(error: TokensError) -> Self {
        Self::here(error.to_string())
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Self::here(error.to_string())
    }
}
