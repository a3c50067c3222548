#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("papers"), |bytes: &[u8]| {
    (popmesh_fuzz::target("papers").run)(bytes);
});
