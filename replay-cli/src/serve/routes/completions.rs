//! Text completions. A text has no image, so it is never replayed, and the report says so.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use replay_core::session::{Input, Request, Text};

use super::answer::answer;
use super::body::{Body, invalid};
use crate::serve::error::ApiError;
use crate::serve::openai::{Kind, read_options};
use crate::serve::shared::Shared;

pub(in crate::serve) async fn completions(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    completion(&shared, &body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn completion(shared: &Shared, body: &[u8]) -> Result<Response, ApiError> {
    let body = Body::read(shared, body)?;
    let fields = body.fields();
    let text = Text {
        text: fields.text("prompt")?.ok_or_else(|| invalid("`prompt` is missing").about("prompt"))?,
        suffix: fields.text("suffix")?,
        echo: fields.boolean("echo")?.unwrap_or(false),
        best_of: fields.count("best_of")?,
    };
    let mut request = Request::new(Input::Text(text));
    read_options(fields, false, &mut request)?;
    body.set_replay(&mut request);
    answer(&body, Kind::Text, request).await
}
