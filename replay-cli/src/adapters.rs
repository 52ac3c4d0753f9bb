//! The adapters that are linked into this program, by Cargo features, and the one thing besides [`Session`] that is asked of them: their
//! engine's own routes.
use axum::Router;
use replay_core::session::Session;

// A crate that is never named is not linked, and registers nothing.
#[cfg(feature = "mistralrs")]
use replay_mistralrs as _;

/// The engine's own routes for a served model; `None` if its adapter has none.
///
/// # Errors
/// If the engine's router cannot be built.
pub(crate) async fn engine_routes(session: &dyn Session, max_body: usize) -> anyhow::Result<Option<Router>> {
    #[cfg(feature = "mistralrs")]
    if let Some(router) = replay_mistralrs::server::routes(session, max_body).await? {
        return Ok(Some(router));
    }
    let _ = (session, max_body);
    Ok(None)
}

/// Routes of the engines that change them, or keep what was said for as long as they run.
pub(crate) fn is_admin_route(path: &str) -> bool {
    #[cfg(feature = "mistralrs")]
    if replay_mistralrs::server::ADMIN_ROUTES.contains(&path) {
        return true;
    }
    let _ = path;
    false
}
