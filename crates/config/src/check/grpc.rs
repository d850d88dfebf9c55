//! The management API, and who may use it.
//!
//! In: its raw form. Out: its plan. It changes what the relay does, so it is open to nobody by
//! accident: beyond this machine only with TLS, and with a token or a certificate.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Check;
use crate::plan::{GrpcListen, GrpcPlan, GrpcRole, GrpcTls, GrpcToken};
use crate::raw;

/// The longest path that every system has for a Unix socket: macOS 104 bytes, the last one zero
/// (`sys/un.h`).
const LONGEST_SOCKET: usize = 103;
/// What cannot be guessed: 16 characters of 64 are 96 bits.
const LEAST_TOKEN: usize = 16;

impl Check<'_, '_> {
    pub(super) fn grpc(&mut self, raw: raw::Grpc) -> GrpcPlan {
        let base = GrpcPlan::default();
        let listen = raw.listen.and_then(|text| self.grpc_listen(&text));
        let web = raw.web_listen;
        let web_listen = web.and_then(|text| self.listen(&text, "grpc.web_listen"));
        let plan = GrpcPlan {
            enabled: raw.enabled.unwrap_or(base.enabled),
            listen: listen.unwrap_or(base.listen),
            web_listen,
            tokens: self.grpc_tokens(raw.tokens),
            tls: raw.tls.and_then(|tls| self.grpc_tls(tls)),
        };
        if let GrpcListen::Tcp(address) = plan.listen {
            self.guarded(&plan, address, "grpc.listen");
        }
        if let Some(address) = plan.web_listen {
            self.guarded(&plan, address, "grpc.web_listen");
            if plan.enabled && plan.tokens.is_empty() && address.ip().is_loopback() {
                let message = "`grpc.web_listen` needs `grpc.tokens`".to_owned();
                let label = "any page in a browser could ask there";
                let help = "add a token, or remove the line";
                self.fault(
                    "grpc.web_listen",
                    "config::open_relay",
                    message,
                    label,
                    help,
                );
            }
        }
        plan
    }

    fn grpc_listen(&mut self, text: &str) -> Option<GrpcListen> {
        if text == "auto" {
            return Some(GrpcListen::Beside);
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return self.listen(text, "grpc.listen").map(GrpcListen::Tcp);
        };
        if Path::new(path).is_absolute() && path.len() <= LONGEST_SOCKET {
            return Some(GrpcListen::Unix(PathBuf::from(path)));
        }
        let message = "`listen` names no Unix socket".to_owned();
        let label = "a path from the root on, of at most 103 bytes";
        let help = "such as unix:/run/cc-relay/manage.sock";
        self.fault("grpc.listen", "config::bad_address", message, label, help);
        None
    }

    /// Faults an address that others can reach where nobody has to show who they are.
    fn guarded(&mut self, plan: &GrpcPlan, address: SocketAddr, path: &str) {
        if !plan.enabled || address.ip().is_loopback() {
            return;
        }
        let asks_for_certificates = plan
            .tls
            .as_ref()
            .is_some_and(|it| it.client_ca_file.is_some());
        let is_guarded = !plan.tokens.is_empty() || asks_for_certificates;
        if plan.tls.is_none() || !is_guarded {
            let message =
                format!("`{path}` is open to other machines without TLS and a credential");
            let label = "others could read and change everything";
            let help =
                "set grpc.tls with grpc.tokens or grpc.tls.client_ca_file; or listen on 127.0.0.1";
            self.fault(path, "config::open_relay", message, label, help);
        }
    }

    fn grpc_tokens(&mut self, raw: Vec<raw::GrpcToken>) -> Vec<GrpcToken> {
        let mut tokens: Vec<GrpcToken> = Vec::new();
        let mut names = BTreeSet::new();
        for (index, token) in raw.into_iter().enumerate() {
            let path = format!("grpc.tokens[{index}]");
            if self.walk.faults.iter().any(|fault| fault.path == path) {
                continue;
            }
            let name_path = format!("{path}.name");
            let name = self.needed(token.name, &name_path, "the name stands in the audit");
            if let Some(name) = &name {
                self.unique(&mut names, name, &name_path, "token");
            }
            let token_path = format!("{path}.token");
            let value = self.needed(token.token, &token_path, "write it as ${NAME}");
            let Some((name, secret)) = name.zip(self.secret(value, &token_path)) else {
                continue;
            };
            if secret.expose().len() < LEAST_TOKEN {
                let message = "the token is too short".to_owned();
                let help = "make one: openssl rand -base64 24";
                self.fault(
                    &token_path,
                    "config::bad_credential",
                    message,
                    "under 16 characters",
                    help,
                );
            }
            if tokens
                .iter()
                .any(|it| it.secret.digest().matches(&secret.digest()))
            {
                let message = "the token is another one's".to_owned();
                let help = "give each a token of its own";
                self.fault(
                    &token_path,
                    "config::duplicate_key",
                    message,
                    "the same",
                    help,
                );
            }
            let role = match token.role {
                Some(raw::Role::Admin) => GrpcRole::Admin,
                Some(raw::Role::Read) | None => GrpcRole::Read,
            };
            tokens.push(GrpcToken { name, secret, role });
        }
        tokens
    }

    fn grpc_tls(&mut self, raw: raw::GrpcTls) -> Option<GrpcTls> {
        let help = "`tls` needs both `cert_file` and `key_file`, two PEM files";
        let cert = self.needed(raw.cert_file, "grpc.tls.cert_file", help);
        let key = self.needed(raw.key_file, "grpc.tls.key_file", help);
        let cert_file = self.file(cert, "grpc.tls.cert_file");
        let key_file = self.file(key, "grpc.tls.key_file");
        Some(GrpcTls {
            cert_file: cert_file?,
            key_file: key_file?,
            client_ca_file: self.file(raw.client_ca_file, "grpc.tls.client_ca_file"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::load::{Format, parse};
    use crate::plan::{GrpcListen, GrpcRole};

    fn read(text: &str) -> Result<crate::Plan, Vec<(&'static str, String)>> {
        let env = HashMap::from([
            ("LONG".to_owned(), "token-0123456789abcdef".to_owned()),
            ("SHORT".to_owned(), "token".to_owned()),
            ("CERT".to_owned(), "Cargo.toml".to_owned()),
        ]);
        parse("c", &format!("grpc: {text}"), Format::Yaml, &env).map_err(|faults| {
            let named = faults.iter().map(|fault| (fault.code, fault.path.clone()));
            named.collect()
        })
    }

    #[test]
    fn without_a_word_it_is_there_for_its_user_alone() {
        let plan = read("{}").unwrap().grpc;
        assert!(plan.enabled && plan.tokens.is_empty());
        assert_eq!(plan.listen, GrpcListen::Beside);
    }

    #[test]
    fn tokens_have_roles_and_are_not_shown() {
        let plan = read(
            "{listen: '127.0.0.1:9090', tokens: [{name: ops, token: '${LONG}', role: admin}]}",
        );
        let plan = plan.unwrap();
        assert_eq!(plan.grpc.tokens[0].role, GrpcRole::Admin);
        for said in [format!("{plan:?}"), crate::show(&plan)] {
            assert!(!said.contains("token-0123"), "{said}");
        }
        let settings = crate::settings(&plan);
        assert!(settings["grpc.tokens[ops].token"].starts_with("(digest "));
    }

    #[test]
    fn it_is_open_to_nobody_by_accident() {
        let tls = "tls: {cert_file: '${CERT}', key_file: '${CERT}'}";
        let token = "tokens: [{name: a, token: '${LONG}'}]";
        let ca = "tls: {cert_file: '${CERT}', key_file: '${CERT}', client_ca_file: '${CERT}'}";
        for (text, expected) in [
            ("{listen: '0.0.0.0:9090'}".to_owned(), Some("grpc.listen")),
            (
                format!("{{listen: '0.0.0.0:9090', {token}}}"),
                Some("grpc.listen"),
            ),
            (
                format!("{{listen: '0.0.0.0:9090', {tls}}}"),
                Some("grpc.listen"),
            ),
            (
                format!("{{web_listen: '0.0.0.0:9091', {tls}}}"),
                Some("grpc.web_listen"),
            ),
            (format!("{{listen: '0.0.0.0:9090', {tls}, {token}}}"), None),
            (format!("{{listen: '0.0.0.0:9090', {ca}}}"), None),
            ("{listen: '127.0.0.1:9090'}".to_owned(), None),
            (
                "{web_listen: '127.0.0.1:9091'}".to_owned(),
                Some("grpc.web_listen"),
            ),
            (format!("{{web_listen: '127.0.0.1:9091', {token}}}"), None),
            ("{enabled: false, listen: '0.0.0.0:9090'}".to_owned(), None),
        ] {
            let faults = read(&text).err().unwrap_or_default();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|path| ("config::open_relay", path.to_owned()))
                .collect();
            assert_eq!(faults, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, code, path) in [
            ("{listen: 'unix:run.sock'}", "config::bad_address", "listen"),
            ("{listen: somewhere}", "config::bad_address", "listen"),
            (
                "{tokens: [{name: a, token: '${SHORT}'}]}",
                "config::bad_credential",
                "tokens[0].token",
            ),
            (
                "{tokens: [{name: a}]}",
                "config::missing_key",
                "tokens[0].token",
            ),
            (
                "{tokens: [{name: a, token: '${LONG}'}, {name: b, token: '${LONG}'}]}",
                "config::duplicate_key",
                "tokens[1].token",
            ),
            (
                "{tls: {cert_file: '${CERT}'}}",
                "config::missing_key",
                "tls.key_file",
            ),
        ] {
            let faults = read(text).unwrap_err();
            assert_eq!(faults, [(code, format!("grpc.{path}"))], "{text}");
        }
    }
}
