//! The `popmesh-sim` binary.

use std::process::ExitCode;

/// A night is made of small pieces of memory, most of which live for one message.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    popmesh_simulator::cli::main()
}
