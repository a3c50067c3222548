//! The `popmesh` binary.

use std::process::ExitCode;

use popmesh::assemble::{Node, check_store};
use popmesh::cli::{self, Hooks};

fn main() -> ExitCode {
    cli::main(Hooks { starter: Node, check_store })
}
