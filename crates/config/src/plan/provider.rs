//! The plan of an upstream.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use relay_core::secret::Secret;

use super::{HttpVersion, KeyPlan, PoolingPlan, ProxyPlan};

/// One upstream.
#[derive(Clone, Debug)]
pub struct ProviderPlan {
    /// Its name, unique in the file.
    pub name: String,
    /// Its dialect.
    pub kind: ProviderKind,
    /// Whether it takes traffic. Default true.
    pub enabled: bool,
    /// `http` or `https`, a host, maybe a path; no query, no slash at the end.
    pub base_url: String,
    /// The relay's own credentials for it. Empty: only the client's own is used.
    pub keys: Vec<KeyPlan>,
    /// How its keys are used together.
    pub pooling: PoolingPlan,
    /// Under the strategy failover the higher is tried first; equals in the order of the file.
    /// -1000 to 1000. Default 0.
    pub priority: i32,
    /// Its share of requests under the strategy weighted round robin, 1 to 1000. Default 1.
    pub weight: u32,
    /// Whose models it serves: thinking of another vendor's is foreign to it. Default: the name of
    /// its kind.
    pub vendor: String,
    /// What it takes of the list price, in percent, 0 to 1000. `None`: as its place has it.
    pub price_percent: Option<u32>,
    /// The models it serves, as names or patterns with one `*`. Empty: all.
    pub models: Vec<String>,
    /// The largest body it takes, in bytes. `None`: the server's bound alone.
    pub max_body_bytes: Option<usize>,
    /// Model names and patterns with the name to send in their place. The first that matches
    /// counts: names come before patterns, long patterns before short.
    pub model_mapping: Vec<(String, String)>,
    /// What stands before the names of its models. `None`: as its kind has it.
    pub model_prefix: Option<String>,
    /// Where its keys stand. `None`: as its kind wants it.
    pub key_place: Option<KeyPlace>,
    /// The version of the API it is asked in. `None`: as its kind wants it.
    pub version: Option<VersionPlan>,
    /// Whether it counts tokens. `None`: as its kind can.
    pub counts_tokens: Option<bool>,
    /// Where it is in a cloud, and who the relay is there.
    pub cloud: CloudPlan,
    /// Whether the client's own credential may be sent to it. Default true for Anthropic.
    pub accepts_client_credential: bool,
    /// Certificate authorities (PEM) to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy on the way to it. Default: what the environment says.
    pub proxy: ProxyPlan,
    /// How long a connection may take to stand, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// The HTTP version to speak. Default: what TLS negotiates.
    pub http_version: HttpVersion,
    /// Connections opened before the first request. Default 1.
    pub prewarm: usize,
    /// Idle connections kept. Default 64.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept. Default 55 s.
    pub idle_timeout: Duration,
}

impl ProviderPlan {
    /// Returns what it takes of the list price, in percent. Where a cloud answers out of one region
    /// that is 110, and 120 in AWS's regions for the government (`LiteLLM` 1.109.1, read 2026-11-23);
    /// names of models that name a geography are dearer by themselves.
    pub fn price_percent(&self) -> u32 {
        let by_place = match (self.kind, &self.cloud) {
            (ProviderKind::Bedrock, CloudPlan::Aws(aws)) if aws.region.starts_with("us-gov") => 120,
            (ProviderKind::Bedrock, CloudPlan::Aws(aws)) if aws.runtime == RuntimePlan::Mantle => {
                110
            }
            (ProviderKind::Vertex, CloudPlan::Google(google)) if google.location != "global" => 110,
            _ => 100,
        };
        self.price_percent.unwrap_or(by_place)
    }
}

/// The kind of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Anthropic's own API.
    Anthropic,
    /// Z.AI.
    Zai,
    /// `MiniMax`.
    Minimax,
    /// Moonshot's Kimi.
    Kimi,
    /// `DeepSeek`.
    Deepseek,
    /// `OpenRouter`.
    Openrouter,
    /// Ollama.
    Ollama,
    /// vLLM.
    Vllm,
    /// The server of llama.cpp.
    Llamacpp,
    /// LM Studio.
    Lmstudio,
    /// Anything else that speaks the Messages API.
    Custom,
    /// AWS Bedrock.
    Bedrock,
    /// Google's Vertex AI.
    Vertex,
    /// Azure AI Foundry.
    Azure,
    /// Claude Platform on AWS.
    ClaudeAws,
    /// Claude on Google Cloud, run by Anthropic.
    ClaudeGoogle,
}

impl ProviderKind {
    /// Returns the name used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Zai => "zai",
            Self::Minimax => "minimax",
            Self::Kimi => "kimi",
            Self::Deepseek => "deepseek",
            Self::Openrouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::Llamacpp => "llamacpp",
            Self::Lmstudio => "lmstudio",
            Self::Custom => "custom",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::Azure => "azure",
            Self::ClaudeAws => "claude_aws",
            Self::ClaudeGoogle => "claude_google",
        }
    }

    /// Returns where it is by default. `None`: that depends on other settings, or on the user.
    pub const fn base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Zai => Some("https://api.z.ai/api/anthropic"),
            Self::Minimax => Some("https://api.minimax.io/anthropic"),
            Self::Kimi => Some("https://api.moonshot.ai/anthropic"),
            Self::Deepseek => Some("https://api.deepseek.com/anthropic"),
            Self::Openrouter => Some("https://openrouter.ai/api"),
            Self::Ollama => Some("http://127.0.0.1:11434"),
            Self::Vllm => Some("http://127.0.0.1:8000"),
            Self::Llamacpp => Some("http://127.0.0.1:8080"),
            Self::Lmstudio => Some("http://127.0.0.1:1234"),
            Self::Custom
            | Self::Bedrock
            | Self::Vertex
            | Self::Azure
            | Self::ClaudeAws
            | Self::ClaudeGoogle => None,
        }
    }

    /// Returns whose models it serves by default: the clouds serve Anthropic's.
    pub const fn vendor(self) -> &'static str {
        match self {
            Self::Bedrock | Self::Vertex | Self::Azure | Self::ClaudeAws | Self::ClaudeGoogle => {
                "anthropic"
            }
            Self::Anthropic
            | Self::Zai
            | Self::Minimax
            | Self::Kimi
            | Self::Deepseek
            | Self::Openrouter
            | Self::Ollama
            | Self::Vllm
            | Self::Llamacpp
            | Self::Lmstudio
            | Self::Custom => self.as_str(),
        }
    }

    /// Returns whose interface it has, in the words of OpenTelemetry's `gen_ai.provider.name`; its own
    /// name where they have none (in development, read 2026-11-22).
    pub const fn convention(self) -> &'static str {
        match self {
            Self::Bedrock => "aws.bedrock",
            Self::Vertex => "gcp.vertex_ai",
            Self::Azure => "azure.ai.inference",
            Self::Kimi => "moonshot_ai",
            // Anthropic itself runs both.
            Self::ClaudeAws | Self::ClaudeGoogle => "anthropic",
            Self::Anthropic
            | Self::Zai
            | Self::Minimax
            | Self::Deepseek
            | Self::Openrouter
            | Self::Ollama
            | Self::Vllm
            | Self::Llamacpp
            | Self::Lmstudio
            | Self::Custom => self.as_str(),
        }
    }

    /// Tells whether it is a service that answers nobody without a key.
    pub const fn needs_keys(self) -> bool {
        matches!(
            self,
            Self::Zai | Self::Minimax | Self::Kimi | Self::Deepseek | Self::Openrouter
        )
    }

    /// Tells whether it answers without a key: a server of one's own.
    pub const fn answers_without_key(self) -> bool {
        matches!(
            self,
            Self::Ollama | Self::Vllm | Self::Llamacpp | Self::Lmstudio | Self::Custom
        )
    }

    /// Returns the longest body it takes, where that is less than Anthropic's: the vendors' pages
    /// on quotas (read 2026-11-22).
    pub const fn max_body_bytes(self) -> Option<usize> {
        match self {
            Self::Bedrock => Some(20_000_000),
            Self::Vertex => Some(30_000_000),
            Self::Anthropic
            | Self::Zai
            | Self::Minimax
            | Self::Kimi
            | Self::Deepseek
            | Self::Openrouter
            | Self::Ollama
            | Self::Vllm
            | Self::Llamacpp
            | Self::Lmstudio
            | Self::Custom
            | Self::Azure
            | Self::ClaudeAws
            | Self::ClaudeGoogle => None,
        }
    }
}

/// Where a key stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// `x-api-key`.
    ApiKey,
    /// `authorization: Bearer`.
    Bearer,
}

/// Which version of the API an upstream is asked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionPlan {
    /// The client's own.
    Pass,
    /// This one.
    Is(String),
}

/// Where an upstream is in a cloud, and who the relay is there.
#[derive(Clone, Debug)]
pub enum CloudPlan {
    /// In none.
    None,
    /// AWS.
    Aws(AwsPlan),
    /// Google.
    Google(GooglePlan),
    /// Azure.
    Azure(AzurePlan),
}

/// AWS.
#[derive(Clone, Debug)]
pub struct AwsPlan {
    /// The region.
    pub region: String,
    /// The profile of the shared configuration; `None` for the chain's own.
    pub profile: Option<String>,
    /// A fixed access key; `None` for the chain.
    pub access_key: Option<AccessKey>,
    /// Which of Bedrock's interfaces is spoken to.
    pub runtime: RuntimePlan,
    /// The workspace of Claude Platform.
    pub workspace: Option<String>,
}

/// Which of Bedrock's interfaces is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimePlan {
    /// `InvokeModel`.
    Invoke,
    /// The Messages API.
    Mantle,
    /// The Messages API where it has the model, else `InvokeModel`.
    Auto {
        /// Where the Messages API is.
        mantle_base_url: String,
    },
}

/// A fixed access key of AWS.
#[derive(Clone)]
pub struct AccessKey {
    /// Its id, which is no secret.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("secret", &self.secret.id())
            .field(
                "session_token",
                &self.session_token.as_ref().map(Secret::id),
            )
            .finish()
    }
}

/// Google.
#[derive(Clone, Debug)]
pub struct GooglePlan {
    /// The project.
    pub project: String,
    /// A region, `us`, `eu` or `global`.
    pub location: String,
    /// The workspace of Claude on Google Cloud.
    pub workspace: Option<String>,
}

/// An application registered with Entra ID.
#[derive(Clone)]
pub struct Application {
    /// Its tenant.
    pub tenant: String,
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("secret", &self.secret.id())
            .finish()
    }
}

/// Azure.
#[derive(Clone, Debug)]
pub struct AzurePlan {
    /// An application; `None` for the chain.
    pub application: Option<Application>,
    /// The managed identity to be; `None` for the machine's own.
    pub client_id: Option<String>,
}
