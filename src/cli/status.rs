//! `orch status`: how things stand.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::paint::{Paint, Role};
use super::ui::text;
use crate::api::types::StatusView;
use crate::domain::task::Status;

/// Arguments of `orch status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints it.
pub async fn run(_: Args, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    if context.ui.is_json() {
        let document = link.get_raw("/v1/status").await?;
        context.ui.raw_json(&document)?;
    } else {
        let status: StatusView = link.get("/v1/status").await?;
        context.ui.data(&told(&status, link.is_own(), context.ui.paint()))?;
        if link.is_own() {
            context.ui.note("next: orch serve");
        } else {
            version_differs(&status).iter().for_each(|odd| context.ui.warning(odd));
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}

fn told(status: &StatusView, nobody_serves: bool, paint: Paint) -> String {
    let engine = if nobody_serves {
        paint.text(Role::Warning, "no daemon runs").into_owned()
    } else {
        let state = if status.idle { "nothing to do" } else { "at work" };
        let (mode, version) = (text::line(&status.mode), text::line(&status.version));
        format!("orch {version} runs as {mode} (pid {}): {state}", status.pid)
    };
    let known = Status::ALL.iter().filter_map(|s| Some((s.as_str(), status.counts.get(s.as_str())?)));
    let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
    let tasks = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    format!("{engine}\ntasks: {tasks}\n")
}

fn version_differs(status: &StatusView) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    (status.version != own)
        .then(|| format!("the daemon is orch {}, this is orch {own}: restart the daemon", status.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_like_this() {
        let counts =
            [("done", 3), ("new", 1), ("needs_review", 2)].map(|(word, count)| (word.to_owned(), count)).into();
        let status = StatusView {
            version: "1.2.3".into(),
            pid: 42,
            mode: "serve".into(),
            counts,
            idle: false,
            problems: vec![],
        };
        assert_eq!(
            told(&status, false, Paint::OFF),
            "orch 1.2.3 runs as serve (pid 42): at work\ntasks: 1 new, 3 done, 2 needs_review\n"
        );
        let empty = StatusView { counts: [].into(), ..status };
        assert_eq!(told(&empty, true, Paint::OFF), "no daemon runs\ntasks: none\n");
        assert!(version_differs(&empty).is_some());
    }
}
