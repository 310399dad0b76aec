//! Renders a task for a person. PURE: the terminal is not accessed, and the present time is an argument. All external
//! text is made safe here.

use crate::cli::ui::paint::{Paint, Role, role_of};
use crate::cli::ui::text::{indented, line};
use crate::cli::ui::time::{Now, took};
use orch_api::evidence::{CheckView, EvidenceView, IntegrationState};
use orch_api::health::HealthView;
use orch_api::messages::MessageView;
use orch_api::route::RouteResultView;
use orch_api::types::{HoldView, OutcomeState, RunView, TaskView};
use orch_core::base::count;
use orch_core::base::ids::TaskId;
use orch_core::tasks::change::Finding;
use orch_core::tasks::evidence::{Check, CheckState};
use orch_core::tasks::message::{Author, MessageState, Via};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::review::Review;
use std::fmt::Display;

/// The width of the column with the names of the fields.
const NAMES: usize = 12;

/// The page under construction.
pub struct DetailView {
    out: String,
    paint: Paint,
}

impl DetailView {
    /// Creates an empty page.
    pub fn new(paint: Paint) -> Self {
        Self { out: String::new(), paint }
    }

    /// Returns the finished page.
    pub fn text(self) -> String {
        self.out
    }

    /// Appends finished lines.
    pub fn push(&mut self, lines: &str) {
        self.out.push_str(lines);
    }

    /// Adds a route, with the name that the agent's program uses for the model if it differs.
    pub fn route_given(&mut self, route: &RouteResultView, given: Option<&str>) {
        route_fields(self, route, given);
    }

    /// Adds a named line.
    pub fn field(&mut self, name: &str, value: impl Display) {
        let name = self.paint.text(Role::Faint, format!("{name:<NAMES$}"));
        self.out.push_str(&format!("  {name}{value}\n"));
    }

    /// Adds a named line if there is a value.
    pub fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|value| line(value)).collect();
            self.field(name, values.join(", "));
        }
    }

    fn ids(&mut self, name: &str, ids: &[TaskId]) {
        if !ids.is_empty() {
            let ids: Vec<String> = ids.iter().map(|id| format!("#{id}")).collect();
            self.field(name, ids.join(" "));
        }
    }

    /// Adds a heading, after an empty line.
    pub fn heading(&mut self, text: &str) {
        self.out.push('\n');
        self.out.push_str(&self.paint.text(Role::Strong, text));
        self.out.push('\n');
    }

    fn block(&mut self, name: &str, text: &str) {
        if !text.trim().is_empty() {
            self.heading(name);
            self.out.push_str(&indented(text, "  "));
        }
    }
}

/// Renders everything about a task.
pub fn task(task: &TaskView, now: &Now, paint: Paint) -> String {
    let mut view = DetailView { out: String::new(), paint };
    view.out.push_str(&paint.text(Role::Strong, format!("#{} {}", task.id, line(&task.title))));
    view.out.push('\n');
    let kind = task.question_kind.map(|kind| format!(" ({})", kind.label())).unwrap_or_default();
    view.field("status", format!("{}{kind}", paint.text(role_of(task.status), task.status.as_str())));
    view.optional("held", task.hold.as_ref().map(|hold| render_hold(hold, now)));
    waiting(&mut view, task);
    wishes(&mut view, task, now);
    view.optional("branch", task.branch.as_deref().map(line));
    let from: Vec<_> =
        task.began_from.iter().map(|work| format!("#{} at {}", work.task, line(short(&work.commit)))).collect();
    view.optional("began from", (!from.is_empty()).then(|| from.join(", ")));
    view.optional("worktree", task.worktree.as_ref().map(|dir| line(&dir.to_string_lossy()).into_owned()));
    view.field("attempts", task.attempts);
    view.field("cost", task.cost_usd.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string()));
    view.field("created", now.past(task.created_at));
    view.field("updated", now.past(task.updated_at));
    view.block("Body", &task.body);
    if let Some(route) = &task.route {
        view.heading("Route");
        route_fields(&mut view, route, None);
        view.optional("warning", route.warning.as_deref().map(line));
        view.optional("worked by", otherwise(task, route));
    }
    view.block("Summary", task.summary.as_deref().unwrap_or_default());
    if let Some(runs) = task.runs.as_deref().filter(|runs| !runs.is_empty()) {
        view.heading("Runs");
        runs.iter().enumerate().for_each(|(at, run)| one_run(&mut view, at + 1, run, now));
    }
    if let Some(messages) = task.messages.as_deref().filter(|messages| !messages.is_empty()) {
        view.heading("Messages");
        messages.iter().for_each(|message| one_message(&mut view, message, now));
    }
    if !task.ignored.is_empty() {
        view.heading("In its entry in tasks.yml");
        task.ignored.iter().for_each(|one| view.out.push_str(&indented(one, "  ")));
    }
    if let Some(conflicts) = task.conflicts.as_deref().filter(|conflicts| !conflicts.is_empty()) {
        view.heading("Conflicts");
        conflicts.iter().for_each(|one| {
            view.out.push_str(&format!("  {}\n", now.local(one.at)));
            view.out.push_str(&indented(&one.text, "     "));
        });
    }
    if let Some(Some(evidence)) = &task.evidence {
        view.heading("Evidence");
        evidence_fields(&mut view, evidence);
    }
    view.out
}

/// Returns the last worker if it differs from the route: a budget ran low, a model was set, or another agent took over.
fn otherwise(task: &TaskView, route: &RouteResultView) -> Option<String> {
    let last = task.worked_by.as_ref()?;
    let is_as_routed = last.agent == route.agent && last.model == route.model;
    let model = last.model.as_deref().map_or("its own choice".into(), line);
    (!is_as_routed).then(|| format!("{} with {model}", line(&last.agent)))
}

fn waiting(view: &mut DetailView, task: &TaskView) {
    if let Some(question) = &task.question {
        let indent = " ".repeat(NAMES + 2);
        let text = indented(question, &indent);
        view.field("question", text.trim_start().trim_end_matches('\n'));
        task.choices.iter().for_each(|choice| view.field("", format!("→ {}", line(choice))));
        view.optional("tried", tried(task));
    }
    view.optional("result", render_integration(task));
}

/// Lists the failed runs of a task with their outcomes, oldest first: `claude/sonnet: checks_failed`.
pub fn tried(task: &TaskView) -> Option<String> {
    let is_work = |run: &&RunView| run.kind == RunKind::Work && task.question_kind == Some(QuestionKind::Failed);
    let came_to = |run: &RunView| {
        let class = run.outcome.as_ref()?.class?;
        let model = run.model.as_deref().map(|model| format!("/{}", line(model))).unwrap_or_default();
        Some(format!("{}{model}: {class}", line(&run.agent)))
    };
    let runs: Vec<String> = task.runs.iter().flatten().filter(is_work).filter_map(came_to).collect();
    (!runs.is_empty()).then(|| runs.join("; "))
}

fn wishes(view: &mut DetailView, task: &TaskView, now: &Now) {
    let dir = task.dir.as_ref().map(|dir| line(&dir.to_string_lossy()).into_owned());
    match (&task.project, dir) {
        (Some(project), Some(dir)) => view.field("project", format!("{} ({dir})", line(project))),
        (Some(project), None) => view.field("project", line(project)),
        (None, dir) => view.optional("dir", dir),
    }
    view.optional("type", task.kind.as_deref().map(line));
    view.list("labels", &task.labels);
    view.optional("priority", (task.priority != 0).then_some(task.priority));
    let since = task.claimed_at.map(|at| format!(", since {}", now.local(at))).unwrap_or_default();
    view.optional("batch", task.batch.as_deref().map(line).map(|name| name.into_owned()));
    view.optional("assignee", task.assignee.as_deref().map(|name| format!("{}{since}", line(name))));
    view.ids("depends on", &task.depends_on);
    view.optional("part of", task.parent.map(|id| format!("#{id}")));
    view.ids("parts", &task.children);
}

/// Renders a hold in one line: `rate limited until 17:00 (in 12m): claude: usage limit reached`.
pub fn render_hold(hold: &HoldView, now: &Now) -> String {
    let until = hold.until.map(|at| format!(" until {}", now.until(at))).unwrap_or_default();
    format!("{}{until}: {}", reason(hold), line(&hold.detail))
}

/// Returns the stable name of the reason, as in `docs/reference/holds.md`.
fn reason(hold: &HoldView) -> String {
    let word = serde_json::to_value(hold.reason);
    word.ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Renders the integration of the branch: `merged into main as 0123456789`.
pub fn render_integration(task: &TaskView) -> Option<String> {
    let integration = task.integration.as_ref()?;
    let commit = integration.commit.as_deref().map(|sha| format!(" as {}", line(short(sha)))).unwrap_or_default();
    let what = match integration.state {
        IntegrationState::Kept => "kept on its branch".to_owned(),
        IntegrationState::Merged => {
            let base = task.base_branch.as_deref().map(|base| format!(" into {}", line(base)));
            format!("merged{}", base.unwrap_or_default())
        }
        IntegrationState::Reverted => "reverted".to_owned(),
    };
    Some(format!("{what}{commit}"))
}

fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

/// Renders a route on a page of its own.
pub fn route(route: &RouteResultView, paint: Paint) -> String {
    let mut view = DetailView { out: String::new(), paint };
    route_fields(&mut view, route, None);
    view.out
}

fn route_fields(view: &mut DetailView, route: &RouteResultView, given: Option<&str>) {
    view.field("agent", line(&route.agent));
    let model = match (route.model.as_deref(), given) {
        (Some(asked), Some(given)) if asked != given => format!("{}, now {}", line(asked), line(given)),
        (Some(asked), Some(_) | None) => line(asked).into_owned(),
        (None, _) => "the agent's own default".to_owned(),
    };
    view.field("model", model);
    view.field("complexity", route.complexity);
    view.field("reason", line(&route.reason));
    view.optional("role", Some(line(&route.profile.role)).filter(|role| !role.is_empty()));
    view.list("skills", &route.selected_skills);
    view.list("focus", &route.profile.skills);
    view.list("tools", &route.profile.tools);
    view.list("constraints", &route.profile.constraints);
}

fn one_run(view: &mut DetailView, number: usize, run: &RunView, now: &Now) {
    let kind = match run.kind {
        RunKind::Work => format!("attempt {}", run.attempt),
        RunKind::Review => "review".to_owned(),
        RunKind::Route => "routing".to_owned(),
    };
    let agent = match &run.model {
        Some(model) => format!("{}/{}", line(&run.agent), line(model)),
        None => line(&run.agent).into_owned(),
    };
    let started = run.started_at.map(|at| format!(", {}", now.local(at))).unwrap_or_default();
    let lasted = match (run.started_at, run.ended_at) {
        (Some(from), Some(to)) => {
            format!(", {}", took(u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)))
        }
        (Some(_) | None, _) => String::new(),
    };
    let cost = run.cost_usd.map(|cost| format!(", {cost}")).unwrap_or_default();
    view.out.push_str(&format!("  {number}. {kind} by {agent}{started}{lasted}{cost}\n"));
    let (role, text) = outcome(run);
    view.out.push_str(
        &indented(&text, "     ").lines().map(|l| format!("{}\n", view.paint.text(role, l))).collect::<String>(),
    );
    view.out.push_str(&format!("     {}\n", view.paint.text(Role::Faint, line(&run.transcript.to_string_lossy()))));
}

fn one_message(view: &mut DetailView, message: &MessageView, now: &Now) {
    let how = match (message.state, message.via) {
        (MessageState::Delivered, Some(Via::Live)) => "delivered live".to_owned(),
        (MessageState::Delivered, Some(Via::Prompt) | None) => "delivered with a prompt".to_owned(),
        (MessageState::Queued, _) => format!("queued: {}", line(&message.detail)),
        (MessageState::Refused, _) => line(&message.detail).into_owned(),
    };
    let from = match message.from {
        Author::Person => "",
        Author::Orch => "from orch, ",
    };
    view.out.push_str(&format!("  {}. {from}{}, {how}\n", message.id, now.local(message.sent_at)));
    view.out.push_str(&indented(&message.text, "     "));
}

fn outcome(run: &RunView) -> (Role, String) {
    let Some(outcome) = &run.outcome else {
        return if let Some(trouble) = run.health.as_ref().and_then(HealthView::trouble) {
            (Role::Warning, format!("running, {trouble}"))
        } else if run.started_at.is_some() {
            (Role::Active, "running".to_owned())
        } else {
            (Role::Faint, "about to start".to_owned())
        };
    };
    let class = outcome.class.map(|class| format!(" ({class})")).unwrap_or_default();
    let detail =
        outcome.detail.as_deref().filter(|d| !d.trim().is_empty()).map(|d| format!(": {d}")).unwrap_or_default();
    let role = match outcome.state {
        OutcomeState::Finished => Role::Good,
        OutcomeState::Failed => Role::Bad,
        OutcomeState::Cancelled => Role::Faint,
    };
    (role, format!("{}{class}{detail}", outcome.state))
}

fn evidence_fields(view: &mut DetailView, evidence: &EvidenceView) {
    let (files, plus, minus) = (evidence.files, evidence.insertions, evidence.deletions);
    let files = count::plural(files, "file");
    view.field("base", line(short(&evidence.base)));
    let commits: Vec<_> = evidence.commits.iter().map(|sha| line(short(sha))).collect();
    let listed = if commits.is_empty() { "none".to_owned() } else { commits.join(" ") };
    view.field("commits", listed);
    view.field("changes", format!("{files}, +{plus} −{minus}"));
    evidence.checks.iter().for_each(|check| one_check(view, check));
    evidence.findings.iter().for_each(|finding| {
        let role = if finding.kind.is_rejected() { Role::Bad } else { Role::Warning };
        let output = view.paint.text(role, line(&Finding::from(finding).to_string())).into_owned();
        view.field("found", output);
    });
    if let Some(review) = evidence.review.as_ref().map(Review::from) {
        view.field("review", line(&format!("by {}: {}", review.reviewer(), review.decision)));
        view.out.push_str(&indented(&review.feedback(), &" ".repeat(NAMES + 4)));
    }
    evidence.violations.iter().for_each(|text| {
        let output = view.paint.text(Role::Bad, line(text)).into_owned();
        view.field("violation", output);
    });
    evidence.notes.iter().for_each(|text| view.field("note", line(text)));
}

fn one_check(view: &mut DetailView, check: &CheckView) {
    let role = if check.state == CheckState::Passed { Role::Good } else { Role::Bad };
    let verdict = view.paint.text(role, Check::from(check).describe_result()).into_owned();
    view.field("check", format!("{} {verdict} after {}", line(&check.command), took(check.duration_ms)));
    if check.state != CheckState::Passed && !check.output_tail.trim().is_empty() {
        view.out.push_str(&indented(&check.output_tail, &" ".repeat(NAMES + 4)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::{now, task as example};
    use orch_api::last_worker::LastWorker;

    #[test]
    fn a_task_reads_like_this() {
        let shown = task(&example(), &now(), Paint::OFF);
        assert_eq!(shown, include_str!("../../../tests/fixtures/cli/show.txt"));
    }

    #[test]
    fn the_last_worker_is_shown_if_it_differs_from_the_route() {
        let by = |agent: &str, model: Option<&str>| {
            let worked_by = Some(LastWorker { agent: agent.to_owned(), model: model.map(str::to_owned) });
            task(&TaskView { worked_by, ..example() }, &now(), Paint::OFF)
        };
        assert!(
            by("claude", Some("haiku")).contains("worked by   claude with haiku"),
            "{}",
            by("claude", Some("haiku"))
        );
        assert!(by("codex", None).contains("codex with its own choice"));
        assert!(!by("claude", Some("sonnet")).contains("worked by"), "the route says so");
    }

    #[test]
    fn a_task_that_was_just_added_is_a_short_page() {
        let mut new = example();
        new.question = None;
        new.hold = None;
        new.body = String::new();
        (new.route, new.runs, new.evidence, new.summary, new.integration) = (None, None, None, None, None);
        (new.branch, new.worktree, new.cost_usd) = (None, None, None);
        new.title = "\u{1b}]0;pwned\u{7}\nsecond line".to_owned();
        let shown = task(&new, &now(), Paint::OFF);
        assert_eq!(shown, include_str!("../../../tests/fixtures/cli/show-new.txt"));
    }
}
