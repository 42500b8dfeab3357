//! Plans, and what is applied of them. Owns nothing.

use super::known::{Known, decode, encode};
use crate::diagnostic::{Diagnostic, Diagnostics, wire};
use crate::resource::{Resource, protected};
use crate::schema::plan::propose;
use crate::value::Value;
use crate::wire::provider::attribute_path::{Step, step::Selector};
use crate::wire::provider::{
    ApplyRequest, ApplyResponse, AttributePath, PlanRequest, PlanResponse,
};

/// Plans a change.
pub(super) async fn plan(known: &Known, request: &PlanRequest) -> PlanResponse {
    match planned(known, request).await {
        Ok(response) => response,
        Err(problem) => PlanResponse {
            planned_state: request.proposed_new_state.clone(),
            diagnostics: wire(vec![problem]),
            ..PlanResponse::default()
        },
    }
}

async fn planned(known: &Known, request: &PlanRequest) -> Result<PlanResponse, Diagnostic> {
    let resource = known.resource(&request.type_name)?;
    let schema = resource.schema();
    let prior = decode(schema, request.prior_state.as_ref())?;
    let proposed = decode(schema, request.proposed_new_state.as_ref())?;
    if proposed.is_null() {
        return Ok(PlanResponse {
            planned_state: request.proposed_new_state.clone(),
            diagnostics: wire(protected(&prior).into_iter().collect()),
            ..PlanResponse::default()
        });
    }
    let config = decode(schema, request.config.as_ref())?;
    let mut proposal = propose(schema, &prior, &config);
    let told = resource
        .plan(&known.connection, &prior, &mut proposal)
        .await;
    let replaces = proposal.replaces.iter().map(|name| AttributePath {
        steps: vec![Step {
            selector: Some(Selector::AttributeName((*name).to_owned())),
        }],
    });
    Ok(PlanResponse {
        requires_replace: replaces.collect(),
        planned_state: Some(encode(schema, Value::Map(proposal.planned))),
        planned_private: Vec::new(),
        diagnostics: wire(told),
    })
}

/// Applies what is planned.
pub(super) async fn apply(known: &Known, request: &ApplyRequest) -> ApplyResponse {
    let applied = applied(known, request).await;
    applied.unwrap_or_else(|problem| ApplyResponse {
        new_state: request.prior_state.clone(),
        private: Vec::new(),
        diagnostics: wire(vec![problem]),
    })
}

async fn applied(known: &Known, request: &ApplyRequest) -> Result<ApplyResponse, Diagnostic> {
    let resource = known.resource(&request.type_name)?;
    let schema = resource.schema();
    let prior = decode(schema, request.prior_state.as_ref())?;
    let planned = decode(schema, request.planned_state.as_ref())?;
    let (state, told) = change(known, resource, &prior, &planned).await;
    Ok(ApplyResponse {
        new_state: Some(encode(schema, state)),
        private: Vec::new(),
        diagnostics: wire(told),
    })
}

/// What there is afterwards: as planned, or as it was before if that failed.
async fn change(
    known: &Known,
    resource: &dyn Resource,
    prior: &Value,
    planned: &Value,
) -> (Value, Diagnostics) {
    let on = &known.connection;
    let done = match planned {
        Value::Map(planned) if prior.is_null() => resource.create(on, planned).await,
        Value::Map(planned) => resource.update(on, prior, planned).await,
        _ => {
            if let Some(problem) = protected(prior) {
                return (prior.clone(), vec![problem]);
            }
            return match resource.remove(on, prior).await {
                Ok(()) => (Value::Null, Vec::new()),
                Err(problems) => (prior.clone(), problems),
            };
        }
    };
    match done {
        Ok((state, told)) => (Value::Map(state), told),
        Err(problems) => (prior.clone(), problems),
    }
}
