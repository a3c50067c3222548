#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("token"), |bytes: &[u8]| {
    (popmesh_fuzz::target("token").run)(bytes);
});
