//! The middleware of all routes: checks the API key, reads the body, and normalises errors.
pub(super) mod arrival;
pub(super) mod auth;
pub(super) mod normalize;
