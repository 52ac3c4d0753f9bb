//! `replay serve`
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use replay_core::config::Config;
use replay_mistralrs::serve::{ServeOptions, Served, ServedModel, router};
use replay_mistralrs::{AttachError, Attached, EngineFile, is_engine_file};

use super::args::{NamedFile, ServeArgs};
use super::exit::InputError;
use super::open;

pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let source = Source::read(&args.config)?;
    let (host, port) = source.address()?;
    let address = SocketAddr::new(args.host.unwrap_or(host), args.port.unwrap_or(port));
    let options = options(args)?;
    let progress = open::spinner("loading the models".into());
    let served = source.open().await;
    progress.finish_and_clear();
    let served = served?;
    for (name, replay) in served.models() {
        let how = replay.map_or("without replay".to_owned(), |replay| {
            let settings = replay.settings();
            let profiles: Vec<&str> = settings.profiles().collect();
            let more = if profiles.is_empty() { String::new() } else { format!("; profiles: {}", profiles.join(", ")) };
            format!("replay on ({}){more}", settings.replayer().settings().strategy)
        });
        println!("{name}: {how}");
    }
    reload_on_hangup(source, served.clone());
    let app = router(served, options).await?;
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

fn options(args: ServeArgs) -> anyhow::Result<ServeOptions> {
    let api_key = match &args.api_key_env {
        None => None,
        Some(name) => {
            let key = std::env::var(name).ok().filter(|key| !key.is_empty());
            Some(key.ok_or_else(|| InputError(format!("the environment variable {name} holds no API key")))?)
        }
    };
    let defaults = ServeOptions::default();
    Ok(ServeOptions {
        api_key,
        image_root: args.image_root,
        fetch: !args.no_fetch,
        private_addresses: args.private_addresses,
        max_body: args.max_body_mib.map_or(defaults.max_body, |mib| (mib as usize) << 20),
        max_image_bytes: args.max_body_mib.map_or(defaults.max_image_bytes, |mib| (mib as usize) << 20),
        max_pixels: args.max_pixels.unwrap_or(defaults.max_pixels),
        max_images: defaults.max_images,
        admin: args.admin,
    })
}

/// What the models come from.
enum Source {
    /// A file for each.
    Pairs(Vec<(PathBuf, ServedModel)>),
    /// The engine's own file, with our tables in it.
    Engine(PathBuf, Box<(EngineFile, Config)>),
}

impl Source {
    fn read(files: &[NamedFile]) -> anyhow::Result<Self> {
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
    fn address(&self) -> anyhow::Result<(IpAddr, u16)> {
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

    async fn open(&self) -> Result<Served, AttachError> {
        match self {
            Self::Pairs(models) => {
                Served::open(&models.iter().map(|(_, model)| model.clone()).collect::<Vec<_>>()).await
            }
            Self::Engine(_, read) => Served::from_engine_file(&read.0, &read.1).await,
        }
    }

    /// The files as they are now, each with the replay that it is for.
    fn again<'a>(&self, served: &'a Served) -> anyhow::Result<Vec<(&'a Attached, Config)>> {
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

/// A hang-up signal has the files read again: all of them are checked before any takes effect, and a bad one changes nothing.
fn reload_on_hangup(source: Source, served: Served) {
    #[cfg(unix)]
    tokio::spawn(async move {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            match reload(&source, &served) {
                Ok(()) => eprintln!("the configuration was read again"),
                Err(error) => eprintln!("the configuration stays as it was: {error:#}"),
            }
        }
    });
    #[cfg(not(unix))]
    let _ = (source, served);
}

fn reload(source: &Source, served: &Served) -> anyhow::Result<()> {
    let replayed = source.again(served)?;
    // Once to see whether all of them can, and only then for good.
    for (replay, config) in &replayed {
        replay.check_reload(config)?;
    }
    for (replay, config) in &replayed {
        replay.reload(config)?;
    }
    Ok(())
}

/// Interrupt or termination: no new requests, and those that run are answered.
async fn stopped() {
    signalled().await;
    eprintln!("finishing what runs; a second signal, or {} s, end it", GRACE.as_secs());
    // A connection that never sends its request would keep the server alive for ever.
    tokio::spawn(async {
        tokio::select! { () = signalled() => {}, () = tokio::time::sleep(GRACE) => {} }
        std::process::exit(0);
    });
}

/// How long running requests may take after a signal to stop.
const GRACE: Duration = Duration::from_secs(120);

async fn signalled() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = interrupt => {}, () = terminate => {} }
}
