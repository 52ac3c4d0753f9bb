//! In front of the engine's own routes: images are looked at wherever in a body they are, and routes that change the engine are shut.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use mistralrs_core::ModelCategory;
use serde_json::Value;

use super::media::Kind;
use super::{ApiError, Shared, asked, sampling};

const ADMIN: [&str; 5] = ["/re_isq", "/v1/models/unload", "/v1/models/reload", "/v1/models/tune", "/v1/system/doctor"];

/// Of all images of one request, once decoded.
const MAX_DECODED: u64 = 1 << 30;
/// For all images of one request.
const DEADLINE: Duration = Duration::from_secs(30);
/// Images of one request that are fetched at a time.
const AT_A_TIME: usize = 8;

pub(super) async fn inspect(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/v1/responses") && !shared.options.admin {
        // The engine keeps every answer of this route for as long as it runs.
        let refusal = ApiError::invalid("route_refused", "this server has no responses API: use chat completions");
        return refusal.with_status(StatusCode::NOT_FOUND).into_response();
    }
    if ADMIN.contains(&request.uri().path()) && !shared.options.admin {
        let refusal = ApiError::invalid("admin_refused", "this server was started without the routes that change it");
        return refusal.with_status(StatusCode::FORBIDDEN).into_response();
    }
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match looked_at(&shared, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn looked_at(shared: &Shared, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let unreadable = |_| ApiError::invalid("invalid_request", "the body cannot be read");
    let bytes = to_bytes(body, shared.options.max_body).await.map_err(unreadable)?;
    // What cannot be looked at does not pass: the engine's own reader skips what this one stumbles over.
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
    let named = value.get("model").and_then(Value::as_str);
    let (name, _) = asked::model(shared, named)?;
    suits(shared, parts.uri.path(), name)?;
    sampling::check(&value)?;
    admit_media(shared, &mut value, 1, false).await?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Body::from(value.to_string())))
}

/// Refuses what is asked of a model of another kind, on which the engine would fail.
fn suits(shared: &Shared, path: &str, name: &str) -> Result<(), ApiError> {
    let category = || shared.served.engine().get_model_category(Some(name));
    let suits = match path {
        "/v1/embeddings" => matches!(category(), Ok(ModelCategory::Embedding)),
        "/v1/images/generations" => matches!(category(), Ok(ModelCategory::Diffusion)),
        "/v1/audio/speech" => matches!(category(), Ok(ModelCategory::Speech)),
        _ => true,
    };
    let refusal = || ApiError::invalid("unsuited_model", "this model cannot do what this route is for").about("model");
    if suits { Ok(()) } else { Err(refusal()) }
}

/// Replaces every image of a body, and every video for a model that sees them, by what was admitted of it; refuses all else.
/// They will be decoded `times` times.
pub(super) async fn admit_media(
    shared: &Shared,
    body: &mut Value,
    times: u64,
    sees_videos: bool,
) -> Result<(), ApiError> {
    let mut found = Vec::new();
    collect(body, &mut found);
    let images = found.iter().filter(|(kind, _)| Kind::of(kind).is_some()).count();
    if images > shared.options.max_images {
        return Err(ApiError::invalid(
            "too_many_images",
            format!("a request may have {} images and videos, not {images}", shared.options.max_images),
        ));
    }
    let mut sources = Vec::new();
    for (kind, source) in &found {
        let text = source.as_str().ok_or_else(|| {
            ApiError::invalid("invalid_image_url", format!("`{kind}` is a URL, or an object with a `url`"))
        })?;
        let refused = |why| Err(ApiError::invalid("unsupported_media", why));
        match Kind::of(kind) {
            Some(Kind::Video) if !sees_videos => {
                return refused("this model sees no videos here: send frames as images");
            }
            Some(kind) => sources.push((kind, text.to_owned())),
            None => return refused("this server takes images, and videos for models that see them, only"),
        }
    }
    let admitted = tokio::time::timeout(DEADLINE, all(shared, sources, times));
    let late =
        |_| ApiError::invalid("images_too_slow", format!("the images did not come within {} s", DEADLINE.as_secs()));
    for ((_, source), image) in found.into_iter().zip(admitted.await.map_err(late)??) {
        *source = Value::String(image);
    }
    Ok(())
}

/// Some at a time, in order.
async fn all(shared: &Shared, sources: Vec<(Kind, String)>, times: u64) -> Result<Vec<String>, ApiError> {
    let one = |(kind, source): (Kind, String)| async move { shared.media.admit(kind, &source).await };
    let mut admitted = futures::stream::iter(sources.into_iter().map(one)).buffered(AT_A_TIME);
    let (mut images, mut bytes) = (Vec::new(), 0u64);
    while let Some(next) = admitted.next().await {
        let (image, decoded) = next?;
        bytes = bytes.saturating_add(decoded.saturating_mul(times));
        if bytes > MAX_DECODED {
            return Err(ApiError::invalid("images_too_large", "the images of one request are too large together"));
        }
        images.push(image);
    }
    Ok(images)
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
