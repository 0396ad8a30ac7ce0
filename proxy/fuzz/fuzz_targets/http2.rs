//! A client's connection over HTTP/2, and those who answer it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lintel_proxy_fuzz::http2(data));
