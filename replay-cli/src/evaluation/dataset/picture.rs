//! The picture of an item: a file, or bytes that stand in the data set itself.
use std::path::PathBuf;
use std::sync::Arc;

/// An image of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemImage {
    /// An image file.
    File(PathBuf),
    /// The content of an image file.
    Bytes(Arc<[u8]>),
}
