//! Fetches images over HTTP, from addresses that were checked first.
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use url::Url;

use super::network::is_public;
use super::{Media, too_large};
use crate::serve::error::ApiError;

const TIMEOUT: Duration = Duration::from_secs(15);
const MAX_REDIRECTS: usize = 3;

impl Media {
    pub(super) async fn fetch_url(&self, mut url: Url) -> Result<Vec<u8>, ApiError> {
        if !self.fetch {
            return Err(ApiError::invalid("fetch_refused", "this server fetches no images: send them as data: URLs"));
        }
        for _ in 0..=MAX_REDIRECTS {
            let response = self.client(&url).await?.get(url.clone()).send().await.map_err(|_| unreachable_image())?;
            if response.status().is_redirection() {
                let location = response.headers().get("location").and_then(|to| to.to_str().ok());
                let next =
                    location.and_then(|to| url.join(to).ok()).filter(|to| matches!(to.scheme(), "http" | "https"));
                url = next.ok_or_else(unreachable_image)?;
                continue;
            }
            if !response.status().is_success() {
                return Err(unreachable_image());
            }
            return self.body(response).await;
        }
        Err(ApiError::invalid("too_many_redirects", format!("an image URL may redirect {MAX_REDIRECTS} times")))
    }

    /// A client that can reach the checked addresses only, since the name could resolve to others the next time.
    async fn client(&self, url: &Url) -> Result<reqwest::Client, ApiError> {
        let (host, port) = (url.host_str().unwrap_or(""), url.port_or_known_default().unwrap_or(80));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = tokio::net::lookup_host((bare, port)).await.map_err(|_| unreachable_image())?;
        let addresses: Vec<SocketAddr> = resolved.collect();
        if addresses.is_empty() {
            return Err(unreachable_image());
        }
        if !self.private && addresses.iter().any(|address| !is_public(address.ip())) {
            return Err(ApiError::invalid("address_refused", "this server fetches images from public addresses only"));
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .resolve_to_addrs(host, &addresses)
            .build();
        client.map_err(|e| ApiError::engine(&e))
    }

    async fn body(&self, response: reqwest::Response) -> Result<Vec<u8>, ApiError> {
        if response.content_length().is_some_and(|length| length > self.max_bytes as u64) {
            return Err(too_large(self.max_bytes));
        }
        let mut bytes = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| unreachable_image())?);
            if bytes.len() > self.max_bytes {
                return Err(too_large(self.max_bytes));
            }
        }
        Ok(bytes)
    }
}

fn unreachable_image() -> ApiError {
    ApiError::invalid("image_unreachable", "the image could not be fetched")
}
