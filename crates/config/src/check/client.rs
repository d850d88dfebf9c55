//! The clients of a file: who may use the relay.
//!
//! In: the raw form of `server.auth`. Out: the credentials that are taken, each with a name of
//! its own. It must never let an absent credential pass for one that matches.

use std::collections::BTreeSet;

use relay_core::secret::Secret;

use super::Check;
use crate::plan::{AuthPlan, ClientKey, CredentialHeader};
use crate::raw;

impl Check<'_, '_> {
    pub(super) fn auth(&mut self, raw: raw::Auth, old_key: Option<String>) -> AuthPlan {
        let base = AuthPlan::default();
        let allow_bearer = raw.allow_bearer.unwrap_or(base.allow_bearer);
        let header = if allow_bearer {
            CredentialHeader::Any
        } else {
            CredentialHeader::ApiKey
        };
        let mut client_keys = Vec::new();
        let mut add = |name: &str, secret: Option<Secret>, header| {
            let name = name.to_owned();
            client_keys.extend(secret.map(|secret| ClientKey {
                name,
                secret,
                header,
            }));
        };
        if old_key.is_some() {
            self.old_api_key(raw.api_key.is_some());
        }
        add("default", self.secret(old_key, "server.api_key"), header);
        add(
            "default",
            self.secret(raw.api_key, "server.auth.api_key"),
            header,
        );
        if raw.bearer_secret.is_some() && !allow_bearer {
            let message = "`bearer_secret` can never match: `allow_bearer` is false".to_owned();
            let path = "server.auth.bearer_secret";
            self.fault(
                path,
                "config::conflict",
                message,
                "not read",
                "remove one of the two",
            );
        }
        let bearer = self.secret(raw.bearer_secret, "server.auth.bearer_secret");
        add("bearer", bearer, CredentialHeader::Bearer);
        let mut names = BTreeSet::from(["default".to_owned(), "bearer".to_owned()]);
        for (index, key) in raw.keys.into_iter().enumerate() {
            let path = format!("server.auth.keys[{index}]");
            if let Some((name, secret)) = self.named_key(key, &path, &mut names) {
                add(&name, Some(secret), header);
            }
        }
        AuthPlan {
            client_keys,
            allow_subscription: raw.allow_subscription.unwrap_or(base.allow_subscription),
            allow_bearer,
            allow_unauthenticated_remote: raw
                .allow_unauthenticated_remote
                .unwrap_or(base.allow_unauthenticated_remote),
        }
    }

    fn old_api_key(&mut self, has_new: bool) {
        if has_new {
            let message = "`server.api_key` and `server.auth.api_key` are one setting".to_owned();
            let help = "keep the one in `auth`";
            self.fault(
                "server.api_key",
                "config::conflict",
                message,
                "set twice",
                help,
            );
        } else {
            let message = "`server.api_key` is the older place of this key".to_owned();
            self.warn(message, "write it as `server.auth.api_key`");
        }
    }

    fn named_key(
        &mut self,
        key: raw::NamedKey,
        path: &str,
        names: &mut BTreeSet<String>,
    ) -> Option<(String, Secret)> {
        if self.walk.faults.iter().any(|fault| fault.path == path) {
            return None;
        }
        let name_path = format!("{path}.name");
        let name = self.needed(key.name, &name_path, "the name stands in logs and counts");
        if let Some(name) = &name {
            self.unique(names, name, &name_path, "client key");
        }
        let key_path = format!("{path}.key");
        if key.key.is_none() {
            self.needed(None, &key_path, "write it as ${NAME}");
        }
        let secret = self.secret(key.key, &key_path);
        Some((name?, secret?))
    }
}
