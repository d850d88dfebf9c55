//! The management API, written back as YAML.
//!
//! In: its plan. Out: lines under the keys of the file. A token is masked.

use super::{Page, masked, quoted};
use crate::plan::GrpcPlan;

impl Page {
    pub(super) fn grpc(&mut self, plan: &GrpcPlan) {
        self.raw(0, "grpc:");
        self.set(1, "enabled", plan.enabled);
        self.text(1, "listen", &plan.listen.to_string());
        if let Some(address) = plan.web_listen {
            self.text(1, "web_listen", &address.to_string());
        }
        if !plan.tokens.is_empty() {
            self.raw(1, "tokens:");
        }
        for token in &plan.tokens {
            self.raw(2, &format!("- name: {}", quoted(&token.name)));
            self.text(3, "token", &masked(&token.secret));
            self.set(3, "role", token.role.as_str());
        }
        if let Some(tls) = &plan.tls {
            self.raw(1, "tls:");
            self.text(2, "cert_file", &tls.cert_file.display().to_string());
            self.text(2, "key_file", &tls.key_file.display().to_string());
            if let Some(path) = &tls.client_ca_file {
                self.text(2, "client_ca_file", &path.display().to_string());
            }
        }
    }
}
