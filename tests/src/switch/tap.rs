//! One TAP device: Ethernet frames of one network interface, read and written by this process.
#![allow(unsafe_code, reason = "TUNSETIFF exists only as an ioctl")]

use std::ffi::{c_int, c_short};

use anyhow::{Context, Result, ensure};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Where the kernel offers TUN and TAP devices.
pub(crate) const TUN_DEVICE: &str = "/dev/net/tun";

/// `IFNAMSIZ`: an interface name with its terminating zero.
const INTERFACE_NAME_BYTES: usize = 16;

const IFF_TAP: c_short = 0x0002;
const IFF_NO_PI: c_short = 0x1000;
const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);

/// `struct ifreq` with the member of its union that TUNSETIFF uses, padded to the union's full size.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; INTERFACE_NAME_BYTES],
    flags: c_short,
    rest_of_union: [u8; 22],
}

// The kernel copies a whole `struct ifreq` in and out: a smaller one here would be a buffer overrun.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<InterfaceRequest>() == 40);

/// A TAP device in the network namespace that the opening thread was in; closing it removes the device.
#[derive(Debug)]
pub struct Tap {
    descriptor: OwnedFd,
}

impl Tap {
    /// Makes the interface `name` in the network namespace of the calling thread.
    ///
    /// The descriptor works from every namespace afterwards.
    ///
    /// # Errors
    /// When the device cannot be opened, the name is too long or taken, or the privilege is missing.
    pub fn open(name: &str) -> Result<Self> {
        ensure!(name.len() < INTERFACE_NAME_BYTES, "interface name {name:?} is too long for the kernel");
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(TUN_DEVICE, flags, Mode::empty())
            .with_context(|| format!("open {TUN_DEVICE}"))?;
        let mut request = InterfaceRequest {
            name: [0; INTERFACE_NAME_BYTES],
            flags: IFF_TAP | IFF_NO_PI,
            rest_of_union: [0; 22],
        };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: TUNSETIFF reads and writes one `struct ifreq`. `InterfaceRequest` has its layout and
        // size (asserted above), is initialised in full, holds no pointers, and outlives the call.
        let made = unsafe { ioctl(&descriptor, Updater::<TUNSETIFF, _>::new(&mut request)) };
        made.with_context(|| format!("make the TAP interface {name} (needs CAP_NET_ADMIN)"))?;
        Ok(Self { descriptor })
    }

    /// The next frame that the interface sent, into `buffer`; `None` when there is none now.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        match rustix::io::read(&self.descriptor, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands `frame` to the interface; fails while the interface is down.
    pub(super) fn write(&self, frame: &[u8]) -> Result<(), Errno> {
        rustix::io::write(&self.descriptor, frame).map(|_| ())
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
