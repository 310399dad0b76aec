//! `orch pause` and `orch resume`: stop new runs from starting, and allow them again. Running agents continue either
//! way.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use orch_api::endpoint::{self, ToRequest};
use orch_api::switches::{NewPause, PauseView, PausesView};

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start nothing new.
    Pause,
    /// Start runs again.
    Resume,
}

/// Arguments of both commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Everything, including routing (the default of `pause`); `resume --all` ends every pause, also those of single
    /// projects and agents
    #[arg(long, group = "what")]
    all: bool,
    /// The tasks of one repository, by its name or directory
    #[arg(long, value_name = "NAME", group = "what")]
    project: Option<String>,
    /// The runs of one agent
    #[arg(long, value_name = "NAME", group = "what")]
    agent: Option<String>,
}

/// Sends the request, and prints what is paused now.
pub async fn run(verb: Verb, args: Args, context: &Context) -> Result<Exit, CliError> {
    let body = NewPause { project: args.project, agent: args.agent, all: args.all, by: Some(context.person()) };
    let named = named(&body);
    let request = match verb {
        Verb::Pause => endpoint::Pause { body }.to_request()?,
        Verb::Resume => endpoint::Resume { body }.to_request()?,
    };
    context.present(&request, |paused, _, _| render(verb, &named, paused)).await
}

fn named(order: &NewPause) -> String {
    match (&order.project, &order.agent) {
        (Some(project), _) => format!("project {project}"),
        (None, Some(agent)) => format!("agent {agent}"),
        (None, None) => "everything".to_owned(),
    }
}

fn render(verb: Verb, named: &str, now: &PausesView) -> String {
    let first = match (verb, now.changed) {
        (Verb::Pause, true) => format!("{named} is paused: nothing new starts there, running agents continue\n"),
        (Verb::Pause, false) => format!("{named} was paused already\n"),
        (Verb::Resume, true) => format!("{named} is resumed\n"),
        (Verb::Resume, false) => format!("not paused: {named}\n"),
    };
    let others = now.paused.iter().filter(|_| verb == Verb::Resume || !now.changed);
    let still: String = others.map(|pause| format!("  {}\n", line(pause))).collect();
    format!("{}{still}", super::ui::text::lines(&first))
}

/// Renders a pause in one line.
pub fn line(pause: &PauseView) -> String {
    super::ui::text::line(&pause.description).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_paused_is_reported_where_a_person_may_have_forgotten_it() {
        let pause = PauseView {
            scope: orch_api::switches::PauseKind::Agent,
            name: Some("claude".to_owned()),
            dir: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            by: "ada".to_owned(),
            told: String::new(),
            description: "agent claude is paused; `orch resume --agent claude` ends it".to_owned(),
        };
        let now = |changed| PausesView { changed, paused: vec![pause.clone()] };
        assert_eq!(
            render(Verb::Resume, "everything", &now(true)),
            "everything is resumed\n  agent claude is paused; `orch resume --agent claude` ends it\n"
        );
        let first = render(Verb::Pause, "agent claude", &now(true));
        assert_eq!(first, "agent claude is paused: nothing new starts there, running agents continue\n");
        assert!(render(Verb::Pause, "agent claude", &now(false)).contains("already\n  agent claude is paused"));
    }
}
