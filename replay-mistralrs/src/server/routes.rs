//! The engine's own HTTP routes for the models that it serves.
use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use mistralrs_core::{MistralRs, ModelCategory};
use mistralrs_server_core::mistralrs_server_router_builder::MistralRsServerRouterBuilder;
use replay_core::session::Session;
use serde_json::Value;

use crate::session::MistralrsSession;

/// Routes that change the engine, or store conversations for as long as it runs.
pub const ADMIN_ROUTES: [&str; 6] =
    ["/re_isq", "/v1/models/unload", "/v1/models/reload", "/v1/models/tune", "/v1/system/doctor", "/v1/responses"];

/// Builds the engine's own routes for one served model, with at most `max_body` bytes per request. Requests are rewritten to the engine's
/// name for the model. `None` if the session belongs to another adapter.
///
/// # Errors
/// If the engine's router cannot be built.
pub async fn routes(session: &dyn Session, max_body: usize) -> anyhow::Result<Option<Router>> {
    let Some(session) = (session as &dyn Any).downcast_ref::<MistralrsSession>() else { return Ok(None) };
    let engine = session.engine().clone();
    let model = session.model().to_owned();
    let router = MistralRsServerRouterBuilder::new()
        .with_mistralrs(engine.clone())
        .with_max_body_limit(max_body)
        .build()
        .await?;
    let rename = move |request, next| rewrite_model_name(engine.clone(), model.clone(), max_body, request, next);
    Ok(Some(router.layer(from_fn(rename))))
}

/// Writes the engine's name of the model into the request, and refuses a route that the model does not support, on which the engine would fail.
async fn rewrite_model_name(
    engine: Arc<MistralRs>,
    model: String,
    max_body: usize,
    request: Request,
    next: Next,
) -> Response {
    if !supports_route(&engine, &model, request.uri().path()) {
        return (StatusCode::BAD_REQUEST, UNSUPPORTED_ROUTE).into_response();
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, max_body).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) if value.get("model").is_some() => {
            value["model"] = Value::from(model);
            parts.headers.remove(axum::http::header::CONTENT_LENGTH);
            Body::from(value.to_string())
        }
        _ => Body::from(bytes),
    };
    next.run(Request::from_parts(parts, body)).await
}

/// The error of a route that the model does not support, in the format of the OpenAI API.
const UNSUPPORTED_ROUTE: &str = r#"{"error":{"message":"this model does not support this route","type":"invalid_request_error","param":"model","code":"unsuited_model"}}"#;

/// Whether the model is of the kind that the route is for.
fn supports_route(engine: &MistralRs, model: &str, path: &str) -> bool {
    let category = || engine.get_model_category(Some(model));
    match path {
        "/v1/embeddings" => matches!(category(), Ok(ModelCategory::Embedding)),
        "/v1/images/generations" => matches!(category(), Ok(ModelCategory::Diffusion)),
        "/v1/audio/speech" => matches!(category(), Ok(ModelCategory::Speech)),
        _ => true,
    }
}
