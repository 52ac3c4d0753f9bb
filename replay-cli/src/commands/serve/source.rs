//! What `replay serve` serves: a file for each model, or the engine's own file with our tables in it.
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use replay_cli::serve::{EngineFile, Served, ServedModel};
use replay_core::config::Config;
use replay_mistralrs::{AttachError, Attached, is_engine_file};

use crate::args::NamedFile;
use crate::exit::InputError;
use crate::open;

/// What the models come from.
pub(super) enum Source {
    /// A file for each.
    Pairs(Vec<(PathBuf, ServedModel)>),
    /// The engine's own file, with our tables in it.
    Engine(PathBuf, Box<(EngineFile, Config)>),
}

impl Source {
    pub(super) fn read(files: &[NamedFile]) -> anyhow::Result<Self> {
        if let Some(engines) = files.iter().find(|named| is_engine_file(&named.file)) {
            if files.len() > 1 || engines.name.is_some() {
                let why = "the engine's own file names all models that are served: give it alone, and without a name";
                return Err(InputError(why.into()).into());
            }
            let read = EngineFile::read(&engines.file)?;
            for key in read.0.left_out() {
                eprintln!("{key} is not done by this server and is passed over");
            }
            return Ok(Self::Engine(engines.file.clone(), Box::new(read)));
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

    /// Where to listen, if the command does not say.
    pub(super) fn address(&self) -> anyhow::Result<(IpAddr, u16)> {
        match self {
            Self::Pairs(_) => Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), 8000)),
            Self::Engine(_, read) => {
                let server = &read.0.server;
                let host = if server.host == "localhost" { "127.0.0.1" } else { &server.host };
                let host = host.parse().map_err(|_| InputError(format!("server.host is no address: {host}")))?;
                Ok((host, server.port))
            }
        }
    }

    pub(super) async fn open(&self) -> Result<Served, AttachError> {
        match self {
            Self::Pairs(models) => {
                Served::open(&models.iter().map(|(_, model)| model.clone()).collect::<Vec<_>>()).await
            }
            Self::Engine(_, read) => Served::from_engine_file(&read.0, &read.1).await,
        }
    }

    /// The files as they are now, each with the replay that it is for.
    pub(super) fn again<'a>(&self, served: &'a Served) -> anyhow::Result<Vec<(&'a Attached, Config)>> {
        let read = match self {
            Self::Pairs(models) => {
                let read =
                    |(file, model): &(PathBuf, ServedModel)| Ok((served.model(Some(&model.name)), open::config(file)?));
                models.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?
            }
            Self::Engine(file, _) => {
                let (_, config) = EngineFile::read(file)?;
                served.models().map(|model| (Some(model), config.clone())).collect()
            }
        };
        Ok(read.into_iter().filter_map(|(model, config)| Some((model?.1?, config))).collect())
    }
}
