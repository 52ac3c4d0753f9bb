//! The table `[pair]`: the two models.

use super::super::key::Fallback;
use super::super::shape::Text;
use super::group::PartOf;
use super::settings::settings;

settings! {
    table "pair": "The two models. Hub id or directory; a relative directory counts from the folder of this file.";

    /// The two models, as hub ids or directories, exactly as written in the file.
    #[derive(Eq)]
    pub struct Pair, read as PairSlots {
        /// The post-trained model: the one that is served.
        rlvr: String {
            shape: Text,
            fallback: Fallback::Required,
            part_of: PartOf::Neither,
        }
        /// The model it was trained from. The same as `rlvr` is allowed and must change nothing: a self-test.
        base: String {
            shape: Text,
            fallback: Fallback::Required,
            part_of: PartOf::Neither,
        }
    }
}
