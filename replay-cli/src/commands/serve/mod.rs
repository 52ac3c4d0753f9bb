//! `replay serve`
mod reload;
mod source;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::serve::{Reload, ServeOptions, router};
use anyhow::Context;
use axum::middleware::from_fn_with_state;

use self::source::Source;
use super::args::ServeArgs;
use super::exit::InputError;
use super::open;

pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let source = Arc::new(Source::read(&args.config)?);
    let (host, port) = source.address()?;
    let address = SocketAddr::new(args.host.unwrap_or(host), args.port.unwrap_or(port));
    if args.admin && args.api_key_env.is_none() && !address.ip().is_loopback() {
        let why = format!(
            "--admin on {address} without --api-key-env: anybody who reaches this address could unload the models"
        );
        return Err(InputError(why).into());
    }
    let reload_route = args.reload_route;
    let mut options = options(args)?;
    let progress = open::spinner("loading the models".into());
    let served = source.open().await;
    progress.finish_and_clear();
    let served = served?;
    for (name, session) in served.models() {
        let how = session.settings().map_or("without replay".to_owned(), |settings| {
            let profiles: Vec<&str> = settings.profiles().collect();
            let more = if profiles.is_empty() { String::new() } else { format!("; profiles: {}", profiles.join(", ")) };
            format!("replay on ({}){more}", settings.replayer().settings().strategy)
        });
        println!("{name}: {how}");
    }
    if reload_route {
        let (source, served) = (source.clone(), served.clone());
        options.reload =
            Some(Reload::new(move || reload::reload(&source, &served).map_err(|error| reload::client_message(&error))));
    }
    reload::on_hangup(source, served.clone());
    let app = router(served, options).await?;
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let running = stop::Running::default();
    let app = app.layer(from_fn_with_state(running.clone(), stop::count));
    axum::serve(listener, app).with_graceful_shutdown(running.stopped()).await?;
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
        max_body_bytes: args.max_body_mib.map_or(defaults.max_body_bytes, |mib| (mib as usize) << 20),
        max_image_bytes: args.max_body_mib.map_or(defaults.max_image_bytes, |mib| (mib as usize) << 20),
        max_pixels: args.max_pixels.unwrap_or(defaults.max_pixels),
        max_images: defaults.max_images,
        admin: args.admin,
        reload: None,
    })
}
