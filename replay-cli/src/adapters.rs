//! The adapters that Cargo features link into this program, and access to their engines' own HTTP routes, which [`Session`] does not cover.
use axum::Router;
use replay_core::session::Session;

// A crate that is never named in code is not linked, so its adapter would not be registered.
#[cfg(feature = "mistralrs")]
use replay_mistralrs as _;

/// The engine's own routes for a served model; `None` if the engine has none.
///
/// # Errors
/// If the engine's router cannot be built.
pub(crate) async fn engine_routes(session: &dyn Session, max_body_bytes: usize) -> anyhow::Result<Option<Router>> {
    #[cfg(feature = "mistralrs")]
    if let Some(router) = replay_mistralrs::server::routes(session, max_body_bytes).await? {
        return Ok(Some(router));
    }
    let _ = (session, max_body_bytes);
    Ok(None)
}

/// Whether a route of an engine changes the engine, or stores answers for as long as it runs.
pub(crate) fn is_admin_route(path: &str) -> bool {
    #[cfg(feature = "mistralrs")]
    if replay_mistralrs::server::ADMIN_ROUTES.contains(&path) {
        return true;
    }
    let _ = path;
    false
}
