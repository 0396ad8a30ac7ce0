//! A client's stream: heads and bodies, one after the other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lintel_proxy_fuzz::request(data));
