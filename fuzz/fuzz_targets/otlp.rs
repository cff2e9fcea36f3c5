//! Whatever bytes a sender makes up: they are decoded and read, or refused, and never end the process.
//!
//! The first byte chooses signal, encoding and compression, the others are the request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qd_trace::otlp::{Compression, Encoding, Signal, rehearse};

fuzz_target!(|data: &[u8]| {
    let Some((choice, request)) = data.split_first() else { return };
    let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][usize::from(choice & 3) % 3];
    let encoding = [Encoding::Protobuf, Encoding::Json][usize::from(choice >> 2 & 1)];
    let compression = [Compression::None, Compression::Gzip, Compression::Zstd][usize::from(choice >> 3 & 3) % 3];
    let _ = rehearse(signal, encoding, compression, request);
});
