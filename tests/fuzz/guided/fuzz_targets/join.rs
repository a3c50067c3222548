#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("join"), |bytes: &[u8]| {
    (popmesh_fuzz::target("join").run)(bytes);
});
