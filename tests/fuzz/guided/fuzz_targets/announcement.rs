#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("announcement"), |bytes: &[u8]| {
    (popmesh_fuzz::target("announcement").run)(bytes);
});
