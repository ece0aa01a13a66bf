#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barge_fuzz::compact(input));
