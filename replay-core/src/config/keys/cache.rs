//! The table `[replay.cache]`: memory for what is reused by later prompts.

use super::super::key::Fallback;
use super::super::shape::Bytes;
use super::group::{Group, PartOf};
use super::settings::settings;

settings! {
    table "replay.cache": "What is kept of a prompt for later ones.";

    /// What is kept of a prompt for later ones.
    #[derive(Eq)]
    pub struct Cache, read as CacheSlots {
        /// The most memory for captured and learned activations; 0 keeps none.
        max_bytes: u64 {
            shape: Bytes { min: 0 },
            fallback: Fallback::Value("\"512MiB\""),
            part_of: PartOf::Listing,
        }
        /// The most memory for keys and values of prompts and answers, so that the next turn of a chat pays for its
        /// own tokens alone; 0 keeps none. An answer may then differ in the last bits, as fewer rows are multiplied
        /// at once.
        prefix_bytes: u64 {
            shape: Bytes { min: 0 },
            fallback: Fallback::Value("0"),
            part_of: PartOf::Listing,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::initial()
    }
}
