//! The `popmesh` binary.
fn main() {}
