//! In front of the engines' own routes: images are looked at wherever in a body they are, and routes that change an engine are shut.
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tower::ServiceExt;

use crate::adapters;
use crate::serve::error::ApiError;
use crate::serve::media::{Kind, Source};
use crate::serve::openai::check_ranges;
use crate::serve::shared::Shared;

/// Hands a request on to the own routes of the engine of the model that it names.
pub(in crate::serve) async fn route(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    through(&shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn through(shared: &Shared, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path();
    if path.starts_with("/v1/responses") && !shared.options.admin {
        // An engine keeps every answer of this route for as long as it runs.
        let refusal = ApiError::invalid("route_refused", "this server has no responses API: use chat completions");
        return Err(refusal.with_status(StatusCode::NOT_FOUND));
    }
    if adapters::is_admin_route(path) && !shared.options.admin {
        let refusal = ApiError::invalid("admin_refused", "this server was started without the routes that change it");
        return Err(refusal.with_status(StatusCode::FORBIDDEN));
    }
    let (name, request) = match request.method() {
        &Method::POST => looked_at(shared, request).await?,
        _ => (shared.model(None)?.0, request),
    };
    let Some(router) = shared.engine_routes.get(name) else {
        return Err(ApiError::invalid("not_found", "there is no such route here").with_status(StatusCode::NOT_FOUND));
    };
    match router.clone().oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// The model that a body names, and the request with what was admitted in place of what it showed.
async fn looked_at(shared: &Shared, request: Request) -> Result<(&str, Request), ApiError> {
    let (mut parts, body) = request.into_parts();
    let unreadable = |_| ApiError::invalid("invalid_request", "the body cannot be read");
    let bytes = to_bytes(body, shared.options.max_body).await.map_err(unreadable)?;
    // What cannot be looked at does not pass: an engine's own reader skips what this one stumbles over.
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
    let named = ["model", "model_id"].iter().find_map(|field| value.get(*field)).and_then(Value::as_str);
    let (name, _) = shared.model(named)?;
    check_ranges(&value)?;
    admit_media(shared, &mut value).await?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok((name, Request::from_parts(parts, Body::from(value.to_string()))))
}

/// Replaces every image of a body by what was admitted of it; refuses all other media.
async fn admit_media(shared: &Shared, body: &mut Value) -> Result<(), ApiError> {
    let mut found = Vec::new();
    collect(body, &mut found);
    let mut sources = Vec::new();
    for (field, value) in &found {
        let url = value.as_str().ok_or_else(|| {
            ApiError::invalid("invalid_image_url", format!("`{field}` is a URL, or an object with a `url`"))
        })?;
        let Some((_, kind)) = Kind::of(field) else {
            let why = "this server takes images, and videos for models that see them, only";
            return Err(ApiError::invalid("unsupported_media", why));
        };
        sources.push(Source { kind, url: url.to_owned() });
    }
    let admitted = shared.media.urls(&sources).await?;
    for ((_, value), url) in found.into_iter().zip(admitted) {
        *value = Value::String(url);
    }
    Ok(())
}

/// Every value that names a medium: `{"image_url": "..."}` and `{"image_url": {"url": "..."}}`, at any depth.
fn collect<'a>(value: &'a mut Value, found: &mut Vec<(&'static str, &'a mut Value)>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let kind = ["image_url", "audio_url", "video_url", "file_url"].into_iter().find(|kind| kind == key);
                let Some(kind) = kind else {
                    collect(value, found);
                    continue;
                };
                let nested = value.get("url").is_some();
                found.push((kind, if nested { &mut value["url"] } else { value }));
            }
        }
        _ => {}
    }
}
