//! The `popmesh` binary.

use std::process::ExitCode;

use popmesh::assemble::{Node, check_store};
use popmesh::cli::{self, Hooks};

/// With the C library's own, what a sale needs for a moment and what it leaves for good lie side by side in memory that can
/// never be given back: eight times what is in use after ten thousand sales, and more with each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(Hooks { starter: Node, check_store })
}
