//! The keys of a list, before their values are checked.

use std::num::NonZeroUsize;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawList {
    #[serde(default)]
    pub(super) module: Vec<RawModule>,
    #[serde(default)]
    pub(super) fault: Vec<RawFault>,
    #[serde(default)]
    pub(super) edit: Vec<RawEdit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModule {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    pub(super) name: Spanned<String>,
    pub(super) what: Spanned<String>,
    #[serde(default)]
    pub(super) tests: Vec<Spanned<String>>,
    pub(super) mended: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEdit {
    pub(super) name: Spanned<String>,
    pub(super) why: Option<Spanned<String>>,
    pub(super) fault: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
    pub(super) file: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) files: Vec<Spanned<String>>,
    pub(super) anchor: Spanned<String>,
    pub(super) with: String,
    #[serde(default = "once")]
    pub(super) count: NonZeroUsize,
}

fn once() -> NonZeroUsize {
    NonZeroUsize::MIN
}
