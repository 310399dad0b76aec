//! `orch http`: prints where the API listens and where its token is, but never the token.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::settings;
use super::ui::text;
use orch_api::endpoint::{self, Endpoint};
use orch_api::status::StatusView;
use serde_json::json;

/// Arguments of `orch http`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the address.
pub async fn run(_: Args, context: &Context) -> Result<Exit, CliError> {
    let setup = context.setup()?;
    let (socket, token_file) = (setup.api_socket(), setup.home.http_token());
    let listen = settings::global(context, &setup.home)?.config.http.listen;
    let status: Option<StatusView> = match setup.connect().await {
        Some(client) => client.call(&endpoint::BriefStatus).await.ok(),
        None => None,
    };
    let url = status.as_ref().and_then(|status| status.http.clone());
    if context.ui.is_json() {
        let document = json!({ "listen": listen, "url": url, "token_file": token_file, "socket": socket });
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let tcp = match (&listen, &url) {
        (None, _) => "off".to_owned(),
        (Some(_), Some(url)) => url.clone(),
        (Some(listen), None) => format!("{listen} (does not listen now)"),
    };
    let (socket, token_file) = (socket.to_string_lossy(), token_file.to_string_lossy());
    let text =
        format!("socket: {}\ntcp: {}\ntoken: {}\n", text::line(&socket), text::line(&tcp), text::line(&token_file));
    context.ui.data(&text)?;
    match (&listen, &url) {
        (None, _) => context.ui.note("to listen on TCP: orch config set http.listen 127.0.0.1:7777"),
        (Some(_), None) if status.is_none() => context.ui.note("next: orch serve"),
        (Some(_), None) => status.iter().flat_map(|s| &s.problems).for_each(|problem| context.ui.warning(problem)),
        (Some(_), Some(url)) => {
            let status = endpoint::Status::DESCRIPTION.path;
            let quoted = token_file.replace('\'', "'\\''");
            context.ui.note(&format!("curl -H \"Authorization: Bearer $(cat '{quoted}')\" {url}{status}"));
        }
    }
    Ok(Exit::Done)
}
