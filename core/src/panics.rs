//! Panic reports without content.

use std::panic::PanicHookInfo;

/// Reports a panic by its place alone, as a `tracing` error.
///
/// Automerge's panics can print values of the document through the panic hook before `catch_unwind` sees them
/// (invariant S6). A program that embeds Afield should install this instead of the default hook:
///
/// ```
/// std::panic::set_hook(Box::new(afield_core::panics::report));
/// ```
///
/// A panic inside a panic hook ends the process at once. Nothing here panics; the subscriber must not either, so one of
/// `tracing_subscriber` that writes to standard error wants `log_internal_errors(false)`: it would report a line that
/// cannot be written with `eprintln!`, which panics where nobody reads standard error any more.
pub fn report(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let (file, line) = info.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
    tracing::error!(file, line, thread = thread.name().unwrap_or("unnamed"), "panic; its message is withheld");
}
