//! States: upgraded, read, imported; and data sources, looked at. Owns nothing.

use super::known::{Known, decode, encode};
use crate::diagnostic::{Diagnostic, Diagnostics, wire};
use crate::schema::conform;
use crate::value::Value;
use crate::value::json::from_json;
use crate::wire::provider::{
    DynamicValue, ImportRequest, ImportResponse, ImportedResource, ReadDataRequest, ReadRequest,
    ReadResponse, UpgradeRequest, UpgradeResponse,
};

/// A state that was kept, as JSON: attributes that it lacks are null in it, and those that
/// there are no more are left out.
pub(super) fn upgrade(known: &Known, request: &UpgradeRequest) -> UpgradeResponse {
    let upgraded = || {
        let schema = known.resource(&request.type_name)?.schema();
        let raw = request.raw_state.as_ref();
        let json = raw.map_or(&[][..], |raw| &raw.json);
        let kept = serde_json::from_slice(json);
        let kept: serde_json::Value = kept
            .map_err(|error| Diagnostic::error(format!("the state cannot be read: {error}"), ""))?;
        let fitted = conform::object(&schema.attributes, from_json(&kept));
        Ok(encode(schema, fitted))
    };
    match upgraded() {
        Ok(state) => UpgradeResponse {
            upgraded_state: Some(state),
            diagnostics: Vec::new(),
        },
        Err(problem) => UpgradeResponse {
            upgraded_state: None,
            diagnostics: wire(vec![problem]),
        },
    }
}

/// What there is of a state.
pub(super) async fn read(known: &Known, request: &ReadRequest) -> ReadResponse {
    let read = async {
        let resource = known
            .resource(&request.type_name)
            .map_err(|error| vec![error])?;
        let schema = resource.schema();
        let state = decode(schema, request.current_state.as_ref()).map_err(|error| vec![error])?;
        let found = resource.read(&known.connection, &state).await?;
        Ok::<_, Diagnostics>(encode(schema, found.map_or(Value::Null, Value::Map)))
    };
    let (new_state, diagnostics) = match read.await {
        Ok(state) => (Some(state), Vec::new()),
        Err(problems) => (request.current_state.clone(), problems),
    };
    ReadResponse {
        new_state,
        diagnostics: wire(diagnostics),
        private: Vec::new(),
    }
}

/// The state of something that others have made; what there is of it is read next.
pub(super) fn import(known: &Known, request: &ImportRequest) -> ImportResponse {
    let imported = || {
        let resource = known.resource(&request.type_name)?;
        let state = resource.import(&request.id)?;
        Ok::<_, Diagnostic>(encode(resource.schema(), Value::Map(state)))
    };
    match imported() {
        Ok(state) => ImportResponse {
            imported_resources: vec![ImportedResource {
                type_name: request.type_name.clone(),
                state: Some(state),
            }],
            diagnostics: Vec::new(),
        },
        Err(problem) => ImportResponse {
            imported_resources: Vec::new(),
            diagnostics: wire(vec![problem]),
        },
    }
}

/// What a data source shows.
pub(super) async fn look(
    known: &Known,
    request: &ReadDataRequest,
) -> Result<DynamicValue, Diagnostics> {
    let source = known
        .source(&request.type_name)
        .map_err(|error| vec![error])?;
    let schema = source.schema();
    let config = decode(schema, request.config.as_ref()).map_err(|error| vec![error])?;
    let found = source.read(&known.connection, &config).await?;
    Ok(encode(schema, Value::Map(found)))
}
