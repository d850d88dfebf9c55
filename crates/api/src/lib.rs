//! The management API of cc-relay: its messages, its client, and where it is found.
//!
//! In: `proto/relay/v1/relay.proto`. Out: what it says as Rust types, a client, and the address of
//! a running relay. It must decide nothing: what a message means is the server's to know.

mod address;
mod connect;

pub use address::{Address, AddressError};
pub use connect::{ConnectError, Connection, Credentials, Token, connect};

/// Package `relay.v1`, as the proto says it.
#[expect(
    clippy::allow_attributes,
    clippy::clone_on_ref_ptr,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated: its form is that of the generator"
)]
pub mod v1 {
    tonic::include_proto!("relay.v1");

    /// The proto as a `google.protobuf.FileDescriptorSet`, with its comments.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relay.v1.bin"));
}
