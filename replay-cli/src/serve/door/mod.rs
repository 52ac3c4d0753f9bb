//! What every request passes first: its key, its body, and, on the way back, its errors.
pub(super) mod arrival;
pub(super) mod auth;
pub(super) mod normalize;
