//! Forwards requests to the engines' own routes. Images are loaded and checked wherever they are in a body, and administrative routes are
//! closed by default.
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

/// Forwards a request to the engine's own routes of the model that it names.
pub(in crate::serve) async fn route(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    forward(&shared, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn forward(shared: &Shared, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path();
    if path.starts_with("/v1/responses") && !shared.options.admin {
        // The engine stores every answer of this route for as long as it runs.
        let error = ApiError::invalid("route_refused", "this server has no responses API: use chat completions");
        return Err(error.with_status(StatusCode::NOT_FOUND));
    }
    if adapters::is_admin_route(path) && !shared.options.admin {
        let error = ApiError::invalid("admin_refused", "this server was started without the routes that change it");
        return Err(error.with_status(StatusCode::FORBIDDEN));
    }
    let (name, request) = match request.method() {
        &Method::POST => check_body(shared, request).await?,
        _ => (shared.model(None)?.0, request),
    };
    let Some(router) = shared.engine_routes.get(name) else {
        return Err(ApiError::invalid("not_found", "there is no such route here").with_status(StatusCode::NOT_FOUND));
    };
    match router.clone().oneshot(request).await {
        Ok(response) => Ok(under_served_name(response, name).await),
        Err(never) => match never {},
    }
}

/// The answer with the model's name here: some engines answer with the model's directory.
async fn under_served_name(response: Response, name: &str) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The engine has the whole answer in memory already.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) if value.get("model").is_some_and(Value::is_string) => {
            value["model"] = Value::from(name);
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(value.to_string())
        }
        _ => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}

/// Checks the body of a request, and returns the model that it names and the request with its images as data URLs.
async fn check_body(shared: &Shared, request: Request) -> Result<(&str, Request), ApiError> {
    let (mut parts, body) = request.into_parts();
    let unreadable = |_| ApiError::invalid("invalid_request", "the body cannot be read");
    let bytes = to_bytes(body, shared.options.max_body_bytes).await.map_err(unreadable)?;
    // A body that is not valid JSON is refused, since the engine's more tolerant reader could find images in it that were not checked.
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
    let named = ["model", "model_id"].iter().find_map(|field| value.get(*field).filter(|value| !value.is_null()));
    let named = match named {
        None => None,
        Some(Value::String(name)) => Some(name.as_str()),
        Some(_) => return Err(ApiError::invalid("invalid_request", "`model` is a text").about("model")),
    };
    let (name, _) = shared.model(named)?;
    check_ranges(&value)?;
    embed_media(shared, &mut value).await?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok((name, Request::from_parts(parts, Body::from(value.to_string()))))
}

/// Replaces every image URL of a body by a data URL with the checked image, and refuses all other media.
async fn embed_media(shared: &Shared, body: &mut Value) -> Result<(), ApiError> {
    let mut references = Vec::new();
    collect(body, &mut references);
    let mut sources = Vec::new();
    for (field, value) in &references {
        let url = value.as_str().ok_or_else(|| {
            ApiError::invalid("invalid_image_url", format!("`{field}` is a URL, or an object with a `url`"))
        })?;
        let Some((_, kind)) = Kind::of(field) else {
            let message = "this server takes images, and videos for models that see them, only";
            return Err(ApiError::invalid("unsupported_media", message));
        };
        sources.push(Source { kind, url: url.to_owned() });
    }
    let urls = shared.media.data_urls(&sources).await?;
    for ((_, value), url) in references.into_iter().zip(urls) {
        *value = Value::String(url);
    }
    Ok(())
}

/// Collects every value that refers to a medium: `{"image_url": "..."}` and `{"image_url": {"url": "..."}}`, at any depth.
fn collect<'a>(value: &'a mut Value, references: &mut Vec<(&'static str, &'a mut Value)>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| collect(item, references)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let kind = ["image_url", "audio_url", "video_url", "file_url"].into_iter().find(|kind| kind == key);
                let Some(kind) = kind else {
                    collect(value, references);
                    continue;
                };
                let nested = value.get("url").is_some();
                references.push((kind, if nested { &mut value["url"] } else { value }));
            }
        }
        _ => {}
    }
}
