//! Bearer tokens (RFC 6750): made and revoked by whoever can write the data folder, kept hashed, one small file each.
//! A file a token needs no lock, and what is revoked is refused by the very next request.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Scope;
use crate::folder::{self, Folder, FolderError};

/// What every token begins with, so that it is found where it should not be.
const PREFIX: &str = "popmesh_";
/// Random bytes of a token. So many cannot be guessed, so a plain hash of them is enough.
const SECRET: usize = 32;
const SECRET_TEXT: usize = 43;
/// The longest life of a token.
pub const MAX_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest name of a token, in characters.
const MAX_NAME: usize = 80;

/// The public part of a token: names its file. Eight random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 8]);

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for TokenId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut id = [0; 8];
        match hex::decode_to_slice(text, &mut id) {
            // One spelling only: it is a file's name.
            Ok(()) if hex::encode(id) == text => Ok(Self(id)),
            _ => {
                Err("a token's ID has 16 of the digits 0-9 and a-f; see `popmesh api token list`".to_owned())
            }
        }
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredToken {
    /// Whom or what it is for, in words.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the whole token, in hexadecimal.
    hash: String,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// From when it is no longer good, Unix milliseconds, by this device's clock.
    pub ends_ms: u64,
    /// When it was revoked, if it was, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// A token that was just made: the only time its text is seen.
#[derive(Debug)]
pub struct NewToken {
    /// Its ID.
    pub id: TokenId,
    /// What is kept of it.
    pub stored: StoredToken,
    /// What the caller sends.
    pub text: String,
}

/// What a good token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Everything: the token that the running node leaves in its own folder.
    Owner,
    /// What its scope allows.
    Scoped(Scope),
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token of this device.
    #[error("this device knows no such token; make one on it with `popmesh api token new`")]
    Unknown,
    /// Its time is over.
    #[error("the token has ended; make a new one on the device with `popmesh api token new`")]
    Ended,
    /// It was revoked.
    #[error("the token was revoked; ask whoever runs the device for another")]
    Revoked,
}

/// Why tokens cannot be made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// A name nobody can read.
    #[error("a token's name has 1 to {MAX_NAME} characters, none of them control characters")]
    Name,
    /// It would never or hardly end.
    #[error("a token lasts a second at least and {} days at most", MAX_LIFE.as_secs() / 86_400)]
    Life,
    /// There is none with this ID.
    #[error("there is no token {0}; see `popmesh api token list`")]
    NoSuch(TokenId),
    /// A file is not as it was written.
    #[error("{} is damaged; remove it, its token is refused then", .0.display())]
    Damaged(PathBuf),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The tokens of a data folder.
#[derive(Debug, Clone)]
pub struct Rights {
    dir: PathBuf,
    owner: Option<[u8; 32]>,
}

impl Rights {
    /// The tokens kept in `folder`.
    pub fn of(folder: &Folder) -> Self {
        Self { dir: folder.tokens_path(), owner: None }
    }

    /// The same, and a new token for whoever owns the folder, which is good until this value is dropped.
    ///
    /// # Errors
    /// [`TokensError::Random`].
    pub fn with_owner(self) -> Result<(Self, String), TokensError> {
        let (_, text) = random()?;
        Ok((Self { owner: Some(hash(&text)), ..self }, text))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn make(
        &self,
        scope: Scope,
        lasts: Duration,
        name: &str,
        now_ms: u64,
    ) -> Result<NewToken, TokensError> {
        let name = name.trim();
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(TokensError::Name);
        }
        if !(Duration::from_secs(1)..=MAX_LIFE).contains(&lasts) {
            return Err(TokensError::Life);
        }
        let (id, text) = random()?;
        let stored = StoredToken {
            name: name.to_owned(),
            scope,
            hash: hex::encode(hash(&text)),
            created_ms: now_ms,
            ends_ms: now_ms.saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)),
            revoked_ms: None,
        };
        folder::create_private(&self.dir)?;
        self.write(id, &stored)?;
        Ok(NewToken { id, stored, text })
    }

    /// Every token that was made here, the newest last.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn list(&self) -> Result<Vec<(TokenId, StoredToken)>, TokensError> {
        let files = match fs::read_dir(&self.dir) {
            Ok(files) => files,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => return Err(FolderError::Io { path: self.dir.clone(), problem }.into()),
        };
        let ids = files.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok());
        let mut tokens = ids.map(|id| Ok((id, self.read(id)?))).collect::<Result<Vec<_>, TokensError>>()?;
        tokens.sort_by_key(|(id, token)| (token.created_ms, *id));
        Ok(tokens)
    }

    /// Refuses a token from now on. One that was revoked stays so, with its first time.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn revoke(&self, id: TokenId, now_ms: u64) -> Result<StoredToken, TokensError> {
        let mut stored = self.read(id)?;
        if stored.revoked_ms.is_none() {
            stored.revoked_ms = Some(now_ms);
            self.write(id, &stored)?;
        }
        Ok(stored)
    }

    /// What the token `text` allows at `now_ms`, and which it is.
    ///
    /// # Errors
    /// [`Denied`]. A token whose file cannot be read is unknown.
    pub fn check(&self, text: &str, now_ms: u64) -> Result<(TokenId, Right), Denied> {
        let id = id_of(text).ok_or(Denied::Unknown)?;
        let given = hash(text);
        if let Some(owner) = &self.owner
            && bool::from(given.ct_eq(owner))
        {
            return Ok((id, Right::Owner));
        }
        let stored = self.read(id).map_err(|error| {
            if !matches!(error, TokensError::NoSuch(_)) {
                tracing::warn!(%error, "a token cannot be checked");
            }
            Denied::Unknown
        })?;
        let kept = hex::decode(&stored.hash).unwrap_or_default();
        // What ended or was revoked is told to those alone who have the token.
        if !bool::from(given.ct_eq(kept.as_slice())) {
            return Err(Denied::Unknown);
        }
        match stored {
            StoredToken { revoked_ms: Some(_), .. } => Err(Denied::Revoked),
            StoredToken { ends_ms, .. } if now_ms >= ends_ms => Err(Denied::Ended),
            StoredToken { scope, .. } => Ok((id, Right::Scoped(scope))),
        }
    }

    fn path(&self, id: TokenId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn read(&self, id: TokenId) -> Result<StoredToken, TokensError> {
        let path = self.path(id);
        let text = folder::read_text(&path).map_err(|error| match error {
            FolderError::Io { problem, .. } if problem.kind() == std::io::ErrorKind::NotFound => {
                TokensError::NoSuch(id)
            }
            error => error.into(),
        })?;
        serde_json::from_str(&text).map_err(|_| TokensError::Damaged(path))
    }

    fn write(&self, id: TokenId, stored: &StoredToken) -> Result<(), TokensError> {
        let path = self.path(id);
        let text = serde_json::to_string(stored).map_err(|_| TokensError::Damaged(path.clone()))?;
        Ok(folder::replace(Path::new(&path), &format!("{text}\n"))?)
    }
}

fn random() -> Result<(TokenId, String), TokensError> {
    let (mut id, mut secret) = ([0; 8], [0; SECRET]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut secret)?;
    let id = TokenId(id);
    Ok((id, format!("{PREFIX}{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret))))
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The ID in a token's text, if it has the form of one.
fn id_of(text: &str) -> Option<TokenId> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (secret.len() == SECRET_TEXT).then(|| id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn rights() -> (tempfile::TempDir, Rights) {
        let dir = tempfile::TempDir::new().unwrap();
        let rights = Rights::of(&Folder::new(dir.path()));
        (dir, rights)
    }

    #[test]
    fn a_token_is_good_until_it_ends_or_is_revoked() {
        let (_dir, rights) = rights();
        let made = rights.make(Scope::Till, HOUR, "counter 1", 1_000).unwrap();
        let end_ms = 1_000 + 3_600_000;
        assert_eq!(rights.check(&made.text, 1_000), Ok((made.id, Right::Scoped(Scope::Till))));
        assert_eq!(rights.check(&made.text, end_ms - 1), Ok((made.id, Right::Scoped(Scope::Till))));
        assert_eq!(rights.check(&made.text, end_ms), Err(Denied::Ended));
        rights.revoke(made.id, 2_000).unwrap();
        assert_eq!(rights.revoke(made.id, 3_000).unwrap().revoked_ms, Some(2_000));
        assert_eq!(rights.check(&made.text, 2_000), Err(Denied::Revoked));
        assert_eq!(rights.list().unwrap().len(), 1);
        assert!(matches!(rights.revoke(TokenId([0; 8]), 1), Err(TokensError::NoSuch(_))));
    }

    #[test]
    fn nothing_but_the_token_itself_is_one() {
        let (dir, rights) = rights();
        let made = rights.make(Scope::ReadOnly, HOUR, "screen", 0).unwrap();
        for at in 0..made.text.len() {
            let mut altered = made.text.clone().into_bytes();
            altered[at] = if altered[at] == b'x' { b'y' } else { b'x' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(rights.check(&altered, 1), Err(Denied::Unknown), "{at}");
        }
        let ids = made.id.to_string();
        for other in ["", "popmesh_", &made.text[1..], &format!("{} ", made.text), &format!("popmesh_{ids}_")]
        {
            assert_eq!(rights.check(other, 1), Err(Denied::Unknown), "{other:?}");
        }
        let climbing = format!("popmesh_../../device.key_{}", "A".repeat(SECRET_TEXT));
        assert_eq!(rights.check(&climbing, 1), Err(Denied::Unknown));
        let path = dir.path().join("api-tokens").join(&ids);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(!kept.contains(&made.text[30..]), "the secret is kept: {kept}");
        fs::write(&path, "{}").unwrap();
        assert_eq!(rights.check(&made.text, 1), Err(Denied::Unknown), "a damaged file");
        assert!(matches!(rights.list(), Err(TokensError::Damaged(_))));
    }

    #[test]
    fn names_and_lives_are_bounded() {
        let (_dir, rights) = rights();
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", " ", "a\u{1b}[2J", &long] {
            assert!(matches!(rights.make(Scope::Till, HOUR, name, 0), Err(TokensError::Name)), "{name:?}");
        }
        for life in [Duration::ZERO, Duration::from_millis(999), MAX_LIFE + HOUR] {
            assert!(matches!(rights.make(Scope::Till, life, "a", 0), Err(TokensError::Life)), "{life:?}");
        }
        assert!(rights.list().unwrap().is_empty(), "nothing was written");
    }

    #[test]
    fn the_owners_token_is_of_one_run() {
        let (_dir, rights) = rights();
        let (first, text) = rights.clone().with_owner().unwrap();
        assert!(matches!(first.check(&text, u64::MAX), Ok((_, Right::Owner))));
        let (second, _) = rights.with_owner().unwrap();
        assert_eq!(second.check(&text, 0), Err(Denied::Unknown));
    }
}
