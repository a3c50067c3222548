#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("record"), |bytes: &[u8]| {
    (popmesh_fuzz::target("record").run)(bytes);
});
