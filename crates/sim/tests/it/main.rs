//! The sim through real sockets. In: raw TCP, TLS and HTTP/2 clients written here; out: proof that
//! each script does on the wire what it says. Must never trust the sim's own records alone.

mod raw;
mod answers;
mod faults;
mod http2;
mod program;
