//! One model by its name, as the engine lists them all.
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Shared, asked};

pub(super) async fn one(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match asked::model(&shared, Some(&name)) {
        Ok(_) => {
            let created = shared.served.engine().get_creation_time();
            Json(json!({ "id": name, "object": "model", "created": created, "owned_by": "local" })).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
