#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("cheat"), |bytes: &[u8]| {
    (popmesh_fuzz::target("cheat").run)(bytes);
});
