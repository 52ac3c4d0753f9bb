//! The bodies of the OpenAI API: reads a [`Request`](replay_core::session::Request) from JSON, and writes an answer as JSON.
mod fields;
mod messages;
mod options;
mod ranges;
mod response;

pub(super) use fields::Fields;
pub(super) use messages::read as read_messages;
pub(super) use options::read as read_options;
pub(super) use ranges::check as check_ranges;
pub(super) use response::{Identity, Kind};
