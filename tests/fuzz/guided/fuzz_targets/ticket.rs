#![no_main]

libfuzzer_sys::fuzz_target!(init: popmesh_fuzz_guided::begin("ticket"), |bytes: &[u8]| {
    (popmesh_fuzz::target("ticket").run)(bytes);
});
