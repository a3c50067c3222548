#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("programme"), |bytes: &[u8]| {
    (popmesh_fuzz::target("programme").run)(bytes);
});
