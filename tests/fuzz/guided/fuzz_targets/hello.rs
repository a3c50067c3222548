#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("hello"), |bytes: &[u8]| {
    (popmesh_fuzz::target("hello").run)(bytes);
});
