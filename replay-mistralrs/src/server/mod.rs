//! The parts of the adapter that only a server uses: the engine's own routes and the models of its configuration file.
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

/// Reads the server settings of the engine's configuration file.
///
/// # Errors
/// If the file cannot be read, or asks for something that this program does not serve.
pub(crate) fn host_server(path: &Path) -> Result<HostServer, AttachError> {
    let (file, _) = EngineFile::read(path)?;
    let ignored = file.ignored_keys();
    Ok(HostServer { host: file.server.host, port: file.server.port, ignored })
}

/// Loads all models of the engine's file and attaches replay to the one that `pair.rlvr` names.
///
/// # Errors
/// If the engine does not start or the model cannot be replayed.
pub(crate) async fn load_models(path: &Path) -> Result<HostedModels, AttachError> {
    let (file, config) = EngineFile::read(path)?;
    let (engine, default, models) = start::start_engine(&file, &config).await?;
    let session = |(name, replay): (String, _)| -> Result<(String, Arc<dyn Session>), AttachError> {
        let session = MistralrsSession::from_engine(engine.clone(), &name, replay)?;
        Ok((name, Arc::new(session)))
    };
    let models = models.into_iter().map(session).collect::<Result<_, _>>()?;
    Ok(HostedModels { models, default })
}
