//! Terraform's calls: decoded, handed to what they are about, encoded.
//!
//! `known`: what this run knows of; `plan`, `state`, `calls`: what it does. Every call has an answer: what goes wrong is told in it.

mod calls;
mod known;
mod plan;
mod state;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use self::known::{Known, decode};
use crate::diagnostic::{Diagnostic, Diagnostics, wire};
use crate::environment;
use crate::guard::guarded;
use crate::settings;
use crate::wire::provider::provider_server::Provider;
use crate::wire::provider::*;

/// The provider.
pub struct Plugin(Arc<Known>);

impl Plugin {
    /// A provider that has not been configured.
    pub fn new() -> Self {
        Self(Arc::new(Known::new()))
    }
}

impl Default for Plugin {
    fn default() -> Self {
        Self::new()
    }
}

/// Whatever was found wrong, or what went wrong while it was looked for.
fn told(outcome: Result<Diagnostics, Diagnostic>) -> Vec<crate::wire::provider::Diagnostic> {
    wire(outcome.unwrap_or_else(|problem| vec![problem]))
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Provider for Plugin {
    async fn get_provider_schema(&self, _: Request<SchemaRequest>) -> Answer<SchemaResponse> {
        Ok(Response::new(self.0.schemas()))
    }

    async fn validate_provider_config(
        &self,
        _: Request<ValidateProviderRequest>,
    ) -> Answer<ValidateProviderResponse> {
        // What it says is judged with the environment, when it is used.
        Ok(Response::new(ValidateProviderResponse::default()))
    }

    async fn validate_resource_config(
        &self,
        request: Request<ValidateRequest>,
    ) -> Answer<ValidateResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let validated = guarded(async move {
            let resource = known.resource(&request.type_name)?;
            let config = decode(resource.schema(), request.config.as_ref())?;
            Ok(resource.validate(&config))
        });
        let diagnostics = told(validated.await.and_then(|outcome| outcome));
        Ok(Response::new(ValidateResponse { diagnostics }))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<ValidateRequest>,
    ) -> Answer<ValidateResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let validated = guarded(async move {
            let source = known.source(&request.type_name)?;
            let config = decode(source.schema(), request.config.as_ref())?;
            Ok(source.validate(&config))
        });
        let diagnostics = told(validated.await.and_then(|outcome| outcome));
        Ok(Response::new(ValidateResponse { diagnostics }))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Answer<UpgradeResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let upgraded = guarded(async move { state::upgrade(&known, &request) });
        Ok(Response::new(upgraded.await.unwrap_or_else(|problem| {
            UpgradeResponse {
                upgraded_state: None,
                diagnostics: wire(vec![problem]),
            }
        })))
    }

    async fn configure_provider(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Answer<ConfigureResponse> {
        let request = request.into_inner();
        let configured = decode(&settings::schema(), request.config.as_ref())
            .and_then(|config| settings::read(&config, environment::variable))
            .map(|settings| self.0.connection.configure(settings));
        let diagnostics = told(configured.map(|()| Vec::new()));
        Ok(Response::new(ConfigureResponse { diagnostics }))
    }

    async fn read_resource(&self, request: Request<ReadRequest>) -> Answer<ReadResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let before = request.current_state.clone();
        let read = guarded(async move { state::read(&known, &request).await });
        Ok(Response::new(read.await.unwrap_or_else(|problem| {
            ReadResponse {
                new_state: before,
                diagnostics: wire(vec![problem]),
                private: Vec::new(),
            }
        })))
    }

    async fn plan_resource_change(&self, request: Request<PlanRequest>) -> Answer<PlanResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let proposed = request.proposed_new_state.clone();
        let planned = guarded(async move { plan::plan(&known, &request).await });
        Ok(Response::new(planned.await.unwrap_or_else(|problem| {
            PlanResponse {
                planned_state: proposed,
                diagnostics: wire(vec![problem]),
                ..PlanResponse::default()
            }
        })))
    }

    async fn apply_resource_change(&self, request: Request<ApplyRequest>) -> Answer<ApplyResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let before = request.prior_state.clone();
        let applied = guarded(async move { plan::apply(&known, &request).await });
        Ok(Response::new(applied.await.unwrap_or_else(|problem| {
            ApplyResponse {
                new_state: before,
                diagnostics: wire(vec![problem]),
                ..ApplyResponse::default()
            }
        })))
    }

    async fn import_resource_state(
        &self,
        request: Request<ImportRequest>,
    ) -> Answer<ImportResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let imported = guarded(async move { state::import(&known, &request) });
        Ok(Response::new(imported.await.unwrap_or_else(|problem| {
            ImportResponse {
                imported_resources: Vec::new(),
                diagnostics: wire(vec![problem]),
            }
        })))
    }

    async fn read_data_source(
        &self,
        request: Request<ReadDataRequest>,
    ) -> Answer<ReadDataResponse> {
        let (known, request) = (self.0.clone(), request.into_inner());
        let read = guarded(async move { state::look(&known, &request).await });
        let (state, diagnostics) = match read.await {
            Ok(Ok(state)) => (Some(state), Vec::new()),
            Ok(Err(problems)) => (None, problems),
            Err(problem) => (None, vec![problem]),
        };
        Ok(Response::new(ReadDataResponse {
            state,
            diagnostics: wire(diagnostics),
        }))
    }

    async fn get_functions(&self, _: Request<FunctionsRequest>) -> Answer<FunctionsResponse> {
        Ok(Response::new(FunctionsResponse {
            functions: self.0.functions(),
            diagnostics: Vec::new(),
        }))
    }

    async fn call_function(&self, request: Request<CallRequest>) -> Answer<CallResponse> {
        Ok(Response::new(
            calls::call(self.0.clone(), request.into_inner()).await,
        ))
    }

    async fn stop_provider(&self, _: Request<StopRequest>) -> Answer<StopResponse> {
        // What waits gives up; what is being written is written.
        self.0.connection.stop();
        Ok(Response::new(StopResponse::default()))
    }
}
