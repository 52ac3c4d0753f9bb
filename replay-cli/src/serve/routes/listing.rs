//! Lists the served models.
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::serve::shared::Shared;

pub(in crate::serve) async fn all(State(shared): State<Arc<Shared>>) -> Response {
    // `default` names a model, too.
    let names = std::iter::once("default").chain(shared.served.names());
    let models: Vec<Value> = names.map(|name| entry(&shared, name)).collect();
    Json(json!({ "object": "list", "data": models })).into_response()
}

pub(in crate::serve) async fn one(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.model(Some(&name)) {
        Ok(_) => Json(entry(&shared, &name)).into_response(),
        Err(error) => error.into_response(),
    }
}

fn entry(shared: &Shared, name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": shared.started, "owned_by": "local" })
}
