//! Starting a work run: worktree, prompt, session, in this order, each found again when it is there already.

pub(crate) mod hidden;
pub(crate) mod new_branch;
pub(crate) mod prompt_context;
pub(crate) mod prompt_inputs;
pub(crate) mod question;
pub(crate) mod review_run;
pub(crate) mod run_limits;
pub(crate) mod run_start;
pub(crate) mod session;
pub(crate) mod start_recovery;
pub(crate) mod starting_point;

use crate::deps::task_context::TaskContext;
use crate::deps::{Deps, agent_env, leases};
use crate::launch::prompt_context::{parts_of, said_before, tried_before};
use crate::launch::run_limits::RunLimits;
use crate::launch::run_start::{Started, agent_program, ask, failed, git_problem, launch_request, project_name};
use crate::launch::session::{Opening, not_started, prepared, prepared_file, workplace};
use crate::launch::starting_point::Finding;
use crate::verify::workspace::{Purpose, Workspace};
use crate::verify::{Before, Beginning, inspect_last_run};
use orch_config::resolved::Config;
use orch_config::resolved_agent::AgentConfig;
use orch_core::base::external::{ExternalFailure, How};
use orch_core::base::names::{self, BranchName};
use orch_core::models::agents::{DialectKind, GitDirs, LaunchRequest, Session};
use orch_core::prompts::prompt::{
    Again, Conversation, PartResult, ProjectFile, Tried, WorkContext, again_prompt, message_prompt, parts_prompt,
    repair_prompt, resumed_prompt, with_messages, work_prompt,
};
use orch_core::tasks::answer::Answer;
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::message::Message;
use orch_core::tasks::outcome::{FailureClass, RunKind};
use orch_core::tasks::route::AgentProfile;
use orch_core::tasks::task::{NextRun, Run, State, Workplace};
use orch_core::tasks::task_type::TaskType;
use orch_core::text::output::SETUP_LOG;
use orch_runner::{Handed, Launch, RunDir};
use orch_sys::crash::point;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{GitError, Guard, Repo, forget_traces, trace_file, trace_variables};
use orch_sys::worktree::{Worktree, WorktreeRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an engine may take to leave whose journal was removed under it.
const LEAVING: Duration = Duration::from_secs(30);

/// What one launch is made for.
struct Order<'a> {
    cx: &'a TaskContext,
    run: &'a Run,
    config: &'a Config,
    dir: &'a Path,
    project: String,
    run_dir: RunDir,
    /// What the person says in the prompt.
    said: Vec<Message>,
    /// What the person said to the agents before, which a new conversation does not contain.
    said_before: Vec<Message>,
    /// The results of subtasks that the agent has not received.
    parts: Vec<PartResult>,
    /// Earlier runs that the agent does not remember.
    tried: Vec<Tried>,
}

/// Makes everything that a work run needs and has the runner take it.
pub async fn start_work(cx: &TaskContext, run: &Run, said: Vec<Message>) -> Result<Started, LaunchProblem> {
    let TaskContext { deps, settings, projects, task } = cx;
    if !deps.home.journal().exists() {
        // The engine is about to leave and to begin again with the journal written anew: nothing begins meanwhile.
        tokio::time::sleep(LEAVING).await;
    }
    let dir = cx.dir().map_err(LaunchProblem::Ask)?;
    if !dir.is_dir() {
        return Err(LaunchProblem::MissingDir(dir));
    }
    let config = settings.present_for_task(task, projects);
    let order = Order {
        cx,
        run,
        config: &config,
        dir: &dir,
        project: project_name(&dir, projects),
        run_dir: deps.run_dir(&run.id),
        said,
        said_before: said_before(deps, task, run).await?,
        parts: parts_of(deps, task, run).await?,
        tried: tried_before(deps, task, run).await?,
    };
    order.start().await
}

impl Order<'_> {
    async fn start(&self) -> Result<Started, LaunchProblem> {
        // A run that was started before a crash is found again, not prepared again.
        if !not_started(&self.run_dir)? {
            return match prepared(&self.run_dir)? {
                Some(started) => Ok(started),
                None => self.recovered().await,
            };
        }
        let name = names::session_name(&self.project, self.dir, self.cx.task.id, self.cx.task.runs);
        let opening = Opening::begin(&self.cx.deps, name, self.run_dir.clone())?;
        let prepared = self.make_ready().await;
        let is_prepared = prepared.is_ok();
        let started = opening.finish(prepared).await;
        if !is_prepared && let Err(error) = hidden::reveal(&self.cx.deps, &self.run_dir).await {
            tracing::warn!(run = %self.run.id, error, "files that were hidden from the agent are not back");
        }
        started
    }

    /// Everything that the waiting runner needs: the worktree, and last of all the launch.
    async fn make_ready(&self) -> Result<Started, LaunchProblem> {
        let repo = self.cx.deps.repository(self.dir).await.map_err(git_problem)?;
        let base = self.base_branch(&repo).await?;
        // Reads only, so it may run beside the making of the worktree; starting a program holds up its own task.
        let guarding = {
            let repo = repo.clone();
            tokio::spawn(async move { Guard::take(&repo).await })
        };
        let (worktree, place) = self.worktree(&repo, &base).await?;
        let guard = guarding.await.map_err(|e| ask(&e, None))?.map_err(git_problem)?;
        let beginning = Beginning {
            repo: &repo,
            checkout: &worktree.checkout,
            task: &self.cx.task,
            run: &self.run.id,
            sandbox: self.config.workflow.sandbox,
            redactor: self.config.redactor(&self.cx.deps.environment),
        };
        let mut own_refs = inspect_last_run(&self.cx.deps, &beginning).await?;
        own_refs.retain(|name, at| guard.has_ref(name, at));
        let before = Before { guard, own_refs };
        let env = self.workspace(&repo, &worktree).await?;
        let session = self.session();
        let started = Started { session_id: self.known_session(&session), place: Some(place.clone()) };
        let bytes = serde_json::to_vec(&started).map_err(|e| ask(&e, None))?;
        point!("prepared.before");
        fs::write_private(&prepared_file(&self.run_dir), &bytes, Durability::Cached).map_err(|e| failed(e, None))?;
        point!("prepared.after");
        let found = agent_program(&self.cx.deps, &self.run.agent, self.config.agent(&self.run.agent));
        let (agent, command) = found.map_err(LaunchProblem::Failed)?;
        let hidden = hidden::hide(&repo, &worktree.checkout, &self.run_dir, agent).await?;
        let prompt = self.prompt(&place, &session)? + &hidden::describe(&hidden);
        let request = self.request(&repo, &worktree, agent, command, session);
        forget_traces(&worktree.checkout.git_dir);
        point!("guard.before");
        before.keep(&self.run_dir).map_err(|e| failed(e, None))?;
        point!("guard.after");
        let terms = RunLimits { env, ..RunLimits::for_task(self.config, agent, &self.cx.task) };
        prepare_run(&self.cx.deps, self.run, agent, &request, terms, &prompt, handed(&self.said))?;
        Ok(started)
    }

    /// Makes the worktree ready to work in. Returns the task's own variables.
    async fn workspace(&self, repo: &Repo, worktree: &Worktree) -> Result<BTreeMap<String, String>, LaunchProblem> {
        let variables = &self.config.workspace.env;
        let env = leases::values(&self.cx.deps, variables, self.cx.task.id).await.map_err(LaunchProblem::Setup)?;
        let Self { cx, config, run, .. } = *self;
        let log = self.run_dir.path().join(SETUP_LOG);
        let workspace = Workspace { deps: &cx.deps, config, repo, run: &run.id, env: &env };
        let ready = workspace.ready(&worktree.checkout, Purpose::Work, &log).await;
        let hint = "mend that in .orch.yml or in the project; `orch init` approves the file and unblocking goes on";
        ready.map_err(|unready| LaunchProblem::Setup(format!("{}\n{hint}", unready.describe())))?;
        Ok(env)
    }

    /// What a run was given that its runner has taken already, where the note of it does not read: it is not flushed, and the
    /// power was cut, and with it the run. Where it worked is found again; how it ended is found out when it is judged.
    async fn recovered(&self) -> Result<Started, LaunchProblem> {
        tracing::warn!(run = %self.run.id, "prepared.json does not read; it is made anew");
        let repo = self.cx.deps.repository(self.dir).await.map_err(git_problem)?;
        let base = self.base_branch(&repo).await?;
        let (_, place) = self.worktree(&repo, &base).await?;
        Ok(Started { session_id: None, place: Some(place) })
    }

    async fn base_branch(&self, repo: &Repo) -> Result<BranchName, LaunchProblem> {
        let configured = match &self.cx.task.place {
            Some(place) => Some(place.base_branch.as_str()),
            None => self.config.workflow.base_branch.as_deref(),
        };
        if let (None, Some(name)) = (configured, &self.cx.task.base_branch)
            && let Ok(branch) = BranchName::parse(name)
            && repo.tip(&branch).await.map_err(git_problem)?.is_some()
        {
            return Ok(branch);
        }
        match repo.default_branch(configured).await {
            // The task's own base was there when its work began: a person has renamed it, or has not made it yet.
            Err(error @ GitError::BaseBranchMissing { .. }) if self.cx.task.place.is_some() => {
                let reason = format!("{error}; it goes on when the branch is back");
                Err(LaunchProblem::BaseAway(ExternalFailure::new(How::Vanished, reason)))
            }
            found => found.map_err(git_problem),
        }
    }

    async fn worktree(&self, repo: &Repo, base: &BranchName) -> Result<(Worktree, Workplace), LaunchProblem> {
        let finding = Finding { cx: self.cx, config: self.config, run: &self.run.id, repo, base };
        let start = finding.starting_point().await?;
        let recorded = self.cx.task.place.as_ref().and_then(|p| BranchName::parse(&p.branch).ok());
        let branch = match recorded {
            Some(branch) => branch,
            None => {
                crate::launch::new_branch::name(&self.cx.deps, repo, &self.cx.task, &self.project, &self.run_dir)
                    .await?
            }
        };
        let path = match &self.cx.task.place {
            Some(place) => place.worktree.clone(),
            None => self.cx.deps.home.worktrees().join(names::worktree_dir(&self.project, &branch)),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_private(self.cx.deps.home.worktrees())
                .and_then(|()| fs::create_dir_private(parent))
                .map_err(|e| failed(e, None))?;
        }
        let (commit, fetch) = (start.commit.as_deref(), self.cx.task.place.is_none());
        let request = WorktreeRequest { path: &path, branch: &branch, base, start: commit, fetch };
        point!("worktree.before");
        let worktree = repo.ensure_worktree(&request).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        point!("worktree.after");
        for note in &worktree.notes {
            tracing::info!(task = %self.cx.task.id, note, "about the worktree");
        }
        let place = workplace(&worktree, &branch, base, self.config, start);
        Ok((worktree, place))
    }

    fn next(&self) -> &NextRun {
        if let State::InProgress { next, .. } | State::Routed { next, .. } = &self.cx.task.state {
            return next;
        }
        &NextRun::Fresh
    }

    fn session(&self) -> Session {
        match &self.run.session_id {
            Some(id) => Session::Resume { id: id.clone() },
            None => Session::New { id: uuid::Uuid::new_v4().to_string() },
        }
    }

    /// Returns the conversation's id, as far as it is known before the agent speaks: only one dialect takes orch's.
    fn known_session(&self, session: &Session) -> Option<String> {
        let kind = self.config.agent(&self.run.agent).map(|agent| agent.kind);
        match (session, kind) {
            (Session::Resume { id }, _) | (Session::New { id }, Some(DialectKind::Claude)) => Some(id.clone()),
            (Session::New { .. }, _) => None,
        }
    }

    fn request(
        &self,
        repo: &Repo,
        worktree: &Worktree,
        agent: &AgentConfig,
        command: PathBuf,
        session: Session,
    ) -> LaunchRequest {
        let TaskContext { deps, task, .. } = self.cx;
        let title = format!("orch {}: {}", task.id, first_line(&task.spec.title));
        let checkout = &worktree.checkout;
        LaunchRequest {
            session,
            main_dir: Some(repo.root().to_owned()),
            git_dirs: Some(GitDirs { common: checkout.common_dir.clone(), own: checkout.git_dir.clone() }),
            sandbox: self.config.workflow.sandbox,
            trust_repository: agent.trust_repository,
            live: agent.live,
            ..launch_request(deps, self.run, agent, command, worktree.path.clone(), title, Answer::json_schema())
        }
    }

    fn prompt(&self, place: &Workplace, session: &Session) -> Result<String, LaunchProblem> {
        let templates =
            prompt_inputs::templates(&self.cx.deps.home, Some(&self.project)).map_err(LaunchProblem::Ask)?;
        let catalogue = prompt_inputs::catalogue(&self.cx.deps.home, Some(self.dir));
        let instructions = prompt_inputs::instructions(&place.worktree);
        let instructions: Vec<ProjectFile<'_>> =
            instructions.iter().map(|(path, text)| ProjectFile { path, text }).collect();
        let answer_format = Answer::prompt_text();
        let route = self.cx.task.route.as_ref();
        let profile = route.map_or_else(AgentProfile::default, |r| r.profile.clone());
        let wanted = route.map_or(&[][..], |r| r.selected_skills.as_slice());
        let skills = catalogue.select(wanted, &self.config.router.default_skills);
        let (worktree, main_dir) = (place.worktree.to_string_lossy(), self.dir.to_string_lossy());
        let written = TaskType::written(&self.cx.task.spec);
        let context = WorkContext {
            task_id: self.cx.task.id,
            title: &self.cx.task.spec.title,
            body: &self.cx.task.spec.body,
            labels: &self.cx.task.spec.labels,
            attempt: self.cx.task.progress.attempts,
            max_attempts: self.config.workflow.max_attempts,
            written: written.as_deref(),
            worktree: &worktree,
            main_dir: self.config.workflow.sandbox.then_some(&*main_dir),
            branch: &place.branch,
            base_branch: &place.base_branch,
            base_commit: &place.base,
            checks: &self.config.workflow.checks,
            profile: &profile,
            skills: &skills,
            instructions: &instructions,
            tried: &self.tried,
            answer_format: &answer_format,
        };
        let goes_on = matches!(session, Session::Resume { .. });
        let conversation = if goes_on { Conversation::Same } else { Conversation::Fresh };
        let before = self.said_before.iter().filter(|_| !goes_on);
        let said: Vec<&str> = before.chain(&self.said).map(|message| message.text.as_str()).collect();
        let prompt = match (self.next(), session) {
            (NextRun::Said, Session::Resume { .. }) if self.parts.is_empty() => {
                return Ok(message_prompt(&said, &answer_format, &templates));
            }
            (NextRun::Said | NextRun::Parts, Session::Resume { .. }) if !self.parts.is_empty() => String::new(),
            (NextRun::Fresh | NextRun::Said | NextRun::Parts, _) => work_prompt(&context, &templates),
            (NextRun::Resumed { before }, _) => resumed_prompt(&context, before.as_ref(), conversation, &templates),
            (NextRun::Again { feedback, .. }, Session::Resume { .. })
                if feedback.class == FailureClass::Malformed && self.cx.task.progress.repaired =>
            {
                repair_prompt(&feedback.detail, &answer_format, &templates)
            }
            (NextRun::Again { feedback, .. }, _) => {
                let again = Again {
                    class: feedback.class,
                    detail: &feedback.detail,
                    conflict: feedback.conflict.as_deref(),
                    conversation,
                };
                again_prompt(&context, &again, &templates)
            }
        };
        let prompt = match self.parts.as_slice() {
            [] => prompt,
            parts => {
                // The text before it ends with the format of the answer already.
                let conversation_so_far = if prompt.is_empty() { conversation } else { Conversation::Fresh };
                let parts = parts_prompt(&context, parts, conversation_so_far, &templates);
                if prompt.is_empty() { parts } else { format!("{}\n\n{parts}", prompt.trim_end()) }
            }
        };
        Ok(with_messages(prompt, &said, &templates))
    }
}

fn handed(said: &[Message]) -> Vec<Handed> {
    let of = |message: &Message| Handed {
        id: message.id,
        from: message.from,
        text: message.text.clone(),
        rendered: message.text.clone(),
    };
    said.iter().map(of).collect()
}

fn first_line(text: &str) -> String {
    orch_core::prompts::prompt::data::one_line(text, 80)
}

/// Writes what the runner needs; it takes the run as soon as this is done.
pub fn prepare_run(
    deps: &Deps,
    run: &Run,
    agent: &AgentConfig,
    request: &LaunchRequest,
    terms: RunLimits,
    prompt: &str,
    messages: Vec<Handed>,
) -> Result<(), LaunchProblem> {
    let spec = agent.kind.dialect().launch(request).map_err(|e| ask(&e, None))?;
    let mut environment = agent_env::for_agent(&deps.environment, &spec.pass_env, agent).map_err(|e| {
        ask(&format!("agents.{}.{e}", run.agent), Some("set it where the daemon is started".to_owned()))
    })?;
    if let (RunKind::Work, Some(dirs)) = (run.kind, &request.git_dirs) {
        for (name, value) in trace_variables(&trace_file(&dirs.own, run.id.as_str())) {
            environment.entry(name.to_owned()).or_insert(value);
        }
    }
    let launch = Launch {
        run_id: run.id.clone(),
        task_id: run.task,
        kind: run.kind,
        agent: run.agent.clone(),
        model: run.model.clone(),
        dialect: agent.kind,
        spec,
        limits: terms.limits,
        redact: terms.redact,
        messages,
        wake_socket: Some(deps.wake_socket.clone()),
    };
    let environment = terms.env.into_iter().chain(environment).collect();
    RunDir::new(request.run_dir.clone()).prepare(&launch, &environment, prompt).map_err(|e| failed(e, None))
}
