//! What only a server needs of this engine: its own routes, and its own configuration file.
mod engine_file;
mod models;
mod routes;
mod start;

use std::path::Path;
use std::sync::Arc;

use replay_core::registry::{HostServer, HostedModels};
use replay_core::session::Session;

use crate::error::AttachError;
use crate::session::MistralrsSession;

use engine_file::EngineFile;
pub use routes::{ADMIN_ROUTES, routes};

/// What the engine's file says of a server.
///
/// # Errors
/// If the file cannot be read or served.
pub(crate) fn host_server(path: &Path) -> Result<HostServer, AttachError> {
    let (file, _) = EngineFile::read(path)?;
    let ignored = file.left_out();
    Ok(HostServer { host: file.server.host, port: file.server.port, ignored })
}

/// Loads all models of the engine's file, and replays the one that is the RLVR model of our part.
///
/// # Errors
/// What keeps the engine from starting, or the model from being replayed.
pub(crate) async fn open(path: &Path) -> Result<HostedModels, AttachError> {
    let (file, config) = EngineFile::read(path)?;
    let (engine, default, models) = start::start(&file, &config).await?;
    let session = |(name, replay): (String, _)| -> Result<(String, Arc<dyn Session>), AttachError> {
        let session = MistralrsSession::of_engine(engine.clone(), &name, replay)?;
        Ok((name, Arc::new(session)))
    };
    let models = models.into_iter().map(session).collect::<Result<_, _>>()?;
    Ok(HostedModels { models, default })
}
