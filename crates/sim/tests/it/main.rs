//! The sim through real sockets. In: raw TCP, TLS and HTTP/2 clients written here; out: proof that
//! each script does on the wire what it says. Must never trust the sim's own records alone.

#[cfg(test)]
mod raw;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod program;
#[cfg(test)]
mod vendors;
