#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("device"), |bytes: &[u8]| {
    (popmesh_fuzz::target("device").run)(bytes);
});
