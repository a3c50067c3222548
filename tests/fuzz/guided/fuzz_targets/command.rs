#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("command"), |bytes: &[u8]| {
    (popmesh_fuzz::target("command").run)(bytes);
});
