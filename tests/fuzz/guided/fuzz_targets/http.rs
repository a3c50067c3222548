#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("http"), |bytes: &[u8]| {
    (popmesh_fuzz::target("http").run)(bytes);
});
