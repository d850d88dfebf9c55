//! What an upstream has beyond its address, written back as YAML.
//!
//! In: its plan. Out: lines under the keys of the file. A secret is masked.

use super::{Page, masked};
use crate::plan::{
    AwsPlan, AzurePlan, CloudPlan, GooglePlan, KeyPlace, ProviderPlan, RuntimePlan, VersionPlan,
};

impl Page {
    pub(super) fn dialect(&mut self, plan: &ProviderPlan) {
        if let Some(prefix) = &plan.model_prefix {
            self.text(2, "model_prefix", prefix);
        }
        if let Some(place) = plan.key_place {
            let place = match place {
                KeyPlace::ApiKey => "x-api-key",
                KeyPlace::Bearer => "bearer",
            };
            self.set(2, "key_header", place);
        }
        match &plan.version {
            Some(VersionPlan::Pass) => self.set(2, "anthropic_version", "pass"),
            Some(VersionPlan::Is(version)) => self.text(2, "anthropic_version", version),
            None => {}
        }
        if let Some(counts) = plan.counts_tokens {
            let who = if counts { "native" } else { "estimate" };
            self.set(2, "count_tokens", who);
        }
        match &plan.cloud {
            CloudPlan::None => {}
            CloudPlan::Aws(aws) => self.aws(aws),
            CloudPlan::Google(google) => self.google(google),
            CloudPlan::Azure(azure) => self.azure(azure),
        }
    }

    fn aws(&mut self, plan: &AwsPlan) {
        self.text(2, "aws_region", &plan.region);
        self.maybe("aws_profile", plan.profile.as_deref());
        if let Some(key) = &plan.access_key {
            self.text(2, "aws_access_key_id", &key.id);
            self.text(2, "aws_secret_access_key", &masked(&key.secret));
            if let Some(token) = &key.session_token {
                self.text(2, "aws_session_token", &masked(token));
            }
        }
        match &plan.runtime {
            RuntimePlan::Invoke => self.set(2, "runtime", "invoke"),
            RuntimePlan::Mantle => self.set(2, "runtime", "mantle"),
            RuntimePlan::Auto { mantle_base_url } => {
                self.set(2, "runtime", "auto");
                self.text(2, "mantle_base_url", mantle_base_url);
            }
        }
        self.maybe("workspace_id", plan.workspace.as_deref());
    }

    fn google(&mut self, plan: &GooglePlan) {
        self.text(2, "gcp_project_id", &plan.project);
        self.text(2, "gcp_region", &plan.location);
        self.maybe("workspace_id", plan.workspace.as_deref());
    }

    /// The resource's name went into `base_url`, which is shown.
    fn azure(&mut self, plan: &AzurePlan) {
        if let Some(application) = &plan.application {
            self.text(2, "azure_tenant_id", &application.tenant);
            self.text(2, "azure_client_secret", &masked(&application.secret));
        }
        self.maybe("azure_client_id", plan.client_id.as_deref());
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(2, key, value);
        }
    }
}
