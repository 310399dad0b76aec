//! `orch status --watch`: the screen again after each change. It sleeps while nothing happens, and waits for a daemon
//! that comes back.

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

/// How often a daemon that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The pause after a daemon has ended its answer.
const AFTER_AN_END: Duration = Duration::from_millis(50);

/// Watches until the person has seen enough.
pub async fn run(context: &Context) -> Result<Exit, CliError> {
    let on = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let resized = on(SignalKind::window_change())?;
    let mut hangup = on(SignalKind::hangup())?;
    let screen = if context.ui.is_json() { None } else { context.ui.screen() };
    let mut watch = Watch { context, screen, resized, shown: None };
    let watched = tokio::select! {
        left = watch.follow() => left.map(|never| match never {}),
        // Who watches ends it that way; the screen is given back on the way out.
        _ = interrupt.recv() => Ok(Exit::Interrupted),
        _ = terminate.recv() => Ok(Exit::Done),
        _ = hangup.recv() => Ok(Exit::Done),
    };
    watch.leave();
    watched
}

struct Watch<'a> {
    context: &'a Context,
    /// The terminal's, where there is one.
    screen: Option<Screen>,
    resized: Signal,
    /// What is on the screen, and whether nobody serves.
    shown: Option<(Overview, bool)>,
}

enum Never {}

impl Watch<'_> {
    async fn follow(&mut self) -> Result<Never, CliError> {
        let setup = self.context.setup()?;
        loop {
            let followed = match setup.connect().await {
                Some(client) => match client.stream(&endpoint::StatusStream).await {
                    Ok(mut feed) => self.tell(&mut feed).await,
                    Err(error) => Err(error.into()),
                },
                None => self.without_daemon(&setup).await,
            };
            match followed {
                // It left, or was replaced: who serves now is found out next.
                Ok(()) => {}
                Err(CliError::Client(error)) if error.is_of_an_engine_that_left() => {}
                Err(error) => return Err(error),
            }
            // While it leaves it still takes connections, and has nothing more to say.
            tokio::time::sleep(AFTER_AN_END).await;
        }
    }

    async fn tell(&mut self, feed: &mut Lines<Events<Overview>>) -> Result<(), CliError> {
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

    /// How things stand is read once; nothing moves before a daemon comes, and the engine is let go for it.
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
        let text = page.of(overview, *nobody_serves);
        match &self.screen {
            Some(screen) => screen.show(&text),
            None => ui.data(&format!("{text}\n")),
        }
    }

    /// Gives the screen back, and leaves there what was seen last.
    fn leave(mut self) {
        if self.screen.take().is_some() {
            // A terminal that is gone shows nothing.
            self.draw().ok();
        }
    }
}
