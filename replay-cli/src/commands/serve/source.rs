//! The sources of served models: one configuration file per model, or the engine's own file with the tables of replay.
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use replay_core::config::Config;
use replay_core::registry::{self, HostFile, HostServer};
use replay_core::session::{Session, SessionError};

use crate::commands::args::NamedFile;
use crate::commands::exit::InputError;
use crate::commands::open;
use crate::serve::{Served, ServedModel};

/// The source of the served models.
pub(super) enum Source {
    /// One configuration file per model.
    Pairs(Vec<(PathBuf, ServedModel)>),
    /// An engine's own file with the tables of replay.
    Host { file: PathBuf, host: &'static dyn HostFile, server: HostServer },
}

impl Source {
    pub(super) fn read(files: &[NamedFile]) -> anyhow::Result<Self> {
        for named in files {
            let Some(host) = host_of(&named.file)? else { continue };
            if files.len() > 1 || named.name.is_some() {
                let why = "the engine's own file names all models that are served: give it alone, and without a name";
                return Err(InputError(why.into()).into());
            }
            let server = host.server(&named.file)?;
            for key in &server.ignored {
                eprintln!("this server does not support {key}: it is ignored");
            }
            return Ok(Self::Host { file: named.file.clone(), host, server });
        }
        let mut models: Vec<(PathBuf, ServedModel)> = Vec::new();
        for named in files {
            let mut model = ServedModel::named_after(open::config(&named.file)?);
            if let Some(name) = &named.name {
                model.name.clone_from(name);
            }
            if let Some((other, _)) = models.iter().find(|(_, other)| other.name == model.name) {
                let (name, first, second) = (&model.name, other.display(), named.file.display());
                return Err(InputError(format!(
                    "{first} and {second} would both be called {name}: give one another name, --config NAME={second}"
                ))
                .into());
            }
            models.push((named.file.clone(), model));
        }
        Ok(Self::Pairs(models))
    }

    /// The address to listen on, if the command line gives none.
    pub(super) fn address(&self) -> anyhow::Result<(IpAddr, u16)> {
        match self {
            Self::Pairs(_) => Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), 8000)),
            Self::Host { server, .. } => {
                let host = if server.host == "localhost" { "127.0.0.1" } else { &server.host };
                let host = host.parse().map_err(|_| InputError(format!("server.host is no address: {host}")))?;
                Ok((host, server.port))
            }
        }
    }

    pub(super) async fn open(&self) -> Result<Served, SessionError> {
        match self {
            Self::Pairs(models) => {
                Served::open(&models.iter().map(|(_, model)| model.clone()).collect::<Vec<_>>()).await
            }
            Self::Host { file, host, .. } => Ok(Served::hosted(host.open(file).await?)),
        }
    }

    /// Reads the files again, and returns each configuration with the session that it applies to. Models without replay are left out.
    pub(super) fn read_again<'a>(&self, served: &'a Served) -> anyhow::Result<Vec<(&'a Arc<dyn Session>, Config)>> {
        let mut configs: Vec<(&Arc<dyn Session>, Config)> = match self {
            Self::Pairs(models) => {
                let mut configs = Vec::new();
                for (file, model) in models {
                    let config = open::config(file)?;
                    configs.extend(served.model(Some(&model.name)).map(|(_, session)| (session, config)));
                }
                configs
            }
            Self::Host { file, host, .. } => {
                // The engine's part of the file has to be valid too.
                host.server(file)?;
                let config = host.read(file)?;
                served.models().map(|(_, session)| (session, config.clone())).collect()
            }
        };
        configs.retain(|(session, _)| session.settings().is_some());
        Ok(configs)
    }
}

/// The reader of an engine's own file; `None` for a configuration file of replay.
fn host_of(path: &Path) -> anyhow::Result<Option<&'static dyn HostFile>> {
    let adapters = registry::adapters()?;
    Ok(adapters.into_iter().filter_map(|adapter| adapter.host_file()).find(|host| host.recognises(path)))
}
