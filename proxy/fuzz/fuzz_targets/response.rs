//! A target's stream: interim responses, a response, and what there should not be.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lintel_proxy_fuzz::response(data));
