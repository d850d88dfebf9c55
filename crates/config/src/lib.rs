//! Configuration of cc-relay: a file becomes a checked [`Plan`], or a list of every fault in it.
//!
//! In: YAML or TOML text and an [`Env`] for `${VAR}`. Out: a [`Plan`], typed and ready to
//! assemble, or [`Faults`], each with file, line, column, path, caret and help. The way is
//! text -> spanned tree (`tree`) -> raw form by its JSON Schema (`walk`, `raw`) -> plan (`check`).
//! It must never stop at the first fault, ignore a key, or show a credential.

mod check;
mod diff;
mod edit;
mod expand;
mod fault;
mod keychain;
mod load;
mod mask;
mod not_built;
mod overrides;
mod plan;
mod raw;
mod schema;
mod seal;
mod show;
mod source;
mod tree;
mod walk;

pub use diff::{Change, Settings, compare, diff, settings};
pub use edit::{CheckText, Edit, EditError, NewKey};
pub use fault::{Fault, Faults, SnippetLine};
pub use keychain::Refused;
pub use load::{Env, Format, ProcessEnv, default_path, load, parse, server};
pub use overrides::{Override, OverrideError, Overrides};
pub use plan::{
    AccessKey, AffinityMode, AffinityPlan, Application, AuthPlan, AwsPlan, AzurePlan, BreakerPlan,
    ClientKey, CloudPlan, CredentialHeader, DebugPlan, FilePlan, GooglePlan, GrpcListen, GrpcPlan,
    GrpcRole, GrpcTls, GrpcToken, HealthCheckPlan, HealthPlan, HistoryPlan, HttpVersion, KeyPlace,
    KeyPlan, LimitsPlan, LogFormat, LogLevel, LoggingPlan, MetricsPlan, ModelRule, Plan,
    PoolingPlan, ProviderKind, ProviderPlan, ProxyPlan, RoutingPlan, RuntimePlan, SelectionPlan,
    ServerPlan, StrategyPlan, TlsPlan, TraceHeader, TraceProtocol, TracesPlan, TriggerPlan,
    Variant, VersionPlan, Warning,
};
pub use schema::schema;
pub use seal::{UnknownMark, seal, unseal};
pub use show::show;

/// The commented starter that `config init` writes.
pub const TEMPLATE: &str = include_str!("template.yaml");
