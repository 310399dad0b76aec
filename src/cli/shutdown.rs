//! `orch shutdown`: stops the daemon at once, when all work is finished, or with its agents interrupted.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::stop::{self, Found, Leaving};
use super::ui::text;
use crate::daemon::{Holder, Setup};
use orch_api::client::{ClientError, Lines};
use orch_api::endpoint::{self, Events};
use orch_api::status::Overview;
use orch_api::switches::{FateView, ShutdownOrder, ShutdownView, UnderWayView};
use orch_core::operations::service::ShutdownMode;
use orch_core::tasks::task::Status;
use std::time::Duration;

/// How long to wait for a daemon that stops at once; it promises half of that.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How long to wait for a daemon that interrupts its agents.
const INTERRUPTING: Duration = Duration::from_secs(45);

/// Arguments of `orch shutdown`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Start nothing new, finish running work (including judging and integration), then stop
    #[arg(long, group = "how")]
    drain: bool,
    /// Interrupt all agents; the next start continues their conversations
    #[arg(long, group = "how")]
    now: bool,
    /// Only show what would happen to running work
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    fn how(&self) -> ShutdownMode {
        match (self.drain, self.now) {
            (true, _) => ShutdownMode::Drain,
            (false, true) => ShutdownMode::Now,
            (false, false) => ShutdownMode::Stop,
        }
    }
}

/// Asks the daemon to stop, and waits until it has.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let setup = context.setup()?;
    let (client, status) = match stop::find(&setup).await? {
        Found::Answers(client, status) => (client, *status),
        Found::Unheard(holder) => return end_unheard(&args, &setup, &holder, context).await,
        Found::Nobody => {
            let source = std::io::Error::from(std::io::ErrorKind::NotConnected);
            return Err(ClientError::Unreachable { socket: setup.api_socket(), source }.into());
        }
    };
    let why = Some(format!("orch shutdown{} by {}", flag(args.how()), context.person()));
    let order = ShutdownOrder { how: args.how(), dry_run: args.dry_run, why };
    // Subscribed before the request, so that the last messages arrive.
    let mut news = client.stream(&endpoint::StatusStream).await.ok();
    let daemon = Leaving::new(&status);
    let answer = stop::ask(&client, &status, &order).await?;
    if args.dry_run {
        print(&answer, context)?;
        return Ok(Exit::Done);
    }
    if !context.ui.is_json() {
        print(&answer, context)?;
    }
    let waited = wait(&setup, &daemon, answer.how, &mut news, context);
    let is_gone = tokio::select! {
        is_gone = waited => is_gone?,
        _ = tokio::signal::ctrl_c() => {
            context.ui.note("the daemon continues to shut down: orch status shows its progress");
            return Ok(Exit::Interrupted);
        }
    };
    if !is_gone {
        let seconds = if answer.how == ShutdownMode::Now { INTERRUPTING } else { AT_ONCE }.as_secs();
        context.ui.warning(&format!("orch (pid {}) has not stopped within {seconds} s; orch status", answer.pid));
        return Ok(Exit::TimedOut);
    }
    if context.ui.is_json() {
        context.ui.json(&answer)?;
    } else {
        context.ui.note(&format!("orch (pid {}) has stopped; next: orch serve", answer.pid));
    }
    Ok(Exit::Done)
}

/// Stops a daemon that holds the home and does not answer: by a signal, which it treats like `orch shutdown`.
async fn end_unheard(args: &Args, setup: &Setup, holder: &Holder, context: &Context) -> Result<Exit, CliError> {
    let (pid, socket) = (holder.process.pid, setup.api_socket());
    if args.how() != ShutdownMode::Stop {
        return Err(CliError::Refused {
            message: format!(
                "orch (pid {pid}) runs, but does not answer at {}: it hears only a signal",
                socket.display()
            ),
            hint: Some("`orch shutdown` without an option ends it at once; agents keep running".to_owned()),
        });
    }
    if args.dry_run {
        let text = format!("orch (pid {pid}) does not answer at {}; it would be sent SIGTERM\n", socket.display());
        context.ui.data(&text)?;
        return Ok(Exit::Done);
    }
    let Some(daemon) = stop::end(holder) else {
        return Err(CliError::Refused {
            message: format!("orch (pid {pid}) does not answer at {}, and takes no signal", socket.display()),
            hint: Some(format!("is it another person's? kill {pid}, as its owner")),
        });
    };
    if !stop::gone_within(setup, &daemon, AT_ONCE).await? {
        context.ui.warning(&format!("orch (pid {pid}) has not stopped within {} s", AT_ONCE.as_secs()));
        return Ok(Exit::TimedOut);
    }
    if context.ui.is_json() {
        context
            .ui
            .json(&serde_json::json!({ "how": ShutdownMode::Stop, "dry_run": false, "pid": pid, "by": "signal" }))?;
    } else {
        context.ui.note(&format!("orch (pid {pid}), which did not answer, has stopped; next: orch serve"));
    }
    Ok(Exit::Done)
}

fn flag(how: ShutdownMode) -> &'static str {
    match how {
        ShutdownMode::Stop | ShutdownMode::Respawn => "",
        ShutdownMode::Drain => " --drain",
        ShutdownMode::Now => " --now",
    }
}

/// Waits until the daemon has stopped, and shows what it waits for.
async fn wait(
    setup: &Setup,
    daemon: &Leaving,
    how: ShutdownMode,
    news: &mut Option<Lines<Events<Overview>>>,
    context: &Context,
) -> Result<bool, CliError> {
    let progress = async {
        let mut shown = None;
        while let Some(feed) = news
            && let Ok(Some(overview)) = feed.event().await
        {
            let waits = waits_for(&overview);
            if shown.as_ref() != Some(&waits) && !waits.is_empty() && !context.ui.is_json() {
                context.ui.note(&waits);
            }
            shown = Some(waits);
        }
        std::future::pending::<()>().await;
    };
    let gone = async {
        match how {
            ShutdownMode::Drain => stop::gone(setup, daemon).await.map(|()| true),
            ShutdownMode::Now => stop::gone_within(setup, daemon, INTERRUPTING).await,
            ShutdownMode::Stop | ShutdownMode::Respawn => stop::gone_within(setup, daemon, AT_ONCE).await,
        }
    };
    tokio::select! {
        is_gone = gone => is_gone,
        () = progress => Ok(false),
    }
}

fn waits_for(overview: &Overview) -> String {
    let runs = overview.running.iter().map(|run| format!("#{} ({})", run.task_id, run.agent));
    let results = overview.queued.iter().filter(|task| task.status == Status::InReview && task.hold.is_none());
    let results = results.map(|task| format!("#{} (its result)", task.id));
    let all: Vec<String> = runs.chain(results).collect();
    if all.is_empty() { String::new() } else { format!("still running: {}", all.join(", ")) }
}

fn print(answer: &ShutdownView, context: &Context) -> Result<(), CliError> {
    if context.ui.is_json() {
        return context.ui.json(answer);
    }
    context.ui.data(&render(answer))
}

fn render(answer: &ShutdownView) -> String {
    let would = if answer.dry_run { "would stop" } else { "stops" };
    let when = match answer.how {
        ShutdownMode::Stop | ShutdownMode::Respawn => "",
        ShutdownMode::Drain => " when all that runs is finished",
        ShutdownMode::Now => " when its agents are interrupted",
    };
    let head = format!("orch {} (pid {}) {would}{when}\n", text::line(&answer.version), answer.pid);
    let rows = answer
        .under_way
        .iter()
        .map(|work| format!("  #{} {}: {}\n", work.task_id, text::line(&work.agent), fate(work)));
    head + &rows.collect::<String>()
}

fn fate(work: &UnderWayView) -> &'static str {
    match work.fate {
        FateView::GoesOn => "continues; the next start takes it over",
        FateView::Finished => "is finished first",
        FateView::Interrupted => "is interrupted; the next start continues its conversation",
        FateView::Later => "its result is judged and integrated by the next start",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::{RunId, TaskId};

    #[test]
    fn a_rehearsal_says_what_would_become_of_each_run() {
        let work = |task, fate| UnderWayView {
            task_id: TaskId(task),
            run_id: RunId::new(TaskId(task), 1, 0),
            agent: "claude".to_owned(),
            fate,
        };
        let answer = ShutdownView {
            how: ShutdownMode::Now,
            dry_run: true,
            version: "0.1.0".to_owned(),
            pid: 7,
            under_way: vec![work(3, FateView::Interrupted), work(5, FateView::Later)],
        };
        assert_eq!(
            render(&answer),
            "orch 0.1.0 (pid 7) would stop when its agents are interrupted\n\
             \x20 #3 claude: is interrupted; the next start continues its conversation\n\
             \x20 #5 claude: its result is judged and integrated by the next start\n"
        );
    }
}
