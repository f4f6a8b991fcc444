#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| simdeck_fuzz::forwarded_for(data));
