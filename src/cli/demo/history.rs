//! Prints the daemon's history as it happens, with the output of agents. The output of a run precedes the entry about
//! its end.

use super::sandbox::Sandbox;
use crate::cli::error::CliError;
use crate::cli::events::{self, Event};
use crate::cli::ui::Ui;
use crate::cli::ui::paint::Role;
use crate::cli::ui::text;
use jiff::Timestamp;
use orch_api::client::{Client, ClientError};
use orch_api::endpoint;
use orch_api::queries::OutputQuery;
use orch_api::types::TaskView;
use orch_core::audit::history::{Fact, IntegrationFact, RouteFact, RunFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::evidence::CheckState;
use orch_core::tasks::task::Status;
use orch_sys::clock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often to poll the daemon when nothing happens.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait for the last lines after all tasks have settled.
const LAST: Duration = Duration::from_millis(100);
/// How long an announced run may take to have an output.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line of the history, in columns.
const LINE: usize = 160;

/// Something to print.
enum News {
    Event(Event),
    Said { task: TaskId, line: String },
    Silent { task: TaskId },
    Lost(CliError),
}

/// Follows the daemon.
pub(super) struct History {
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
    client: Client,
    /// When the demo started.
    began: Timestamp,
    ui: Ui,
    /// Tasks with a run whose output is being printed.
    talking: BTreeSet<TaskId>,
    /// Entries to print after that output.
    held: BTreeMap<TaskId, VecDeque<Event>>,
}

impl History {
    /// Starts following, from the first entry of the history.
    pub(super) async fn follow(client: &Client, began: Timestamp, ui: Ui) -> Result<Self, CliError> {
        let (sender, news) = mpsc::channel(256);
        let mut lines = client.stream(&events::part(Some(events::Place::After(0)), None, true)).await?;
        let to = sender.clone();
        tokio::spawn(async move {
            loop {
                let next = match lines.document().await {
                    Ok(Some(document)) => Event::read(&document).map_or_else(News::Lost, News::Event),
                    Ok(None) => News::Lost(ClientError::Broken("the history ended".to_owned()).into()),
                    Err(error) => News::Lost(error.into()),
                };
                let over = matches!(next, News::Lost(_));
                if to.send(next).await.is_err() || over {
                    return;
                }
            }
        });
        let (talking, held) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { news, sender, client: client.clone(), began, ui, talking, held })
    }

    /// Prints until there are this many tasks, and all of them have settled.
    pub(super) async fn until_settled(&mut self, tasks: usize, sandbox: &mut Sandbox) -> Result<(), CliError> {
        let mut settled = false;
        loop {
            let patience = if settled { LAST } else { LOOK };
            match tokio::time::timeout(patience, self.news.recv()).await {
                Ok(Some(News::Event(event))) => self.on_event(event).await?,
                Ok(Some(News::Said { task, line })) => self.on_output(task, &line)?,
                Ok(Some(News::Silent { task })) => self.on_silent(task).await?,
                Ok(Some(News::Lost(error))) => {
                    sandbox.check_daemon()?;
                    return Err(error);
                }
                Ok(None) => return Ok(()),
                Err(_) if settled => return Ok(()),
                Err(_) => sandbox.check_daemon()?,
            }
            settled = self.talking.is_empty() && self.news.is_empty() && is_settled(&self.client, tasks).await?;
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), CliError> {
        // These entries belong to the start of a run; all others during a run are about its end.
        let begins = matches!(event.fact(), Fact::Run(RunFact::Placed { .. } | RunFact::Started { .. }));
        let task = event.task_id.filter(|task| self.talking.contains(task));
        if let Some(task) = task.filter(|_| !begins) {
            self.held.entry(task).or_default().push_back(event);
            return Ok(());
        }
        self.print_event(&event).await
    }

    async fn print_event(&mut self, event: &Event) -> Result<(), CliError> {
        let fact = event.fact();
        let is_launch = matches!(fact, Fact::Run(RunFact::Launched { .. }));
        if let (Some(task), Some(run), true) = (event.task_id, &event.run_id, is_launch) {
            self.listen(task, run.clone());
        }
        let task = event.task_id.map(|id| format!("#{id}")).unwrap_or_default();
        let kind = event.kind.replace('_', " ");
        let paint = self.ui.paint();
        let what = text::fit(event.text.lines().next().unwrap_or_default(), LINE);
        let kind = paint.text(role(&fact), format!("{kind:<18}"));
        let seconds = event.at.duration_since(self.began).as_secs_f64().max(0.0);
        print(self.ui, &format!("{seconds:>5.1}s {task:<3} {kind} {what}"))?;
        match event.task_id.filter(|_| matches!(fact, Fact::Run(RunFact::Judged { .. }))) {
            Some(task) => self.print_checks(task).await,
            None => Ok(()),
        }
    }

    /// Prints the output of failed checks, which also goes to the agent.
    async fn print_checks(&self, task: TaskId) -> Result<(), CliError> {
        let seen = self.client.call(&endpoint::TaskShow { id: task }).await?;
        let checks = seen.evidence.flatten().map(|evidence| evidence.checks).unwrap_or_default();
        let failed = checks.iter().filter(|check| check.state != CheckState::Passed);
        failed.flat_map(|check| check.output_tail.lines()).try_for_each(|line| self.on_output(task, line))
    }

    fn on_output(&self, task: TaskId, line: &str) -> Result<(), CliError> {
        let line = format!("       #{task} │ {}", text::fit(line, LINE));
        print(self.ui, &self.ui.paint().text(Role::Faint, line))
    }

    /// The output of the run has ended: prints the entries after it, up to the next run.
    async fn on_silent(&mut self, task: TaskId) -> Result<(), CliError> {
        self.talking.remove(&task);
        while !self.talking.contains(&task) {
            let Some(event) = self.held.get_mut(&task).and_then(VecDeque::pop_front) else { break };
            self.print_event(&event).await?;
        }
        Ok(())
    }

    /// Follows the output of a run.
    fn listen(&mut self, task: TaskId, run: RunId) {
        self.talking.insert(task);
        let (client, to) = (self.client.clone(), self.sender.clone());
        tokio::spawn(async move {
            // Output that cannot be followed is omitted; the history continues.
            forward(&client, &to, task, &run).await.ok();
            to.send(News::Silent { task }).await.ok();
        });
    }
}

/// Prints a line of the history. With `--json`, stdout is for the document at the end.
pub(super) fn print(ui: Ui, line: &str) -> Result<(), CliError> {
    if ui.is_json() {
        ui.note(line);
        return Ok(());
    }
    ui.data(&format!("{line}\n"))
}

fn role(fact: &Fact) -> Role {
    let is_done = matches!(fact, Fact::Integration(IntegrationFact::Done(_)));
    let is_on_its_way = matches!(
        fact,
        Fact::Route(RouteFact::Chosen(_)) | Fact::Run(RunFact::Launched { .. } | RunFact::Judged { .. })
    );
    let is_bad = matches!(
        fact,
        Fact::Run(RunFact::LaunchFailed { .. })
            | Fact::Integration(IntegrationFact::Failed(_))
            | Fact::Route(RouteFact::Impossible { .. } | RouteFact::ModelRefused { .. })
    );
    match (is_done, is_on_its_way, is_bad) {
        (true, ..) => Role::Good,
        (_, true, _) => Role::Active,
        (.., true) => Role::Bad,
        _ => Role::Strong,
    }
}

async fn forward(client: &Client, to: &mpsc::Sender<News>, task: TaskId, run: &RunId) -> Result<(), ClientError> {
    let query = OutputQuery { run: Some(run.to_string()), from: None };
    let output = endpoint::TaskOutput { id: task, query };
    let deadline = clock::instant() + PATIENCE;
    let mut output = loop {
        match client.stream(&output).await {
            // A run is announced before its directory exists.
            Err(ClientError::Answered(_)) if clock::instant() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => break other?,
        }
    };
    let mut rest = Vec::new();
    while let Some(piece) = output.piece().await? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if to.send(News::Said { task, line }).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn is_settled(client: &Client, count: usize) -> Result<bool, CliError> {
    let tasks = client.call(&endpoint::TaskList).await?;
    let settled =
        |task: &TaskView| task.status.is_final() || [Status::NeedsReview, Status::Blocked].contains(&task.status);
    Ok(tasks.len() >= count && tasks.iter().all(settled))
}
