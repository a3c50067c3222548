//! The virtual disks as an SQLite VFS: the calling convention, and nothing else.
//!
//! The only unsafe code of this crate. What it hands over to SQLite: one table of functions that lives for ever, and for
//! each open file a box, which SQLite gives back when it closes the file. Everything behind that is safe code.
//!
//! No method may panic: it would have to unwind through C, and so aborts.
#![allow(unsafe_code, reason = "SQLite asks for a table of C functions that get pointers")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::ffi;

use super::drive::{Drive, Failure, Lock};
use super::{entered, find, with_run};
use crate::random::Random;

pub(super) const NAME: &str = "popmesh-simulator";
const NAME_FOR_SQLITE: &CStr = c"popmesh-simulator";
/// What the name of the folder of each disk begins with; its number follows.
pub(super) const FOLDER: &str = "disk-";
const PATH_BYTES_MAX: c_int = 256;
/// What SQLite takes for the sector of an ordinary disk.
const SECTOR_BYTES: c_int = 4_096;
/// 1970 in milliseconds of the Julian day, which is how SQLite counts.
const UNIX_EPOCH_JULIAN_MS: i64 = 210_866_760_000_000;
const DAY_MS: f64 = 86_400_000.0;

/// Makes this the default VFS of the process, once.
pub(super) fn register() -> Result<(), c_int> {
    static RESULT: OnceLock<c_int> = OnceLock::new();
    let result = *RESULT.get_or_init(|| {
        let vfs = Box::leak(Box::new(vfs()));
        // SAFETY: `vfs` lives for ever, is nowhere else, and its fields are as `sqlite3_vfs` asks for.
        unsafe { ffi::sqlite3_vfs_register(vfs, 1) }
    });
    if result == ffi::SQLITE_OK { Ok(()) } else { Err(result) }
}

/// Lets SQLite forget what chance it has; it asks for new when it next needs some.
pub(super) fn reseed() {
    // SAFETY: documented to reset the generator when given no room for bytes.
    unsafe { ffi::sqlite3_randomness(0, std::ptr::null_mut()) }
}

fn vfs() -> ffi::sqlite3_vfs {
    ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: PATH_BYTES_MAX,
        pNext: std::ptr::null_mut(),
        zName: NAME_FOR_SQLITE.as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_ms),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

/// Version 1: without shared memory, so that a write-ahead log takes an exclusive lock, and without mapped memory, which
/// would see writes that never passed through here.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// What SQLite holds of an open file: room that it makes, `szOsFile` bytes of it.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    opened: *mut Opened,
}

/// An open file. Can be used on any thread, one at a time, as the connection can that it belongs to.
struct Opened {
    drive: Arc<Mutex<Drive>>,
    handle: u64,
}

/// # Safety
/// `file` is what [`open`] filled, not closed yet, and no other method is at work on it. SQLite promises both to a VFS.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a Opened {
    // SAFETY: `open` put a box's pointer there, which only `close` takes.
    unsafe { &*(*file.cast::<OpenFile>()).opened }
}

/// # Safety
/// `path` is null or ends with a zero byte and outlives the answer's use.
unsafe fn locate<'a>(path: *const c_char) -> Option<(Arc<Mutex<Drive>>, &'a str)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as this function's.
    let path = unsafe { CStr::from_ptr(path) }.to_str().ok()?;
    let (number, name) = path.strip_prefix('/')?.strip_prefix(FOLDER)?.split_once('/')?;
    Some((find(number.parse().ok()?)?, name))
}

fn code(result: Result<(), Failure>, otherwise: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failure::Full) => ffi::SQLITE_FULL,
        Err(Failure::Busy) => ffi::SQLITE_BUSY,
        Err(Failure::Off | Failure::Error | Failure::Missing) => otherwise,
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let file = file.cast::<OpenFile>();
    // SAFETY: SQLite gives room for an `OpenFile`. Without methods it knows that the file is not open.
    unsafe { (*file).base.pMethods = std::ptr::null() };
    let (drive, name) = if path.is_null() {
        // A temporary file. It goes with its only handle.
        (Arc::new(Mutex::new(Drive::new(Random::new(0)))), "temporary")
    } else {
        // SAFETY: SQLite's path ends with a zero byte and is there until this call returns.
        match unsafe { locate(path) } {
            Some(found) => found,
            None => return ffi::SQLITE_CANTOPEN,
        }
    };
    let opened = entered(&drive).open(name, flags & ffi::SQLITE_OPEN_CREATE != 0);
    match opened {
        Ok(handle) => {
            let opened = Box::into_raw(Box::new(Opened { drive, handle }));
            // SAFETY: room for an `OpenFile`, as above; `flags_out` is null or points to a number.
            unsafe {
                file.write(OpenFile { base: ffi::sqlite3_file { pMethods: &METHODS }, opened });
                if let Some(flags_out) = flags_out.as_mut() {
                    *flags_out = flags;
                }
            }
            ffi::SQLITE_OK
        }
        Err(Failure::Missing) => ffi::SQLITE_CANTOPEN,
        Err(failure) => code(Err(failure), ffi::SQLITE_IOERR),
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite's path ends with a zero byte and is there until this call returns.
    let Some((drive, name)) = (unsafe { locate(path) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let result = entered(&drive).remove(name, sync_folder != 0);
    match result {
        Err(Failure::Missing) => ffi::SQLITE_IOERR_DELETE_NOENT,
        result => code(result, ffi::SQLITE_IOERR_DELETE),
    }
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's path ends with a zero byte and is there until this call returns.
    let exists = match unsafe { locate(path) } {
        Some((drive, name)) => entered(&drive).exists(name),
        None => Ok(false),
    };
    match exists {
        Ok(exists) => {
            // SAFETY: SQLite gives room for a number.
            unsafe { *result = c_int::from(exists) };
            ffi::SQLITE_OK
        }
        Err(failure) => code(Err(failure), ffi::SQLITE_IOERR_ACCESS),
    }
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    full: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's path ends with a zero byte.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if path.len() > usize::try_from(room).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `full` has room for `room` bytes, which is enough, and is not part of `path`.
    unsafe { full.copy_from_nonoverlapping(path.as_ptr().cast(), path.len()) };
    ffi::SQLITE_OK
}

// There are no extensions to load in here.
unsafe extern "C" fn dl_open(_: *mut ffi::sqlite3_vfs, _: *const c_char) -> *mut c_void {
    std::ptr::null_mut()
}

unsafe extern "C" fn dl_error(_: *mut ffi::sqlite3_vfs, room: c_int, message: *mut c_char) {
    if room > 0 {
        // SAFETY: `message` has room for `room` bytes.
        unsafe { *message = 0 };
    }
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, length: c_int, bytes: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for `length` bytes.
    let bytes = unsafe { zeroed(bytes.cast(), length) };
    // Without a run there is no chance, but something else than what is in memory by accident.
    with_run(|run| run.random_of_sqlite.fill(bytes));
    length
}

/// # Safety
/// There is room for `length` bytes, which nobody else uses meanwhile.
unsafe fn zeroed<'a>(bytes: *mut u8, length: c_int) -> &'a mut [u8] {
    let length = usize::try_from(length).unwrap_or(0);
    if bytes.is_null() || length == 0 {
        return &mut [];
    }
    // SAFETY: as this function's; written to before it is looked at.
    unsafe {
        bytes.write_bytes(0, length);
        std::slice::from_raw_parts_mut(bytes, length)
    }
}

// Time in a run is virtual, so nobody sleeps.
unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

fn julian_ms() -> i64 {
    UNIX_EPOCH_JULIAN_MS.saturating_add_unsigned(with_run(|run| run.unix_ms).unwrap_or(0))
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: SQLite gives room for a number.
    unsafe { *days = julian_ms() as f64 / DAY_MS };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_ms(_: *mut ffi::sqlite3_vfs, milliseconds: *mut i64) -> c_int {
    // SAFETY: SQLite gives room for a number.
    unsafe { *milliseconds = julian_ms() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes once what `open` filled, and uses it no more.
    let opened = unsafe { Box::from_raw((*file.cast::<OpenFile>()).opened) };
    entered(&opened.drive).close(opened.handle);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file, and room for `length` bytes. SQLite asks for zeros where there is nothing to read.
    let (opened, into) = unsafe { (opened(file), zeroed(into.cast(), length)) };
    let Ok(offset) = usize::try_from(offset) else {
        return ffi::SQLITE_IOERR_READ;
    };
    let read = entered(&opened.drive).read(opened.handle, offset, into);
    match read {
        Ok(bytes) if bytes == into.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(failure) => code(Err(failure), ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let (Ok(length), Ok(offset)) = (usize::try_from(length), usize::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: an open file, and `length` bytes that SQLite has written.
    let (opened, from) = unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), length)) };
    let result = entered(&opened.drive).write(opened.handle, offset, from);
    code(result, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    let Ok(length) = usize::try_from(length) else {
        return ffi::SQLITE_IOERR_TRUNCATE;
    };
    let result = entered(&opened.drive).resize(opened.handle, length);
    code(result, ffi::SQLITE_IOERR_TRUNCATE)
}

// Whether data only or the length too: the length is always made durable.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    let result = entered(&opened.drive).sync(opened.handle);
    code(result, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    let length = entered(&opened.drive).length(opened.handle);
    match length {
        Ok(length) => {
            // SAFETY: SQLite gives room for a number.
            unsafe { *size = i64::try_from(length).unwrap_or(i64::MAX) };
            ffi::SQLITE_OK
        }
        Err(failure) => code(Err(failure), ffi::SQLITE_IOERR_FSTAT),
    }
}

fn level(level: c_int) -> Lock {
    match level {
        ffi::SQLITE_LOCK_NONE => Lock::None,
        ffi::SQLITE_LOCK_SHARED => Lock::Shared,
        ffi::SQLITE_LOCK_RESERVED => Lock::Reserved,
        ffi::SQLITE_LOCK_PENDING => Lock::Pending,
        _ => Lock::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    let result = entered(&opened.drive).lock(opened.handle, level(wanted));
    code(result, ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    entered(&opened.drive).unlock(opened.handle, level(to));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    // SAFETY: an open file.
    let opened = unsafe { opened(file) };
    let is_reserved = entered(&opened.drive).is_reserved(opened.handle);
    // SAFETY: SQLite gives room for a number.
    unsafe { *result = c_int::from(is_reserved) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

// As SQLite takes a real disk to be: bytes beside a write are not harmed when the power fails.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}
