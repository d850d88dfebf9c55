//! A provider that is more than one upstream.
//!
//! In: its plan. Out: a plan for each upstream, the one that is asked first in front.

use super::provider::{AwsPlan, CloudPlan, ProviderPlan, RuntimePlan};

/// One upstream of a provider.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its plan, under its own name.
    pub plan: ProviderPlan,
    /// The upstream that it stands in for.
    pub behind: Option<String>,
    /// Whether it is asked only for models that its interface surely has.
    pub limited: bool,
}

impl ProviderPlan {
    /// Returns the upstreams of this provider: one, but for Bedrock with `runtime: auto`, which is
    /// its Messages API, and behind it `InvokeModel` under the name with `/invoke`.
    pub fn variants(&self) -> Vec<Variant> {
        let with = |aws: &AwsPlan, runtime| {
            CloudPlan::Aws(AwsPlan {
                runtime,
                ..aws.clone()
            })
        };
        match &self.cloud {
            CloudPlan::Aws(aws) if let RuntimePlan::Auto { mantle_base_url } = &aws.runtime => {
                let mantle = Self {
                    base_url: mantle_base_url.clone(),
                    cloud: with(aws, RuntimePlan::Mantle),
                    ..self.clone()
                };
                let invoke = Self {
                    name: format!("{}/invoke", self.name),
                    cloud: with(aws, RuntimePlan::Invoke),
                    ..self.clone()
                };
                vec![
                    Variant {
                        plan: mantle,
                        behind: None,
                        limited: true,
                    },
                    Variant {
                        plan: invoke,
                        behind: Some(self.name.clone()),
                        limited: false,
                    },
                ]
            }
            CloudPlan::None | CloudPlan::Aws(_) | CloudPlan::Google(_) | CloudPlan::Azure(_) => {
                vec![Variant {
                    plan: self.clone(),
                    behind: None,
                    limited: false,
                }]
            }
        }
    }
}
