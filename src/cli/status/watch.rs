//! `orch status --watch`: prints the screen after each change. It sleeps while nothing happens, and waits for a daemon
//! to return.

use super::page::Page;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::screen::Screen;
use crate::daemon::Setup;
use orch_api::client::{ClientError, Lines};
use orch_api::endpoint::{self, Events};
use orch_api::queries::StatusQuery;
use orch_api::status::Overview;
use serde_json::Value;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often to look for a daemon while none runs.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The pause after a daemon has ended its answer.
const AFTER_AN_END: Duration = Duration::from_millis(50);

/// Watches until interrupted.
pub async fn run(context: &Context) -> Result<Exit, CliError> {
    let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let resized = on(SignalKind::window_change())?;
    let mut hangup = on(SignalKind::hangup())?;
    let screen = if context.ui.is_json() { None } else { context.ui.screen() };
    let mut watch = Watch { context, screen, resized, shown: None };
    let watched = tokio::select! {
        left = watch.follow() => left.map(|never| match never {}),
        // Ctrl-C is how a person stops watching; the screen is restored on the way out.
        _ = interrupt.recv() => Ok(Exit::Interrupted),
        _ = terminate.recv() => Ok(Exit::Done),
        _ = hangup.recv() => Ok(Exit::Done),
    };
    watch.leave();
    watched
}

struct Watch<'a> {
    context: &'a Context,
    /// The alternate screen, if there is a terminal.
    screen: Option<Screen>,
    resized: Signal,
    /// The printed overview, and whether no engine serves.
    shown: Option<(Overview, bool)>,
}

enum Never {}

impl Watch<'_> {
    async fn follow(&mut self) -> Result<Never, CliError> {
        let setup = self.context.setup()?;
        loop {
            let followed = match setup.connect().await {
                Some(client) => match client.stream(&endpoint::StatusStream).await {
                    Ok(mut feed) => self.print_updates(&mut feed).await,
                    Err(error) => Err(error.into()),
                },
                None => self.without_daemon(&setup).await,
            };
            match followed {
                // It shut down or was replaced: the present engine is looked up next.
                Ok(()) => {}
                Err(CliError::Client(error)) if error.is_of_an_engine_that_left() => {}
                Err(error) => return Err(error),
            }
            // While it shuts down it still accepts connections, but has no more data.
            tokio::time::sleep(AFTER_AN_END).await;
        }
    }

    async fn print_updates(&mut self, feed: &mut Lines<Events<Overview>>) -> Result<(), CliError> {
        loop {
            tokio::select! {
                document = feed.document() => match document? {
                    Some(document) => self.take(&document, false)?,
                    None => return Ok(()),
                },
                _ = self.resized.recv() => self.draw()?,
            }
        }
    }

    /// Reads the status once; nothing changes before a daemon starts, and the engine is closed for it.
    async fn without_daemon(&mut self, setup: &Setup) -> Result<(), CliError> {
        let mut link = self.context.link().await?;
        let document = link.raw(&endpoint::Status { query: StatusQuery::default() }).await?;
        let document: Value = serde_json::from_slice(&document)?;
        let is_own = link.is_own();
        link.close().await?;
        if is_own {
            self.take(&document, true)?;
        }
        while setup.connect().await.is_none() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                _ = self.resized.recv() => self.draw()?,
            }
        }
        Ok(())
    }

    fn take(&mut self, document: &Value, nobody_serves: bool) -> Result<(), CliError> {
        if self.context.ui.is_json() {
            return self.context.ui.json(document);
        }
        let overview = serde_json::from_value(document.clone());
        let overview = overview.map_err(|e| ClientError::Unexpected(e.to_string()))?;
        self.shown = Some((overview, nobody_serves));
        self.draw()
    }

    fn draw(&self) -> Result<(), CliError> {
        let Some((overview, nobody_serves)) = &self.shown else { return Ok(()) };
        let ui = &self.context.ui;
        let rows = self.screen.as_ref().and_then(|_| ui.rows());
        let page = Page { now: self.context.now(), columns: ui.columns(), rows, paint: ui.paint() };
        let text = page.render(overview, *nobody_serves);
        match &self.screen {
            Some(screen) => screen.show(&text),
            None => ui.data(&format!("{text}\n")),
        }
    }

    /// Restores the screen, and leaves the last status on it.
    fn leave(mut self) {
        if self.screen.take().is_some() {
            // A closed terminal shows nothing.
            self.draw().ok();
        }
    }
}
