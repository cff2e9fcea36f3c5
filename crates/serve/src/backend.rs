//! llama.cpp as a process-wide library: started once, its log sent to `tracing`.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use llama_cpp_2::llama_backend::LlamaBackend;

use crate::error::{Error, Result};

static BACKEND: OnceLock<std::result::Result<LlamaBackend, String>> = OnceLock::new();

/// The started backend. It lives as long as the process, since contexts on other threads need it.
pub(crate) fn backend() -> Result<&'static LlamaBackend> {
    let started = BACKEND.get_or_init(|| {
        silence();
        LlamaBackend::init().map_err(|error| error.to_string())
    });
    started.as_ref().map_err(|message| Error::backend("starting llama.cpp", message))
}

/// Sends llama.cpp's log to `tracing` at debug level, whatever level llama.cpp gives it: it reports every
/// tensor it loads, and what matters to us comes back as an error.
fn silence() {
    // SAFETY: `log_line` is a plain function without state, so it may be called from any thread, and no user
    // data is handed over.
    unsafe { llama_cpp_sys_2::llama_log_set(Some(log_line), std::ptr::null_mut()) };
}

unsafe extern "C" fn log_line(_: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() || !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    // SAFETY: llama.cpp passes a zero-terminated string that lives during the call.
    let line = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    tracing::debug!(target: "llama.cpp", "{}", line.trim_end());
}
