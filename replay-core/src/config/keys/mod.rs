//! The keys of the file, one module per table. Each key is declared once: see [`settings`].

mod adapter;
mod cache;
mod gate;
pub(super) mod group;
mod learned;
mod pair;
mod rank;
mod replay;
mod rule;
pub(super) mod settings;
mod tables;

pub use cache::Cache;
pub use gate::Gate;
pub use learned::{Learned, Loss, Solver};
pub use pair::Pair;
pub use rank::{Keep, Rank};
pub use replay::{Alignment, OnError, Positions, Preset, Replay, Strategy};
pub use rule::Rule;

pub(super) use adapter::{read as read_adapter, read_in_host as read_adapter_in_host};
pub(super) use group::{Group, Slots};
pub(super) use replay::ReplaySlots;
pub(super) use tables::{TABLES, home_of};

pub(super) use super::key::Fallback;
