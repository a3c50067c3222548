//! The `popmesh-sim` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    popmesh_simulator::cli::main()
}
