#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("bundle"), |bytes: &[u8]| {
    (popmesh_fuzz::target("bundle").run)(bytes);
});
