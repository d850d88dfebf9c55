//! Serves the API, on a thread that no request runs on.
//!
//! In: where to listen and whom to let in. Out: answers, until it is dropped. Where it listens for
//! other machines, the configuration's check has seen to TLS and a credential.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use relay_api::v1::relay_manager_server::RelayManagerServer;
use relay_config::{GrpcPlan, GrpcTls};
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_web::GrpcWebLayer;
use tracing::{info, warn};

use crate::caller::Door;
use crate::manager::Manager;
use crate::service::Service;

/// Calls at once on one connection.
const CALLS: usize = 64;
/// The longest message that is read: a configuration is at most 1 MiB.
const LARGEST: usize = 2 << 20;
/// After this silence a peer is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, #[source] std::io::Error),
    /// A certificate or key cannot be read.
    #[error("cannot read {0}: {1}")]
    Certificate(PathBuf, #[source] std::io::Error),
    /// TLS or reflection cannot be set up.
    #[error("cannot be set up: {0}")]
    Setup(String),
}

/// Sockets that were taken, before anything runs.
#[derive(Debug)]
pub struct Sockets {
    unix: Option<(UnixListener, PathBuf)>,
    tcp: Option<TcpListener>,
    web: Option<TcpListener>,
}

/// Where the API is asked for by a Unix socket or a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket that its user alone can open.
    Unix(PathBuf),
    /// A port.
    Tcp(SocketAddr),
}

impl Sockets {
    /// Takes the sockets.
    ///
    /// # Errors
    /// [`ServeError::Listen`] names the one that cannot be had.
    pub fn take(listen: Option<&Listen>, web: Option<SocketAddr>) -> Result<Self, ServeError> {
        let mut sockets = Self {
            unix: None,
            tcp: None,
            web: None,
        };
        let named = |name: String| move |error| ServeError::Listen(name, error);
        match listen {
            Some(Listen::Unix(path)) => {
                let listener =
                    own_socket(path).map_err(named(format!("unix:{}", path.display())))?;
                sockets.unix = Some((listener, path.clone()));
            }
            Some(Listen::Tcp(address)) => {
                sockets.tcp = Some(port(*address).map_err(named(address.to_string()))?);
            }
            None => {}
        }
        if let Some(address) = web {
            sockets.web = Some(port(address).map_err(named(address.to_string()))?);
        }
        Ok(sockets)
    }

    /// Returns where it is served, as a client writes it.
    pub fn addresses(&self) -> Vec<String> {
        let unix = self
            .unix
            .iter()
            .map(|(_, path)| format!("unix:{}", path.display()));
        let ports = [&self.tcp, &self.web].into_iter().flatten();
        let ports = ports
            .filter_map(|it| it.local_addr().ok())
            .map(|it| it.to_string());
        unix.chain(ports).collect()
    }
}

fn port(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Opens a socket for its user alone. One that a relay has left behind is replaced; one at which
/// somebody answers is not.
fn own_socket(path: &Path) -> std::io::Result<UnixListener> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The API as it is served. Dropped, it ends.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    socket: Option<PathBuf>,
}

impl Running {
    /// Serves.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub fn start(
        manager: &Arc<Manager>,
        plan: &GrpcPlan,
        sockets: Sockets,
    ) -> Result<Self, ServeError> {
        let setup = |error: std::io::Error| ServeError::Setup(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(setup)?;
        let stop = CancellationToken::new();
        let socket = sockets.unix.as_ref().map(|(_, path)| path.clone());
        let servers = servers(manager, plan, sockets, &runtime)?;
        let (manager, stopped) = (Arc::clone(manager), stop.clone());
        let thread = std::thread::Builder::new().name("manage".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(async {
                tokio::join!(manager.run(), futures_util::future::join_all(servers));
            }));
        });
        Ok(Self {
            stop,
            thread: Some(thread.map_err(setup)?),
            socket,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            warn!("the thread of the management API panicked");
        }
        if let Some(path) = self.socket.take() {
            drop(std::fs::remove_file(path));
        }
    }
}

type Serving = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn servers(
    manager: &Arc<Manager>,
    plan: &GrpcPlan,
    sockets: Sockets,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<Serving>, ServeError> {
    let _inside = runtime.enter();
    let setup = |error: std::io::Error| ServeError::Setup(error.to_string());
    let mut servers: Vec<Serving> = Vec::new();
    if let Some((listener, path)) = sockets.unix {
        let owner = std::fs::metadata(&path).map_err(setup)?.uid();
        let door = Door::of_user(owner);
        let listener = tokio::net::UnixListener::from_std(listener).map_err(setup)?;
        let incoming = futures_util::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        let router = services(Server::builder(), manager, &door)?;
        servers.push(Box::pin(async move {
            told(router.serve_with_incoming(incoming).await);
        }));
    }
    if let Some(listener) = sockets.tcp {
        let door = Door::of_port(&plan.tokens);
        let incoming =
            TcpIncoming::from(tokio::net::TcpListener::from_std(listener).map_err(setup)?);
        let router = services(secured(plan)?, manager, &door)?;
        servers.push(Box::pin(async move {
            told(router.serve_with_incoming(incoming).await);
        }));
    }
    if let Some(listener) = sockets.web {
        let door = Door::of_web(&plan.tokens);
        let incoming =
            TcpIncoming::from(tokio::net::TcpListener::from_std(listener).map_err(setup)?);
        let builder = secured(plan)?.accept_http1(true).layer(GrpcWebLayer::new());
        let router = services(builder, manager, &door)?;
        servers.push(Box::pin(async move {
            told(router.serve_with_incoming(incoming).await);
        }));
    }
    Ok(servers)
}

fn told(served: Result<(), tonic::transport::Error>) {
    match served {
        Ok(()) => info!("the management API has ended"),
        Err(error) => warn!(%error, "the management API has ended"),
    }
}

fn secured(plan: &GrpcPlan) -> Result<Server, ServeError> {
    let server = Server::builder();
    let Some(tls) = &plan.tls else {
        return Ok(server);
    };
    server
        .tls_config(certificates(tls)?)
        .map_err(|error| ServeError::Setup(error.to_string()))
}

fn certificates(tls: &GrpcTls) -> Result<ServerTlsConfig, ServeError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| ServeError::Certificate(path.clone(), error))
    };
    let identity = Identity::from_pem(read(&tls.cert_file)?, read(&tls.key_file)?);
    let mut config = ServerTlsConfig::new().identity(identity);
    if let Some(path) = &tls.client_ca_file {
        config = config.client_ca_root(Certificate::from_pem(read(path)?));
    }
    Ok(config)
}

/// Adds the services. Health and reflection tell nothing of this relay, and are for all who come.
fn services<L: Clone>(
    builder: Server<L>,
    manager: &Arc<Manager>,
    door: &Door,
) -> Result<Router<L>, ServeError> {
    let door = door.clone();
    let service =
        RelayManagerServer::new(Service(Arc::clone(manager))).max_decoding_message_size(LARGEST);
    let guarded = InterceptedService::new(service, move |request| door.open(request));
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(relay_api::v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let setup = |error: tonic_reflection::server::Error| ServeError::Setup(error.to_string());
    let reflection = described().build_v1().map_err(setup)?;
    // Clients in use still ask in the older version: Python's, for one.
    let older = described().build_v1alpha().map_err(setup)?;
    let statuses = tonic_health::server::HealthReporter::new();
    // Nothing is told of what is not known: the whole is serving, by the empty name.
    let health = tonic_health::pb::health_server::HealthServer::new(
        tonic_health::server::HealthService::from_health_reporter(statuses),
    );
    Ok(builder
        .http2_keepalive_interval(Some(KEEPALIVE))
        .concurrency_limit_per_connection(CALLS)
        .add_service(guarded)
        .add_service(reflection)
        .add_service(older)
        .add_service(health))
}
