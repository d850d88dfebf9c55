//! The path of a request, one file a stage: accept, serve, route, authorize, buffer, choose or
//! travel, dispatch, hold, emit, finish; `relay` is their order.
//!
//! All I/O on the request's path is here, and nothing here knows a config file or the name of a
//! provider.

mod accept;
mod afford;
mod alias;
mod authorize;
mod background;
mod bill;
mod body;
mod buffer;
mod choose;
pub mod clock;
mod connect;
mod debug;
mod decode;
mod dispatch;
mod emit;
mod exhibit;
mod finish;
mod gap;
mod local;
mod health;
mod hold;
mod models;
mod observe;
mod options;
mod pool;
mod probe;
mod relay;
mod route;
mod run;
mod say;
mod serve;
mod server;
mod settings;
mod tls;
mod travel;
mod underway;
mod wait;
mod worker;

pub use background::{Background, Works};
pub use connect::{ConnectError, Connector, ConnectorOptions, HttpVersion, ProxyChoice};
pub use exhibit::ExhibitOptions;
pub use finish::{Counters, RecordSink};
pub use options::ServerOptions;
pub use probe::Probing;
pub use server::{Hurry, Server, Witness};
pub use settings::{LastReload, Reloads, Settings};
pub use tls::{ServerTlsError, server_config};
pub use underway::Glance;
