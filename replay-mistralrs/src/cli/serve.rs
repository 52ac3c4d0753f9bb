//! `replay serve`
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use replay_mistralrs::serve::{ServeOptions, Served, ServedModel, router};

use super::args::ServeArgs;
use super::exit::InputError;
use super::open;

pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut models: Vec<ServedModel> = Vec::new();
    for file in &args.config {
        let model = ServedModel::named_after(open::config(file)?);
        if models.iter().any(|other| other.name == model.name) {
            return Err(InputError(format!("two models would be called {}", model.name)).into());
        }
        models.push(model);
    }
    let api_key = match &args.api_key_env {
        None => None,
        Some(name) => {
            let key = std::env::var(name).ok().filter(|key| !key.is_empty());
            Some(key.ok_or_else(|| InputError(format!("the environment variable {name} holds no API key")))?)
        }
    };
    let defaults = ServeOptions::default();
    let options = ServeOptions {
        api_key,
        image_root: args.image_root,
        fetch: !args.no_fetch,
        private_addresses: args.private_addresses,
        max_body: args.max_body_mib.map_or(defaults.max_body, |mib| (mib as usize) << 20),
        max_image_bytes: args.max_body_mib.map_or(defaults.max_image_bytes, |mib| (mib as usize) << 20),
        max_pixels: args.max_pixels.unwrap_or(defaults.max_pixels),
        max_images: defaults.max_images,
        admin: args.admin,
    };
    let progress = open::spinner("loading the models".into());
    let served = Served::open(&models).await;
    progress.finish_and_clear();
    let served = served?;
    for model in &models {
        let replay = served.model(Some(&model.name)).and_then(|(_, replay)| replay);
        let how = replay.map_or("without replay".to_owned(), |replay| {
            let settings = replay.settings();
            let profiles: Vec<&str> = settings.profiles().collect();
            let more = if profiles.is_empty() { String::new() } else { format!("; profiles: {}", profiles.join(", ")) };
            format!("replay on ({}){more}", model.config.replay.strategy)
        });
        println!("{}: {how}", model.name);
    }
    reload_on_hangup(args.config.clone(), models, served.clone());
    let app = router(served, options).await?;
    let address = SocketAddr::new(args.host, args.port);
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

/// A hang-up signal has the files read again: all of them are checked before any takes effect, and a bad one changes nothing.
fn reload_on_hangup(files: Vec<PathBuf>, models: Vec<ServedModel>, served: Served) {
    #[cfg(unix)]
    tokio::spawn(async move {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            match reload(&files, &models, &served) {
                Ok(()) => eprintln!("the configuration was read again"),
                Err(error) => eprintln!("the configuration stays as it was: {error:#}"),
            }
        }
    });
    #[cfg(not(unix))]
    let _ = (files, models, served);
}

fn reload(files: &[PathBuf], models: &[ServedModel], served: &Served) -> anyhow::Result<()> {
    let configs = files.iter().map(|file| open::config(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let replayed: Vec<_> = models
        .iter()
        .zip(&configs)
        .filter_map(|(model, config)| Some((served.model(Some(&model.name))?.1?, config)))
        .collect();
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
