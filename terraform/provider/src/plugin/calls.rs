//! What there is, listed; and functions, called. Owns nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::known::Known;
use crate::call::CallError;
use crate::settings;
use crate::value::{Value, msgpack};
use crate::wire::provider::{
    CallRequest, CallResponse, DynamicValue, Function, FunctionError, SchemaResponse,
    ServerCapabilities,
};

impl Known {
    /// Every schema.
    pub(super) fn schemas(&self) -> SchemaResponse {
        let resources = self.resources.iter();
        let sources = self.sources.iter();
        SchemaResponse {
            provider: Some(settings::schema().wire()),
            resource_schemas: resources
                .map(|one| (one.name().to_owned(), one.schema().wire()))
                .collect(),
            data_source_schemas: sources
                .map(|one| (one.name().to_owned(), one.schema().wire()))
                .collect(),
            diagnostics: Vec::new(),
            // What is protected is refused when it is planned to go.
            server_capabilities: Some(ServerCapabilities { plan_destroy: true }),
            functions: self.functions(),
        }
    }

    /// Every function.
    pub(super) fn functions(&self) -> HashMap<String, Function> {
        let calls = self.calls.iter();
        calls
            .map(|call| (call.name.to_owned(), call.wire()))
            .collect()
    }
}

/// Calls a function, on a thread that may take its time.
pub(super) async fn call(known: Arc<Known>, request: CallRequest) -> CallResponse {
    let called = tokio::task::spawn_blocking(move || compute(&known, &request));
    let computed = called.await.unwrap_or_else(|_| {
        let problem = "the provider has failed: please report it".to_owned();
        let argument = None;
        Err(CallError { argument, problem })
    });
    match computed {
        Ok(value) => CallResponse {
            result: Some(DynamicValue {
                msgpack: msgpack::encode(&value),
                json: Vec::new(),
            }),
            error: None,
        },
        Err(CallError { argument, problem }) => CallResponse {
            result: None,
            error: Some(FunctionError {
                text: problem,
                function_argument: argument.and_then(|at| i64::try_from(at).ok()),
            }),
        },
    }
}

fn compute(known: &Known, request: &CallRequest) -> Result<Value, CallError> {
    let mut calls = known.calls.iter();
    let call = calls.find(|call| call.name == request.name);
    let call = call.ok_or_else(|| CallError {
        argument: None,
        problem: format!("there is no function {}", request.name),
    })?;
    let arguments = request.arguments.iter().enumerate();
    let arguments = arguments.map(|(at, argument)| {
        msgpack::decode(&argument.msgpack).map_err(|error| CallError {
            argument: Some(at),
            problem: error.to_string(),
        })
    });
    (call.body)(&arguments.collect::<Result<Vec<_>, _>>()?)
}
