//! Virtual disks that the production store runs on: fast, in memory, and as unreliable as asked for.
//!
//! [`Disks::start`] begins a run on this thread and registers [`VFS`] with SQLite; [`Disks::add`] adds a disk, on which
//! [`Disk::open_log`] opens the production store. What is written is seen at once and durable only after
//! a sync. A power cut ([`Disk::cut`], or in the middle of any operation, [`Disk::arm_fuse`]) closes all files and keeps
//! of the rest what [`Kept`] says. Until [`Disk::power_on`] all operations fail.
//!
//! The disk behaves like a good one under ext4 with ordered data, as pessimistically as that allows:
//!
//! - un-synced writes reach the disk whole, in part (by sectors of 512 bytes), or not at all, in any order, unless two
//!   touch the same bytes: then the later one wins if it gets there;
//! - a sector is never half-written, and bytes beside a write are never harmed;
//! - what a file grows over without writing to it is zero;
//! - names are made and removed in order, and durable with the next sync of any file; a file whose name did not become
//!   durable is gone with everything in it, and a file whose removal did not is back;
//! - a sync that failed leaves behind what programs see and the disk may not have ([`Faults::sync_errors_per_mille`]).
//!
//! What SQLite puts into files without a name (sorting, statement journals) is on a disk apart that never fails.
//!
//! # Determinism
//!
//! Chance and time on the disks and inside SQLite come from the run's seed and from [`Disks::set_time`]. SQLite's own generator
//! (salts of the write-ahead log) belongs to the process and is started anew by [`Disks::start`]. So *a run has one
//! thread, and runs that go on side by side are processes*: two runs on two threads of one process keep their disks apart and
//! are both sound, but they draw from one generator, and their bytes are not the same twice.
//!
//! The VFS becomes the default of the process, as only the default one is asked for chance. It knows no real files: from
//! then on, opening one through SQLite fails unless another VFS is named.

mod content;
mod drive;
mod faults;
mod file;
mod image;
mod vfs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use popmesh_proto::id::{DeviceId, EventId};
use popmesh_store::{Loaded, Store, StoreError};

pub use faults::{Faults, Kept, Operation, Stats};
pub use image::Image;

use crate::random::Random;
use drive::{Drive, Failure};

/// The name of the VFS that the disks are found in.
pub const VFS: &str = vfs::NAME;

/// The write-ahead log is moved into the database at so many pages: far fewer than in the node, so that faults meet it
/// often, and hundreds of disks fit into memory.
pub const CHECKPOINT_PAGES: u32 = 250;

/// Why a disk cannot do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// This thread has a run.
    #[error("a run is under way on this thread; end it before the next, or take another process")]
    RunUnderWay,
    /// SQLite did not take the VFS.
    #[error("SQLite refused the virtual file system (code {code})")]
    Vfs {
        /// SQLite's result code.
        code: i32,
    },
    /// A store is open on the disk.
    #[error("{files} files of {} are still open; drop the store first, as a device without power does", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
        /// How many files.
        files: u64,
    },
}

/// The disks of one run, on the thread that started it. They go when this is dropped.
#[derive(Debug)]
pub struct Disks {
    random: Random,
    made: u64,
    _on_this_thread: PhantomData<*const ()>,
}

/// A disk with its own power. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    number: u64,
    drive: Arc<Mutex<Drive>>,
}

/// What the VFS finds on the thread that it is called on.
#[derive(Debug)]
struct Run {
    drives: BTreeMap<u64, Arc<Mutex<Drive>>>,
    random_of_sqlite: Random,
    unix_ms: u64,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

impl Disks {
    /// Begins a run.
    ///
    /// # Errors
    /// [`DiskError::RunUnderWay`] if this thread has one, or [`DiskError::Vfs`].
    pub fn start(seed: u64) -> Result<Self, DiskError> {
        vfs::register().map_err(|code| DiskError::Vfs { code })?;
        let random = Random::new(seed).fork("disks");
        RUN.with_borrow_mut(|run| match run {
            Some(_) => Err(DiskError::RunUnderWay),
            None => {
                let random_of_sqlite = random.fork("sqlite");
                *run = Some(Run { drives: BTreeMap::new(), random_of_sqlite, unix_ms: 0 });
                Ok(())
            }
        })?;
        vfs::reseed();
        Ok(Self { random, made: 0, _on_this_thread: PhantomData })
    }

    /// Adds an empty disk with power on, without faults and without an end.
    pub fn add(&mut self) -> Disk {
        let number = self.made;
        self.made += 1;
        let random = self.random.fork(&format!("disk {number}"));
        let drive = Arc::new(Mutex::new(Drive::new(random)));
        with_run(|run| run.drives.insert(number, Arc::clone(&drive)));
        Disk { number, drive }
    }

    /// Takes a disk away: nothing can be opened on it any more, and its memory is free once nobody has it.
    pub fn remove(&mut self, disk: &Disk) {
        with_run(|run| run.drives.remove(&disk.number));
    }

    /// Sets the time that SQLite is told, in milliseconds since 1970.
    pub fn set_time(&self, unix_ms: u64) {
        with_run(|run| run.unix_ms = unix_ms);
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        // A thread that is ending may have dropped it already.
        let _ = RUN.try_with(|run| run.try_borrow_mut().map(|mut run| run.take()));
    }
}

impl Disk {
    /// Where the database of the device is, in the file system of [`VFS`].
    pub fn path(&self) -> PathBuf {
        self.file(popmesh_store::DATABASE_FILE)
    }

    /// Where a file of that name is.
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/{}{}/{name}", vfs::FOLDER, self.number))
    }

    /// Opens the log of a device on it, or makes it, and like `Store::open` in a folder writes the write-ahead log anew that it
    /// finds there, because a sync that failed can have left it in memory only.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] while something is open on the disk.
    pub fn open_log(&self, event: EventId, device: DeviceId) -> Result<(Store, Loaded), StoreError> {
        let path = self.path();
        if self.drive().held_by_programs() > 0 {
            return Err(StoreError::InUse { path });
        }
        let opened = Store::open_in_vfs(&path, event, device, VFS, CHECKPOINT_PAGES)?;
        // A statement of its own: nobody may be at the drive when the store is dropped.
        let renewed = self.drive().renew(&format!("{}-wal", popmesh_store::DATABASE_FILE));
        match renewed {
            Ok(()) => Ok(opened),
            Err(Failure::Full) => Err(StoreError::Full { path }),
            Err(_) => {
                let detail = "the write-ahead log could not be written anew".to_owned();
                Err(StoreError::Disk { path, detail })
            }
        }
    }

    /// Cuts the power now, between two operations. Nothing happens if it is off.
    pub fn cut(&self, kept: Kept) {
        self.drive().cut(kept);
    }

    /// Turns the power on.
    ///
    /// # Errors
    /// [`DiskError::InUse`] while something is open on it from before: it could still act on what is now another life.
    pub fn power_on(&self) -> Result<(), DiskError> {
        let mut drive = self.unused()?;
        drive.power_on();
        Ok(())
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        self.drive().is_on()
    }

    /// Cuts the power in the middle of the `operation`th operation from now; 1 is the next, in a store that is opening too.
    /// A write that it falls into can be lost, torn or kept like those before it; a sync has done nothing yet.
    /// [`Stats::operations`] tells what an append takes. Replaces the fuse before it.
    pub fn arm_fuse(&self, operation: u64, kept: Kept) {
        self.drive().arm_fuse(operation, kept);
    }

    /// Takes out a fuse that has not blown.
    pub fn disarm_fuse(&self) {
        self.drive().disarm_fuse();
    }

    /// Whether the power is off because of a fuse.
    pub fn fuse_blown(&self) -> bool {
        self.drive().fuse_blown()
    }

    /// Sets how often it fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.drive().set_faults(faults);
    }

    /// Lets the next so many operations of a kind fail, besides those that fail by chance.
    pub fn fail_next(&self, operation: Operation, times: u64) {
        self.drive().fail_next(operation, times);
    }

    /// Sets how much fits on it; what is there stays, however much.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.drive().set_capacity(bytes);
    }

    /// How much is on it.
    pub fn used_bytes(&self) -> u64 {
        self.drive().used_bytes()
    }

    /// All files as programs see them now, synced or not.
    pub fn image(&self) -> Image {
        self.drive().image()
    }

    /// Makes it as the disk was that `image` was taken of. All of it is durable.
    ///
    /// # Errors
    /// [`DiskError::InUse`] while something is open on it.
    pub fn restore(&self, image: &Image) -> Result<(), DiskError> {
        let mut drive = self.unused()?;
        drive.restore(image);
        Ok(())
    }

    /// What it has done and suffered.
    pub fn stats(&self) -> Stats {
        self.drive().stats()
    }

    fn unused(&self) -> Result<MutexGuard<'_, Drive>, DiskError> {
        let drive = self.drive();
        match drive.held_by_programs() {
            0 => Ok(drive),
            files => Err(DiskError::InUse { path: self.path(), files }),
        }
    }

    fn drive(&self) -> MutexGuard<'_, Drive> {
        entered(&self.drive)
    }
}

/// A thread that panicked has left a drive as sound as a power cut would.
fn entered(drive: &Mutex<Drive>) -> MutexGuard<'_, Drive> {
    drive.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk of that number in the run on this thread.
fn find(number: u64) -> Option<Arc<Mutex<Drive>>> {
    with_run(|run| run.drives.get(&number).map(Arc::clone))?
}

/// What `ask` finds in the run on this thread, if there is one.
fn with_run<T>(ask: impl FnOnce(&mut Run) -> T) -> Option<T> {
    // The thread may be ending, and what it held with it, while a connection on it is closed.
    RUN.try_with(|run| run.try_borrow_mut().ok()?.as_mut().map(ask)).ok()?
}
