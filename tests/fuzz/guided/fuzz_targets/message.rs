#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("message"), |bytes: &[u8]| {
    (popmesh_fuzz::target("message").run)(bytes);
});
