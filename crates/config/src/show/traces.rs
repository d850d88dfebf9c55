//! Traces, written back as YAML.
//!
//! In: their plan. Out: lines under the keys of the file. A header's value is masked.

use super::{Page, masked, quoted};
use crate::plan::TracesPlan;

impl Page {
    pub(super) fn traces(&mut self, plan: &TracesPlan) {
        self.raw(0, "traces:");
        self.set(1, "enabled", plan.enabled);
        self.text(1, "endpoint", &plan.endpoint);
        self.set(1, "protocol", plan.protocol.as_str());
        self.set(1, "sample_percent", plan.sample_percent);
        if !plan.headers.is_empty() {
            self.raw(1, "headers:");
        }
        for header in &plan.headers {
            self.raw(2, &format!("- name: {}", quoted(&header.name)));
            self.text(3, "value", &masked(&header.value));
        }
        self.text(1, "service_name", &plan.service_name);
    }
}
