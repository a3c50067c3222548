//! Byte streams between devices in radio range, over Bluetooth LE.
//!
//! A [`Ble`] advertises this device, looks for others, and opens one stream to a device: an L2CAP connection-oriented
//! channel with credits, as `AsyncRead + AsyncWrite`. It brings its own Bluetooth host and needs nothing but the
//! adapter's HCI: no Bluetooth service of the system, and no pairing. When the adapter goes away, all streams end, and
//! it goes on by itself when the adapter is back.
//!
//! What is not in here: who the other end is, and whether it may. A stream is plain bytes to whoever answers, and wants
//! an authenticated and encrypted protocol above it. What is advertised tells only those who have the same key that it
//! is of one of them, and of which ([`ShortId`]); to others it looks like chance, and changes with the address.

mod adapter;
mod beacon;
mod counters;
mod examine;
mod guard;
mod hci;
mod host;
mod link;
mod pool;
mod seen;
mod session;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod window;

pub use self::{
    adapter::{Adapter, AdapterError},
    beacon::{Heard, Key, ShortId, Standing},
    counters::Counters,
    examine::{Examined, Unfit},
    host::{Ble, BleConfig, BleEvent, DialError, Pace, StartError},
    stream::BleStream,
};
