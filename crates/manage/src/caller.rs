//! Who calls, and what they may do.
//!
//! In: how a connection came, and what it shows. Out: a caller, or a refusal. Over a Unix socket the
//! kernel says who it is; elsewhere a token does, or a certificate. Nobody is let in because no rule
//! was found.

use std::net::SocketAddr;
use std::sync::Arc;

use relay_config::{GrpcRole, GrpcToken};
use relay_core::secret::SecretDigest;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};
use tonic::{Code, Request, Status};

use crate::refusal::refuse;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As the audit names it.
    pub(crate) name: Arc<str>,
    pub(crate) role: GrpcRole,
}

/// Who is let in.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    tokens: Arc<[GrpcToken]>,
    /// The user whose socket it is.
    uid: Option<u32>,
    /// Whether somebody on this machine may come in with nothing to show.
    trusts_neighbours: bool,
}

impl Door {
    /// A Unix socket of this user.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self {
            tokens: Arc::default(),
            uid: Some(uid),
            trusts_neighbours: false,
        }
    }

    /// A port. Where there are no tokens, whoever is on this machine comes in.
    pub(crate) fn of_port(tokens: &[GrpcToken]) -> Self {
        Self {
            tokens: tokens.into(),
            uid: None,
            trusts_neighbours: tokens.is_empty(),
        }
    }

    /// A port that browsers speak to: any page could make one ask there, so that being on this
    /// machine says nothing.
    pub(crate) fn of_web(tokens: &[GrpcToken]) -> Self {
        Self {
            trusts_neighbours: false,
            ..Self::of_port(tokens)
        }
    }

    /// Lets a call in under the caller's name, or refuses it.
    pub(crate) fn open(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = self.caller(&request)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }

    fn caller(&self, request: &Request<()>) -> Result<Caller, Status> {
        let extensions = request.extensions();
        if let Some(unix) = extensions.get::<UdsConnectInfo>() {
            return self.neighbour(unix);
        }
        if let Some(token) = bearer(request)? {
            return self.holder(&token);
        }
        let certified = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        if certified
            .and_then(TlsConnectInfo::peer_certs)
            .is_some_and(|certs| !certs.is_empty())
        {
            return Ok(admin("certificate"));
        }
        let from = request.remote_addr();
        if self.trusts_neighbours && from.is_some_and(|from| is_here(&from)) {
            return Ok(admin("local"));
        }
        Err(refuse(
            Code::Unauthenticated,
            "TOKEN_MISSING",
            "a token is needed here",
            "send `authorization: Bearer TOKEN` with one of grpc.tokens; cc-relay reads CC_RELAY_TOKEN",
        ))
    }

    /// Somebody on this machine, at the socket.
    fn neighbour(&self, unix: &UdsConnectInfo) -> Result<Caller, Status> {
        let uid = unix.peer_cred.map(|peer| peer.uid());
        match (uid, self.uid) {
            // The superuser could do it anyway.
            (Some(0), _) => Ok(admin("root")),
            (Some(uid), Some(ours)) if uid == ours => Ok(admin(&format!("uid {uid}"))),
            _ => Err(refuse(
                Code::PermissionDenied,
                "OTHER_USER",
                "this socket is another user's",
                "ask as the user who runs the relay",
            )),
        }
    }

    fn holder(&self, token: &str) -> Result<Caller, Status> {
        let digest = SecretDigest::of(token.as_bytes());
        let mut found = None;
        // All are compared, so that time tells nothing.
        for token in self.tokens.iter() {
            if token.secret.digest().matches(&digest) {
                found = Some(token);
            }
        }
        let token = found.ok_or_else(|| {
            refuse(
                Code::Unauthenticated,
                "TOKEN_UNKNOWN",
                "this token is not one of grpc.tokens",
                "check CC_RELAY_TOKEN against the relay's configuration",
            )
        })?;
        Ok(Caller {
            name: token.name.as_str().into(),
            role: token.role,
        })
    }
}

fn admin(name: &str) -> Caller {
    Caller {
        name: name.into(),
        role: GrpcRole::Admin,
    }
}

fn is_here(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn bearer(request: &Request<()>) -> Result<Option<String>, Status> {
    let Some(value) = request.metadata().get("authorization") else {
        return Ok(None);
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    });
    token.map(Some).ok_or_else(|| {
        refuse(
            Code::Unauthenticated,
            "TOKEN_MALFORMED",
            "the authorization is no bearer token",
            "send `authorization: Bearer TOKEN`",
        )
    })
}

/// Returns who calls.
pub(crate) fn of<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| {
        refuse(
            Code::Unauthenticated,
            "UNKNOWN",
            "nobody was let in",
            "connect again",
        )
    })
}

/// Returns who calls, if they may change something.
pub(crate) fn admin_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = of(request)?;
    match caller.role {
        GrpcRole::Admin => Ok(caller),
        GrpcRole::Read => Err(refuse(
            Code::PermissionDenied,
            "READ_ONLY",
            format!("`{}` may look and change nothing", caller.name),
            "use a token with role: admin",
        )),
    }
}
