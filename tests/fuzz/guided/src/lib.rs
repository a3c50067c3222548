//! What all libFuzzer targets begin with.

/// Has panics told, and no more: libFuzzer's own hook ends the process, also where popmesh catches what Automerge may do.
/// A panic that nobody catches ends the process all the same.
pub fn start() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}
