//! A device's data folder: its key, its certificate, its event's charter, and where its API listens.

mod guard;
mod write;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{
    CertificateError, CharterError, SecretKey, SignedCertificate, SignedCharter, armor, unarmor,
};
use popmesh_proto::pin::EventSecrets;
use popmesh_store::files;

pub use guard::{Closed, Survey, close, survey};
pub use write::{create_private, replace, replace_bytes, write_new};

/// The label of a secret key's text form.
const SECRET_KEY: &str = "popmesh-secret-key-1";
/// The label of an event secret's text form.
const EVENT_SECRET: &str = "popmesh-event-secret-1";
/// The list of retired devices, in a device's folder or the organiser's.
pub const RETIRED: &str = "retired.keys";
/// Secrets of later epochs that a folder keeps: the newest. All are in the log.
const MAX_SECRETS: usize = 256;
/// More than any file here has.
const MAX_FILE: u64 = 16 * 1024;

/// What is wrong with a file of the folder, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is no key.
    #[error("{}", no_key(.0))]
    NoKey(PathBuf),
    /// There is no charter or no certificate.
    #[error("{}", not_installed(folder, what))]
    NotInstalled {
        /// The folder.
        folder: PathBuf,
        /// What it lacks.
        what: &'static str,
    },
    /// The key file holds something else.
    #[error("{} is not a popmesh key; restore it from a backup, or enrol this device anew", .0.display())]
    Key(PathBuf),
    /// Others could read a secret.
    #[error(
        "{} can be read by others (mode {mode:03o}); run `chmod 600 {}`. If anybody else has an account on this host, take \
         it for known to them, and have another made",
        path.display(), path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key, or a file that is not to be replaced, is there.
    #[error("{} exists and is not overwritten; move it away first, if you are sure", .0.display())]
    Exists(PathBuf),
    /// The charter is not one.
    #[error("{}: {problem}", path.display())]
    Charter {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: CharterError,
    },
    /// The certificate is not one, or not this device's.
    #[error("{}: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: CertificateError,
    },
    /// A link or a device in the place of a file, which somebody may have put there.
    #[error("{}: {what}; find out who put it there, and remove it", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// Another user's.
    #[error(
        "{} belongs to user {owner}, and popmesh runs as user {user}: that one can read and replace all in it; run popmesh as \
         that user, or hand it over with `chown -R {user} {}`, if you know where it comes from",
        path.display(), path.display()
    )]
    Foreign {
        /// The folder or file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// As whom this process acts.
        user: u32,
    },
    /// A folder that others get into, with what is not popmesh's in it.
    #[error(
        "{} is open to others on this host (mode {mode:03o}), and what is in it is not popmesh's alone; give popmesh a folder of \
         its own, or close this one with `chmod 700 {}`",
        path.display(), path.display()
    )]
    Shared {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It stays open to others.
    #[error(
        "{} is open to others on this host (mode {mode:03o}) and cannot be closed: {why}; use a folder on a disk of Linux's own \
         (ext4), or mount that one for this user alone (uid=…,umask=077)",
        path.display()
    )]
    Unclosable {
        /// The folder or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What the system says.
        why: String,
    },
    /// The system says no.
    #[error("{}: {problem}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        problem: io::Error,
    },
}

/// Who a device is: what its folder holds, checked to belong together.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The device's key.
    pub key: SecretKey,
    /// The event's charter.
    pub charter: SignedCharter,
    /// The device's certificate. Whether it holds now is for the caller to check.
    pub certificate: SignedCertificate,
    /// What only the event's devices know, as far as it was installed.
    pub secrets: EventSecrets,
}

/// A data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The device's secret key.
    pub fn key_path(&self) -> PathBuf {
        self.0.join("device.key")
    }

    /// The event's charter.
    pub fn charter_path(&self) -> PathBuf {
        self.0.join("event.charter")
    }

    /// The device's certificate.
    pub fn certificate_path(&self) -> PathBuf {
        self.0.join("device.certificate")
    }

    /// What only the event's devices know.
    pub fn secret_path(&self) -> PathBuf {
        self.0.join("event.secret")
    }

    /// The event's secret, that of all epochs, as far as it is installed.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be read, or others can read it.
    pub fn secrets(&self) -> Result<EventSecrets, FolderError> {
        let path = self.secret_path();
        let Some(text) = found(read_private_text(&path))? else { return Ok(EventSecrets::default()) };
        let read = unarmor(EVENT_SECRET, &text).and_then(|bytes| EventSecrets::from_bytes(&bytes));
        read.ok_or(FolderError::Key(path))
    }

    /// Installs the event's secret; what of older epochs is there stays. Nothing happens without that of the first.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn install_secrets(&self, secrets: &EventSecrets) -> Result<(), FolderError> {
        let known = self.secrets()?;
        let mut all = secrets.clone().and(known.clone());
        all.later.truncate(MAX_SECRETS);
        match all.to_bytes() {
            Some(bytes) if all != known => {
                replace(&self.secret_path(), &format!("{}\n", armor(EVENT_SECRET, &bytes)))
            }
            _ => Ok(()),
        }
    }

    /// The devices that were retired, as the node of this folder knew last: whoever signs from this folder, signs nothing for
    /// these. One key a line.
    pub fn retired_path(&self) -> PathBuf {
        self.0.join(RETIRED)
    }

    /// Writes down who was retired.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn keep_retired(&self, retired: &[DeviceId]) -> Result<(), FolderError> {
        let path = self.retired_path();
        if retired.is_empty() && !path.exists() {
            return Ok(());
        }
        let text: String = retired.iter().map(|device| format!("{device}\n")).collect();
        replace(&path, &text)
    }

    /// The address at which the running node's API listens.
    pub fn api_path(&self) -> PathBuf {
        self.0.join("api.addr")
    }

    /// Makes the folder, closed to others, if it is not there, and closes it if it is.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be made or closed.
    pub fn create(&self) -> Result<Option<Closed>, FolderError> {
        create_private(&self.0)?;
        self.close()
    }

    /// Closes the folder to others, if it is there. None if it was closed.
    ///
    /// # Errors
    /// [`FolderError`] says what cannot be closed, and what to do.
    pub fn close(&self) -> Result<Option<Closed>, FolderError> {
        close(&self.0)
    }

    /// The device's key.
    ///
    /// # Errors
    /// [`FolderError`] if there is none, or others can read it.
    pub fn key(&self) -> Result<SecretKey, FolderError> {
        read_key(&self.key_path()).map_err(|error| match error {
            FolderError::Io { problem, .. } if problem.kind() == io::ErrorKind::NotFound => {
                FolderError::NoKey(self.0.clone())
            }
            error => error,
        })
    }

    /// The event's charter, if one is installed.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be read.
    pub fn charter(&self) -> Result<Option<SignedCharter>, FolderError> {
        found(read_charter(&self.charter_path()))
    }

    /// The device's certificate, if one is installed. Its dates and its owner are not checked.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be read, or is of another event than `charter`.
    pub fn certificate(&self, charter: &SignedCharter) -> Result<Option<SignedCertificate>, FolderError> {
        found(read_certificate(&self.certificate_path(), charter))
    }

    /// Key, charter and certificate, checked to belong together.
    ///
    /// # Errors
    /// [`FolderError`] says which is missing or wrong, and what to do.
    pub fn identity(&self) -> Result<Identity, FolderError> {
        let missing = |what| FolderError::NotInstalled { folder: self.0.clone(), what };
        let key = self.key()?;
        let charter = self.charter()?.ok_or_else(|| missing("event charter"))?;
        let certificate = self.certificate(&charter)?.ok_or_else(|| missing("certificate"))?;
        certificate
            .belongs_to(&key.id())
            .map_err(|problem| FolderError::Certificate { path: self.certificate_path(), problem })?;
        Ok(Identity { key, charter, certificate, secrets: self.secrets()? })
    }

    /// The key of the API's certificate authority.
    pub fn api_key_path(&self) -> PathBuf {
        self.0.join("api-ca.key")
    }

    /// The certificate by which callers from elsewhere know the API.
    pub fn api_certificate_path(&self) -> PathBuf {
        self.0.join("api-ca.pem")
    }

    /// The tokens of the API, hashed, a file each.
    pub fn tokens_path(&self) -> PathBuf {
        self.0.join("api-tokens")
    }

    /// The token of the running node for whoever owns the folder.
    fn owner_token_path(&self) -> PathBuf {
        self.0.join("api.token")
    }

    /// Writes down where the API listens, and the owner's token if it wants one.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn announce_api(&self, place: ApiPlace, owner_token: Option<&str>) -> Result<(), FolderError> {
        if let Some(token) = owner_token {
            replace(&self.owner_token_path(), &format!("{token}\n"))?;
        }
        replace(&self.api_path(), &format!("{place}\n"))
    }

    /// Forgets where the API listens, unless another node wrote it since.
    pub fn retract_api(&self, place: ApiPlace) {
        if self.announced_api() == Some(place) {
            // A stale address is noticed by every caller, and so is a stale token; not worth failing a stop for.
            let _ = fs::remove_file(self.api_path());
            let _ = fs::remove_file(self.owner_token_path());
        }
    }

    /// Where the API of the node of this folder listens, or did.
    pub fn announced_api(&self) -> Option<ApiPlace> {
        let file = files::open(OpenOptions::new().read(true), &self.api_path()).ok()?;
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// The owner's token of the running node, if it wants one.
    ///
    /// # Errors
    /// [`FolderError`] if it cannot be read, or others can read it.
    pub fn owner_token(&self) -> Result<Option<String>, FolderError> {
        let read = found(read_private_text(&self.owner_token_path()))?;
        Ok(read.map(|token| token.trim().to_owned()))
    }
}

/// Where an API listens: an address, with `https://` before it if it speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiPlace {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where.
    pub address: SocketAddr,
}

impl ApiPlace {
    /// Its URL for callers on this host.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

impl std::fmt::Display for ApiPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.tls { f.write_str(&self.url()) } else { self.address.fmt(f) }
    }
}

impl std::str::FromStr for ApiPlace {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let secured = text.strip_prefix("https://");
        Ok(Self { tls: secured.is_some(), address: secured.unwrap_or(text).parse()? })
    }
}

/// What was read, or `None` if there is no such file.
pub(crate) fn found<T>(read: Result<T, FolderError>) -> Result<Option<T>, FolderError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(FolderError::Io { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What to do where no device was made.
fn no_key(folder: &Path) -> String {
    let path = folder.display();
    let found = match folder.exists() {
        true => format!("{path} has no device key: no device was made in it"),
        false => format!("there is no folder {path}: no device was made there"),
    };
    format!(
        "{found}; `popmesh --data {path} quickstart NAME` makes one and founds an event, `popmesh --data {path} join` makes one \
         and joins an event, and --data names another folder"
    )
}

/// What to do where a device is in no event.
fn not_installed(folder: &Path, what: &str) -> String {
    if !Folder::new(folder).key_path().exists() {
        return no_key(folder);
    }
    let path = folder.display();
    format!(
        "{path} has no {what}: the device in it is in no event yet; have it join one with `popmesh --data {path} join`, or have \
         the organiser sign its enrolment, then `popmesh device install`"
    )
}

fn io_error(path: &Path, problem: io::Error) -> FolderError {
    let path = path.to_owned();
    match problem.kind() {
        io::ErrorKind::InvalidInput => FolderError::NotAFile { path, what: problem.to_string() },
        _ => FolderError::Io { path, problem },
    }
}

/// A small text file.
///
/// # Errors
/// [`FolderError::Io`].
pub fn read_text(path: &Path) -> Result<String, FolderError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|error| io_error(path, error))?;
    // What is no text is not what was looked for either; whoever looks for it says that best.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A list that grows, one a line; longer than other files.
///
/// # Errors
/// [`FolderError::Io`].
pub(crate) fn read_list(path: &Path) -> Result<String, FolderError> {
    fs::read_to_string(path).map_err(|error| io_error(path, error))
}

/// Reads a charter's file.
///
/// # Errors
/// [`FolderError`].
pub fn read_charter(path: &Path) -> Result<SignedCharter, FolderError> {
    SignedCharter::from_text(&read_text(path)?)
        .map_err(|problem| FolderError::Charter { path: path.to_owned(), problem })
}

/// Reads a certificate's file. Its dates and its owner are not checked.
///
/// # Errors
/// [`FolderError`].
pub fn read_certificate(path: &Path, charter: &SignedCharter) -> Result<SignedCertificate, FolderError> {
    // The event's secret can follow it.
    let text = read_text(path)?;
    SignedCertificate::from_text(text.trim_start().lines().next().unwrap_or_default(), charter)
        .map_err(|problem| FolderError::Certificate { path: path.to_owned(), problem })
}

/// Reads a secret key that nobody else can read.
///
/// # Errors
/// [`FolderError`].
pub fn read_key(path: &Path) -> Result<SecretKey, FolderError> {
    Ok(SecretKey::from_seed(&read_private(path, SECRET_KEY)?))
}

/// The 32 bytes of a file that nobody else can read.
fn read_private(path: &Path, label: &str) -> Result<[u8; 32], FolderError> {
    unarmor(label, &read_private_text(path)?)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or_else(|| FolderError::Key(path.to_owned()))
}

/// The text of a file that nobody else can read, and that is no link.
pub(crate) fn read_private_text(path: &Path) -> Result<String, FolderError> {
    let failed = |error| io_error(path, error);
    let file = files::open(OpenOptions::new().read(true), path).map_err(failed)?;
    // Of what was opened, which nobody can exchange any more.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a secret key, for its owner only. Never replaces one.
///
/// # Errors
/// [`FolderError::Exists`] or [`FolderError::Io`].
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), FolderError> {
    write_new(path, &format!("{}\n", armor(SECRET_KEY, &key.seed())))
}
