//! One disk: files under names, what fails on it, and its power.
//!
//! A directory is a journal of changes, as ext4's is: a sync of any file makes all changes of the directory durable that
//! were made before it, and a power cut keeps those that were made first, whatever it keeps of the files.

use std::collections::BTreeMap;

use super::faults::{Choice, Faults, Kept, Operation, Stats};
use super::file::{Fate, File, SECTOR_BYTES};
use super::image::Image;
use crate::random::Random;

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk has no power, or has lost it since the file was opened.
    Off,
    /// It was made to fail.
    Error,
    /// No room.
    Full,
    /// No file of that name.
    Missing,
    /// Somebody else has the file locked.
    Busy,
}

/// How far a file is locked. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Lock {
    #[default]
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

#[derive(Debug)]
struct Handle {
    inode: u64,
    lock: Lock,
}

#[derive(Debug)]
struct DirectoryChange {
    order: u64,
    name: String,
    /// The file that gets the name; none if the name goes.
    inode: Option<u64>,
}

#[derive(Debug)]
struct Fuse {
    operations_left: u64,
    kept: Kept,
}

#[derive(Debug)]
pub(super) struct Drive {
    files: BTreeMap<u64, File>,
    inodes_made: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    directory_changes: Vec<DirectoryChange>,
    /// What is open. A power cut closes it all, though programs hold on to it.
    handles: BTreeMap<u64, Handle>,
    handles_made: u64,
    held_by_programs: u64,
    changes_made: u64,
    is_on: bool,
    fuse: Option<Fuse>,
    fuse_blown: bool,
    faults: Faults,
    fail_next: BTreeMap<Operation, u64>,
    capacity_bytes: Option<u64>,
    used_bytes: u64,
    random: Random,
    stats: Stats,
}

impl Drive {
    pub(super) fn new(random: Random) -> Self {
        Self {
            files: BTreeMap::new(),
            inodes_made: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            directory_changes: Vec::new(),
            handles: BTreeMap::new(),
            handles_made: 0,
            held_by_programs: 0,
            changes_made: 0,
            is_on: true,
            fuse: None,
            fuse_blown: false,
            faults: Faults::NONE,
            fail_next: BTreeMap::new(),
            capacity_bytes: None,
            used_bytes: 0,
            random,
            stats: Stats::default(),
        }
    }

    // What people and fate do to it.

    pub(super) fn cut(&mut self, kept: Kept) {
        if !self.is_on {
            return;
        }
        self.stats.cuts += 1;
        let directory: Vec<u64> = self.directory_changes.iter().map(|change| change.order).collect();
        let orders = self.files.values().flat_map(File::unsynced).chain(directory.iter().copied()).collect();
        let mut choice = Choice::make(kept, orders, &mut self.random);
        let changes_kept = choice.directory_changes(&directory);
        self.stats.directory_changes_lost += (directory.len() - changes_kept) as u64;
        for DirectoryChange { name, inode, .. } in self.directory_changes.drain(..).take(changes_kept) {
            rename(&mut self.durable_names, name, inode);
        }
        self.names.clone_from(&self.durable_names);
        for file in self.files.values_mut() {
            let fate = |order| {
                let fate = choice.fate(order);
                match fate {
                    Fate::Lost => self.stats.writes_lost += 1,
                    Fate::Torn => self.stats.writes_torn += 1,
                    Fate::Whole => self.stats.writes_kept += 1,
                }
                fate
            };
            file.cut(fate, &mut self.random);
        }
        self.handles.clear();
        self.forget_nameless_files();
        self.is_on = false;
        self.fuse = None;
    }

    pub(super) fn power_on(&mut self) {
        self.is_on = true;
        self.fuse_blown = false;
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn arm_fuse(&mut self, operation: u64, kept: Kept) {
        self.fuse = Some(Fuse { operations_left: operation.max(1), kept });
    }

    pub(super) fn disarm_fuse(&mut self) {
        self.fuse = None;
    }

    pub(super) fn fuse_blown(&self) -> bool {
        self.fuse_blown
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) fn fail_next(&mut self, operation: Operation, times: u64) {
        self.fail_next.insert(operation, times);
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity_bytes = bytes;
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(super) fn image(&self) -> Image {
        let file = |inode| self.files.get(inode).map(|file: &File| file.current().clone());
        let files =
            self.names.iter().filter_map(|(name, inode)| Some((name.clone(), file(inode)?))).collect();
        Image { files }
    }

    pub(super) fn restore(&mut self, image: &Image) {
        self.files.clear();
        self.names.clear();
        self.directory_changes.clear();
        self.handles.clear();
        for (name, content) in &image.files {
            let inode = self.make_inode(File::durable(content.clone()));
            self.names.insert(name.clone(), inode);
        }
        self.durable_names.clone_from(&self.names);
        self.used_bytes = image.length_bytes();
    }

    /// Writes a file anew, the same bytes to the same places, and syncs it.
    pub(super) fn renew(&mut self, name: &str) -> Result<(), Failure> {
        let handle = match self.open(name, false) {
            Ok(handle) => handle,
            Err(Failure::Missing) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let result = self.length(handle).and_then(|length| {
            let mut bytes = vec![0; length];
            self.read(handle, 0, &mut bytes)?;
            self.write(handle, 0, &bytes)?;
            self.sync(handle)
        });
        self.close(handle);
        result
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats
    }

    /// How many files programs have open, those that a power cut closed too.
    pub(super) fn held_by_programs(&self) -> u64 {
        self.held_by_programs
    }

    // What programs do with it.

    pub(super) fn open(&mut self, name: &str, create: bool) -> Result<u64, Failure> {
        let last = self.begin()?;
        let inode = match self.names.get(name) {
            Some(inode) => *inode,
            None if !create => {
                self.end(last)?;
                return Err(Failure::Missing);
            }
            None => {
                if self.fails(Operation::Write) {
                    self.end(last)?;
                    return Err(Failure::Error);
                }
                let inode = self.make_inode(File::default());
                self.change_directory(name, Some(inode));
                inode
            }
        };
        self.end(last)?;
        self.handles_made += 1;
        self.handles.insert(self.handles_made, Handle { inode, lock: Lock::None });
        self.held_by_programs += 1;
        Ok(self.handles_made)
    }

    pub(super) fn close(&mut self, handle: u64) {
        self.held_by_programs -= 1;
        if self.handles.remove(&handle).is_some() {
            self.forget_nameless_files();
        }
    }

    pub(super) fn remove(&mut self, name: &str, sync: bool) -> Result<(), Failure> {
        let last = self.begin()?;
        if !self.names.contains_key(name) {
            self.end(last)?;
            return Err(Failure::Missing);
        }
        if self.fails(Operation::Write) {
            self.end(last)?;
            return Err(Failure::Error);
        }
        self.change_directory(name, None);
        self.end(last)?;
        if sync {
            self.sync_directory();
        }
        Ok(())
    }

    /// Whether there is a file of that name with something in it.
    pub(super) fn exists(&mut self, name: &str) -> Result<bool, Failure> {
        let last = self.begin()?;
        self.end(last)?;
        let file = self.names.get(name).and_then(|inode| self.files.get(inode));
        Ok(file.is_some_and(|file| file.current().length() > 0))
    }

    /// Answers how many bytes there were; what is beyond them in `into` stays as it was.
    pub(super) fn read(&mut self, handle: u64, offset: usize, into: &mut [u8]) -> Result<usize, Failure> {
        let inode = self.inode(handle)?;
        let last = self.begin()?;
        self.stats.reads += 1;
        self.end(last)?;
        if self.fails(Operation::Read) {
            return Err(Failure::Error);
        }
        let file = self.files.get(&inode).ok_or(Failure::Off)?;
        let bytes = file.current().read(offset, into);
        self.stats.bytes_read += bytes as u64;
        Ok(bytes)
    }

    pub(super) fn write(&mut self, handle: u64, offset: usize, mut bytes: &[u8]) -> Result<(), Failure> {
        let inode = self.inode(handle)?;
        let last = self.begin()?;
        let mut result = Ok(());
        if self.fails(Operation::Write) {
            let sectors = self.random.index(bytes.len() / SECTOR_BYTES + 1);
            bytes = &bytes[..sectors * SECTOR_BYTES];
            result = Err(Failure::Error);
        }
        let file = self.files.get_mut(&inode).ok_or(Failure::Off)?;
        let length = file.current().length();
        let growth = (offset + bytes.len()).saturating_sub(length) as u64;
        let room = self.capacity_bytes.map_or(u64::MAX, |bytes| bytes.saturating_sub(self.used_bytes));
        if growth > room {
            let too_many = (growth - room).min(bytes.len() as u64) as usize;
            bytes = &bytes[..bytes.len() - too_many];
            result = Err(Failure::Full);
            self.stats.refused_for_space += 1;
        }
        if !bytes.is_empty() {
            self.changes_made += 1;
            file.write(self.changes_made, offset, bytes);
            self.used_bytes += (file.current().length() - length) as u64;
        }
        self.stats.writes += 1;
        self.stats.bytes_written += bytes.len() as u64;
        self.end(last)?;
        result
    }

    pub(super) fn resize(&mut self, handle: u64, length: usize) -> Result<(), Failure> {
        let inode = self.inode(handle)?;
        let last = self.begin()?;
        if self.fails(Operation::Write) {
            self.end(last)?;
            return Err(Failure::Error);
        }
        let file = self.files.get_mut(&inode).ok_or(Failure::Off)?;
        self.used_bytes = self.used_bytes + length as u64 - file.current().length() as u64;
        self.changes_made += 1;
        file.resize(self.changes_made, length);
        self.end(last)
    }

    pub(super) fn sync(&mut self, handle: u64) -> Result<(), Failure> {
        let inode = self.inode(handle)?;
        let last = self.begin()?;
        self.stats.syncs += 1;
        self.end(last)?;
        let fails = self.fails(Operation::Sync);
        let lies = self.random.chance(self.faults.lying_syncs_per_mille);
        let file = self.files.get_mut(&inode).ok_or(Failure::Off)?;
        if fails {
            let mut choice = Choice::make(Kept::Any, file.unsynced().collect(), &mut self.random);
            file.fail_to_sync(|order| choice.fate(order), &mut self.random);
            return Err(Failure::Error);
        }
        if lies {
            self.stats.lying_syncs += 1;
            return Ok(());
        }
        file.sync();
        self.sync_directory();
        Ok(())
    }

    pub(super) fn length(&mut self, handle: u64) -> Result<usize, Failure> {
        let inode = self.inode(handle)?;
        let last = self.begin()?;
        self.end(last)?;
        self.files.get(&inode).map(|file| file.current().length()).ok_or(Failure::Off)
    }

    /// Locks are in memory: they fail when somebody has the file, never with the disk.
    pub(super) fn lock(&mut self, handle: u64, wanted: Lock) -> Result<(), Failure> {
        let inode = self.inode(handle)?;
        let others = self.highest_lock(inode, handle);
        let allowed = match wanted {
            Lock::None => true,
            Lock::Shared => others < Lock::Pending,
            Lock::Reserved | Lock::Pending => others < Lock::Reserved,
            Lock::Exclusive => others == Lock::None,
        };
        if !allowed {
            return Err(Failure::Busy);
        }
        if let Some(handle) = self.handles.get_mut(&handle) {
            handle.lock = handle.lock.max(wanted);
        }
        Ok(())
    }

    pub(super) fn unlock(&mut self, handle: u64, to: Lock) {
        if let Some(handle) = self.handles.get_mut(&handle) {
            handle.lock = handle.lock.min(to);
        }
    }

    pub(super) fn is_reserved(&self, handle: u64) -> bool {
        let inode = self.handles.get(&handle).map(|handle| handle.inode);
        self.handles.values().any(|other| Some(other.inode) == inode && other.lock >= Lock::Reserved)
    }

    fn highest_lock(&self, inode: u64, except: u64) -> Lock {
        let others = self.handles.iter().filter(|(id, other)| **id != except && other.inode == inode);
        others.map(|(_, other)| other.lock).max().unwrap_or_default()
    }

    fn inode(&self, handle: u64) -> Result<u64, Failure> {
        self.handles.get(&handle).map(|handle| handle.inode).ok_or(Failure::Off)
    }

    /// Counts an operation. Answers whether the fuse burns through in it: then the operation is carried out as far as it
    /// changes something, and the power fails before it is over, in [`Self::end`].
    fn begin(&mut self) -> Result<bool, Failure> {
        if !self.is_on {
            return Err(Failure::Off);
        }
        self.stats.operations += 1;
        Ok(self.fuse.as_mut().is_some_and(|fuse| {
            fuse.operations_left -= 1;
            fuse.operations_left == 0
        }))
    }

    fn end(&mut self, last: bool) -> Result<(), Failure> {
        match self.fuse.take_if(|_| last) {
            Some(fuse) => {
                self.cut(fuse.kept);
                self.stats.fuses_blown += 1;
                self.fuse_blown = true;
                Err(Failure::Off)
            }
            None => Ok(()),
        }
    }

    fn fails(&mut self, operation: Operation) -> bool {
        let planned = self.fail_next.get_mut(&operation).is_some_and(|times| {
            let fails = *times > 0;
            *times = times.saturating_sub(1);
            fails
        });
        let fails = planned || self.random.chance(self.faults.errors_per_mille(operation));
        if fails {
            match operation {
                Operation::Read => self.stats.read_errors += 1,
                Operation::Write => self.stats.write_errors += 1,
                Operation::Sync => self.stats.sync_errors += 1,
            }
        }
        fails
    }

    fn make_inode(&mut self, file: File) -> u64 {
        self.inodes_made += 1;
        self.files.insert(self.inodes_made, file);
        self.inodes_made
    }

    fn change_directory(&mut self, name: &str, inode: Option<u64>) {
        self.changes_made += 1;
        rename(&mut self.names, name.to_owned(), inode);
        let change = DirectoryChange { order: self.changes_made, name: name.to_owned(), inode };
        self.directory_changes.push(change);
    }

    fn sync_directory(&mut self) {
        if self.directory_changes.is_empty() {
            return;
        }
        self.directory_changes.clear();
        self.durable_names.clone_from(&self.names);
        self.forget_nameless_files();
    }

    /// Files that nothing can lead to any more: without a name, open nowhere, and not brought back by a cut either.
    fn forget_nameless_files(&mut self) {
        let Self { files, names, durable_names, directory_changes, handles, .. } = self;
        files.retain(|inode, _| {
            let is_named = |names: &BTreeMap<String, u64>| names.values().any(|named| named == inode);
            is_named(names)
                || is_named(durable_names)
                || directory_changes.iter().any(|change| change.inode == Some(*inode))
                || handles.values().any(|handle| handle.inode == *inode)
        });
        self.used_bytes = files.values().map(|file| file.current().length() as u64).sum();
    }
}

fn rename(names: &mut BTreeMap<String, u64>, name: String, inode: Option<u64>) {
    match inode {
        Some(inode) => names.insert(name, inode),
        None => names.remove(&name),
    };
}
