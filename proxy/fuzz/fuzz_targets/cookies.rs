//! What a client sends as its cookies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lintel_proxy_fuzz::cookies(data));
