//! Entries as no honest device writes them: well-formed, linked, signed with a key that is admitted, and without the right.
//!
//! [`Author`] writes chains by hand. [`Form`] names everything that an entry can do, each with the [`Right`]s that this
//! takes, and makes the entry that does it to a [`Prey`]: who has the right does it well by the same bytes. Nothing in
//! here is part of a device, and nothing reads a clock or draws random numbers: who uses it gives times and nonces.

mod author;
mod form;
mod make;
mod prey;
mod programme;
pub mod shown;

pub use author::{Author, message, range, sign};
pub use form::{EVERYBODY, Form, Right};
pub use prey::{Prey, PreyClaim, PreyUnits};
pub use programme::{first_change, programme_chain};
