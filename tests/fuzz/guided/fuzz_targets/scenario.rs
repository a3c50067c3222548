#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("scenario"), |bytes: &[u8]| {
    (popmesh_fuzz::target("scenario").run)(bytes);
});
