//! The `cc-relay` program.
//!
//! In: the process's arguments and environment. Out: an exit code. It only sets the allocator and
//! calls the library, so that everything else can be reached by a test.

/// The allocator of the whole process: the relay's many short-lived buffers free fast with it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cc_relay::run()
}
