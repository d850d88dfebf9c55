//! The settings of an upstream in a cloud.
//!
//! In: their raw form. Out: where the upstream is and who the relay is there, and the address that
//! follows from it. A setting of another cloud is a fault: whoever wrote it expects an effect.

use super::Check;
use crate::plan::{
    AccessKey, Application, AwsPlan, AzurePlan, CloudPlan, GooglePlan, ProviderKind, RuntimePlan,
};

use crate::raw;

/// What a cloud's settings come to.
pub(super) struct Cloud {
    pub(super) plan: CloudPlan,
    /// The address, unless `base_url` says otherwise.
    pub(super) base_url: Option<String>,
}

impl Check<'_, '_> {
    pub(super) fn cloud(
        &mut self,
        raw: &mut raw::Provider,
        kind: ProviderKind,
        path: &str,
    ) -> Cloud {
        let families = [
            (
                "AWS",
                matches!(kind, ProviderKind::Bedrock | ProviderKind::ClaudeAws),
                aws_settings(raw),
            ),
            (
                "Google Cloud",
                matches!(kind, ProviderKind::Vertex | ProviderKind::ClaudeGoogle),
                google_settings(raw),
            ),
            ("Azure", kind == ProviderKind::Azure, azure_settings(raw)),
        ];
        for (family, is_its_own, settings) in families {
            for name in settings.into_iter().flatten().filter(|_| !is_its_own) {
                let at = format!("{path}.{name}");
                let message = format!("`{name}` means nothing to type {}", kind.as_str());
                let label = format!("a setting of {family}");
                let help = "remove it, or correct `type`";
                self.fault(&at, "config::conflict", message, &label, help);
            }
        }
        match kind {
            ProviderKind::Bedrock | ProviderKind::ClaudeAws => self.aws(raw, kind, path),
            ProviderKind::Vertex | ProviderKind::ClaudeGoogle => self.google(raw, kind, path),
            ProviderKind::Azure => self.azure(raw, path),
            ProviderKind::Anthropic
            | ProviderKind::Zai
            | ProviderKind::Minimax
            | ProviderKind::Kimi
            | ProviderKind::Deepseek
            | ProviderKind::Openrouter
            | ProviderKind::Ollama
            | ProviderKind::Vllm
            | ProviderKind::Llamacpp
            | ProviderKind::Lmstudio
            | ProviderKind::Custom => Cloud {
                plan: CloudPlan::None,
                base_url: kind.base_url().map(str::to_owned),
            },
        }
    }

    fn aws(&mut self, raw: &mut raw::Provider, kind: ProviderKind, path: &str) -> Cloud {
        let region_path = format!("{path}.aws_region");
        let region = self.needed(raw.aws_region.take(), &region_path, "such as us-east-1");
        let region = region
            .and_then(|it| self.label(it, &region_path))
            .unwrap_or_default();
        let runtime = self.runtime(raw, kind, &region, path);
        let workspace = if kind == ProviderKind::ClaudeAws {
            let at = format!("{path}.workspace_id");
            self.needed(raw.workspace_id.take(), &at, "the console shows it")
        } else {
            None
        };
        let access_key = self.access_key(raw, path);
        let base_url = match runtime {
            _ if kind == ProviderKind::ClaudeAws => {
                format!("https://aws-external-anthropic.{region}.api.aws")
            }
            RuntimePlan::Mantle => mantle(&region),
            RuntimePlan::Invoke | RuntimePlan::Auto { .. } => {
                format!("https://bedrock-runtime.{region}.amazonaws.com")
            }
        };
        Cloud {
            plan: CloudPlan::Aws(AwsPlan {
                region,
                profile: raw.aws_profile.take(),
                access_key,
                runtime,
                workspace,
            }),
            base_url: Some(base_url),
        }
    }

    /// Decides which interface of Bedrock is spoken to.
    fn runtime(
        &mut self,
        raw: &mut raw::Provider,
        kind: ProviderKind,
        region: &str,
        path: &str,
    ) -> RuntimePlan {
        let at = format!("{path}.mantle_base_url");
        let elsewhere = raw.mantle_base_url.take();
        let is_auto = match raw.runtime {
            Some(runtime) => runtime == raw::Runtime::Auto,
            None => kind == ProviderKind::Bedrock && raw.base_url.is_none(),
        };
        if !is_auto && elsewhere.is_some() {
            let message = "`mantle_base_url` means nothing without `runtime: auto`".to_owned();
            let help =
                "remove it, or write `runtime: auto`; with `runtime: mantle` it is `base_url`";
            let label = "nothing goes there";
            self.fault(&at, "config::conflict", message, label, help);
        }
        match raw.runtime {
            Some(raw::Runtime::Mantle) => RuntimePlan::Mantle,
            _ if is_auto => RuntimePlan::Auto {
                mantle_base_url: elsewhere
                    .and_then(|url| self.base_url_at(&url, &at))
                    .unwrap_or_else(|| mantle(region)),
            },
            _ => RuntimePlan::Invoke,
        }
    }

    /// Takes a fixed access key: id and secret, or neither.
    fn access_key(&mut self, raw: &mut raw::Provider, path: &str) -> Option<AccessKey> {
        let id_path = format!("{path}.aws_access_key_id");
        let secret_path = format!("{path}.aws_secret_access_key");
        if raw.aws_access_key_id.is_none() && raw.aws_secret_access_key.is_none() {
            return None;
        }
        let help = "both, or neither for the credential chain of AWS";
        let id = self.needed(raw.aws_access_key_id.take(), &id_path, help);
        if raw.aws_secret_access_key.is_none() {
            self.needed(None, &secret_path, help);
        }
        let secret = self.secret(raw.aws_secret_access_key.take(), &secret_path);
        let token_path = format!("{path}.aws_session_token");
        let token = self.secret(raw.aws_session_token.take(), &token_path);
        Some(AccessKey {
            id: id?,
            secret: secret?,
            session_token: token,
        })
    }

    fn google(&mut self, raw: &mut raw::Provider, kind: ProviderKind, path: &str) -> Cloud {
        let project_path = format!("{path}.gcp_project_id");
        let project = self.needed(
            raw.gcp_project_id.take(),
            &project_path,
            "the project to bill",
        );
        let project = project
            .and_then(|it| self.label(it, &project_path))
            .unwrap_or_default();
        let location = raw.gcp_region.take().unwrap_or_else(|| "global".to_owned());
        let location = self
            .label(location, &format!("{path}.gcp_region"))
            .unwrap_or_default();
        let workspace = if kind == ProviderKind::ClaudeGoogle {
            let at = format!("{path}.workspace_id");
            self.needed(raw.workspace_id.take(), &at, "the console shows it")
        } else {
            None
        };
        let base_url = match (&workspace, kind) {
            (Some(workspace), _) => format!(
                "https://claude.googleapis.com/v1/projects/{project}/locations/{location}/workspaces/{workspace}/invoke"
            ),
            (None, _) => match location.as_str() {
                "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
                "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
                region => format!("https://{region}-aiplatform.googleapis.com/v1"),
            },
        };
        Cloud {
            plan: CloudPlan::Google(GooglePlan {
                project,
                location,
                workspace,
            }),
            base_url: Some(base_url),
        }
    }

    fn azure(&mut self, raw: &mut raw::Provider, path: &str) -> Cloud {
        let name_path = format!("{path}.azure_resource_name");
        let resource = raw.azure_resource_name.take();
        let resource = if raw.base_url.is_none() || resource.is_some() {
            let help = "the name of the Foundry resource, or `base_url`";
            let resource = self.needed(resource, &name_path, help);
            resource.and_then(|it| self.label(it, &name_path))
        } else {
            None
        };
        if raw.azure_api_version.take().is_some() {
            let message = format!("`{path}.azure_api_version` is not sent: Foundry takes none");
            self.warn(message, "remove it");
        }
        let client_id = raw.azure_client_id.take();
        let application = match (raw.azure_tenant_id.take(), raw.azure_client_secret.take()) {
            (None, None) => None,
            (tenant, secret) => {
                let help =
                    "tenant, client id and secret, or none for the credential chain of Azure";
                let tenant = self.needed(tenant, &format!("{path}.azure_tenant_id"), help);
                let id_path = format!("{path}.azure_client_id");
                let id = self.needed(client_id.clone(), &id_path, help);
                let secret_path = format!("{path}.azure_client_secret");
                if secret.is_none() {
                    self.needed(None, &secret_path, help);
                }
                let secret = self.secret(secret, &secret_path);
                tenant
                    .zip(id)
                    .zip(secret)
                    .map(|((tenant, client_id), secret)| Application {
                        tenant,
                        client_id,
                        secret,
                    })
            }
        };
        let host = |name: String| format!("https://{name}.services.ai.azure.com/anthropic");
        Cloud {
            plan: CloudPlan::Azure(AzurePlan {
                application,
                client_id,
            }),
            base_url: resource.map(host),
        }
    }

    /// Returns a name that may stand in a host or a path.
    fn label(&mut self, name: String, path: &str) -> Option<String> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if !name.is_empty() && name.len() <= 128 && name.chars().all(good) {
            return Some(name);
        }
        let key = path.rsplit('.').next().unwrap_or(path);
        let message = format!("`{key}` must be letters, digits, `-`, `_`, `.` or `:`");
        let help = "as the console of the cloud shows it";
        self.fault(path, "config::bad_name", message, "not a plain name", help);
        None
    }
}

fn aws_settings(raw: &raw::Provider) -> Vec<Option<&'static str>> {
    vec![
        raw.aws_region.as_ref().map(|_| "aws_region"),
        raw.aws_profile.as_ref().map(|_| "aws_profile"),
        raw.aws_access_key_id.as_ref().map(|_| "aws_access_key_id"),
        raw.aws_secret_access_key
            .as_ref()
            .map(|_| "aws_secret_access_key"),
        raw.aws_session_token.as_ref().map(|_| "aws_session_token"),
        raw.runtime.map(|_| "runtime"),
        raw.mantle_base_url.as_ref().map(|_| "mantle_base_url"),
    ]
}

fn google_settings(raw: &raw::Provider) -> Vec<Option<&'static str>> {
    vec![
        raw.gcp_project_id.as_ref().map(|_| "gcp_project_id"),
        raw.gcp_region.as_ref().map(|_| "gcp_region"),
    ]
}

fn azure_settings(raw: &raw::Provider) -> Vec<Option<&'static str>> {
    vec![
        raw.azure_resource_name
            .as_ref()
            .map(|_| "azure_resource_name"),
        raw.azure_api_version.as_ref().map(|_| "azure_api_version"),
        raw.azure_tenant_id.as_ref().map(|_| "azure_tenant_id"),
        raw.azure_client_id.as_ref().map(|_| "azure_client_id"),
        raw.azure_client_secret
            .as_ref()
            .map(|_| "azure_client_secret"),
    ]
}

/// Returns where Bedrock's Messages API is in a region.
fn mantle(region: &str) -> String {
    format!("https://bedrock-mantle.{region}.api.aws/anthropic")
}
