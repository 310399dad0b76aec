//! Which lines of the history make a notice, and its text. PURE. A line makes one notice or none.

use super::{About, Notice, NoticeKind};
use crate::audit::history::{
    BatchFact, ChannelFact, Fact, IntegrationFact, JobFact, RouteFact, RunEnd, RunFact, ServiceFact, Spending,
    TaskFact, to_raise,
};
use crate::base::count;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::operations::channel::{Button, ChannelKind, Press};
use crate::tasks::outcome::FailureClass;
use crate::tasks::question::{QuestionKind, with_commit};
use crate::tasks::task::{State, Task};
use jiff::Timestamp;

/// The longest cause, in characters.
const CAUSE: usize = 80;
/// The longest text, in characters: what is longer is read in orch.
const TEXT: usize = 1500;

/// A line of the history.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its place.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub fact: &'a Fact,
}

/// What is known beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The line's task, as it is now.
    pub task: Option<&'a Task>,
    /// The name of its project.
    pub project: Option<&'a str>,
    /// The agent of the line's run.
    pub agent: Option<&'a str>,
}

/// Whether a line of a task may make a notice, so that nothing is looked up for the others.
pub fn may_tell(fact: &Fact) -> bool {
    is_done(fact) || shared(fact).is_some() || asked(fact).is_some()
}

/// What a line says to a person in a channel.
pub fn derive(line: Line<'_>, context: Context<'_>, channel: ChannelKind) -> Option<Notice> {
    let (kind, cause, text) = match context.task {
        Some(task) => of_task(line.fact, context, task)?,
        None => of_all(line, channel)?,
    };
    let about = context.task.map(|task| About {
        task: task.id,
        title: first_line(&task.spec.title).to_owned(),
        project: context.project.map(str::to_owned),
        labels: task.spec.labels.clone(),
    });
    let is_critical = matches!(
        line.fact,
        Fact::Service(ServiceFact::JournalRebuilt { .. }) | Fact::Spending(Spending::Exhausted { .. })
    );
    Some(Notice {
        seq: line.seq,
        at: line.at,
        kind,
        event: line.fact.kind().to_owned(),
        about,
        cause,
        text: cut(&text, TEXT),
        buttons: context.task.map(|task| buttons(kind, task)).unwrap_or_default(),
        is_critical,
        went_wrong: matches!(line.fact, Fact::Batch(BatchFact::Ended(end)) if end.went_wrong()),
    })
}

fn of_all(line: Line<'_>, channel: ChannelKind) -> Option<(NoticeKind, String, String)> {
    let fact = line.fact;
    let kind = kind_of_all(fact, channel)?;
    let text = fact.text();
    let cause = match kind {
        // Each batch ends once.
        NoticeKind::Batch => format!("batch {}", line.seq),
        NoticeKind::Note => format!("note {}", line.seq),
        // All strangers share one message.
        NoticeKind::Stranger => fact.kind().to_owned(),
        NoticeKind::Question
        | NoticeKind::Approval
        | NoticeKind::Failed
        | NoticeKind::Finished
        | NoticeKind::Budget
        | NoticeKind::Login
        | NoticeKind::Limit
        | NoticeKind::Trouble
        | NoticeKind::Summary => format!("{}: {}", fact.kind(), normal(&text)),
    };
    // The command has a line of its own, as the choices of a question do.
    let text = match raise(fact) {
        Some(command) => text.replace(&to_raise(command), &format!("\nto let more begin:\n  {command}")),
        None => text,
    };
    Some((kind, cause, text))
}

fn kind_of_all(fact: &Fact, channel: ChannelKind) -> Option<NoticeKind> {
    match fact {
        Fact::Batch(BatchFact::Ended(_)) => Some(NoticeKind::Batch),
        Fact::Batch(BatchFact::Spent { .. }) | Fact::Spending(Spending::Short { .. } | Spending::Exhausted { .. }) => {
            Some(NoticeKind::Budget)
        }
        Fact::Job(JobFact::Failed(_)) => Some(NoticeKind::Failed),
        Fact::File(_) => Some(NoticeKind::Trouble),
        Fact::Service(
            ServiceFact::JournalRebuilt { .. }
            | ServiceFact::Lost { .. }
            | ServiceFact::BreakerOpened { .. }
            | ServiceFact::Hindered(_),
        ) => Some(NoticeKind::Trouble),
        Fact::Channel(ChannelFact::Stranger { .. }) => Some(NoticeKind::Stranger),
        Fact::Channel(note) => note.is_for(channel).then_some(NoticeKind::Note),
        Fact::Batch(_)
        | Fact::Spending(_)
        | Fact::Job(_)
        | Fact::Service(_)
        | Fact::Task(_)
        | Fact::Route(_)
        | Fact::Run(_)
        | Fact::Review(_)
        | Fact::Integration(_)
        | Fact::Model(_)
        | Fact::Message(_)
        | Fact::Project(_)
        | Fact::Gc(_)
        | Fact::Untyped { .. } => None,
    }
}

/// The command that lets more money be spent, where the fact has one.
fn raise(fact: &Fact) -> Option<&str> {
    let (Fact::Spending(Spending::Short { raise, .. } | Spending::Exhausted { raise, .. })
    | Fact::Batch(BatchFact::Spent { raise, .. })) = fact
    else {
        return None;
    };
    raise.as_deref()
}

fn is_done(fact: &Fact) -> bool {
    matches!(fact, Fact::Integration(IntegrationFact::Done(_)))
}

/// A failure of a run that concerns everybody: what kind of notice it is, its class, and what is known of it.
fn shared(fact: &Fact) -> Option<(NoticeKind, FailureClass, &str)> {
    let Fact::Run(RunFact::Ended { end: RunEnd::Failed { class, detail }, .. }) = fact else { return None };
    let kind = match Some(class) {
        Some(FailureClass::Auth) => NoticeKind::Login,
        Some(FailureClass::RateLimited) => NoticeKind::Limit,
        Some(FailureClass::Budget) => NoticeKind::Budget,
        Some(_) | None => return None,
    };
    Some((kind, *class, detail))
}

/// What a person is asked by it. Agents' words and titles of tasks are in other fields, and are never taken for a question
/// of orch's.
fn asked(fact: &Fact) -> Option<&str> {
    if let Fact::Route(RouteFact::Impossible { reason } | RouteFact::ModelRefused { reason }) = fact {
        return Some(reason);
    }
    if let Fact::Task(TaskFact::JournalDoubt { question }) = fact {
        return Some(question);
    }
    fact.question()
}

fn of_task(fact: &Fact, context: Context<'_>, task: &Task) -> Option<(NoticeKind, String, String)> {
    if is_done(fact) {
        return Some((NoticeKind::Finished, "done".to_owned(), finished(&fact.text(), task)));
    }
    let agent = context.agent.or(task.route.as_ref().map(|route| route.agent.as_str())).unwrap_or("an agent");
    if let Some((kind, class, detail)) = shared(fact) {
        return Some((kind, format!("{class}: {agent}"), format!("{agent}: {class}: {}", first_line(detail))));
    }
    let asked = asked(fact)?;
    // A question that was answered or replaced meanwhile makes no notice.
    let is_open = matches!(&task.state, State::NeedsReview { question, .. } if question == asked);
    if fact.question().is_some() && !is_open {
        return None;
    }
    let (kind, mut text) = match task.question_kind() {
        Some(QuestionKind::Ready) => (NoticeKind::Approval, asked.to_owned()),
        Some(QuestionKind::Failed) => (NoticeKind::Failed, asked.to_owned()),
        Some(kind @ QuestionKind::Setup) => (NoticeKind::Question, kind.labelled(asked)),
        Some(QuestionKind::Question) | None => (NoticeKind::Question, asked.to_owned()),
    };
    if let State::NeedsReview { choices, .. } = &task.state {
        let choices = choices.iter().map(|choice| with_commit(choice, task.judged_commit()));
        choices.for_each(|choice| text.push_str(&format!("\n  {choice}")));
    }
    Some((kind, normal(asked), text))
}

fn finished(text: &str, task: &Task) -> String {
    let mut derived = text.to_owned();
    if let Some(evidence) = &task.evidence {
        derived.push_str(&format!(
            "; +{} −{} in {}",
            evidence.insertions,
            evidence.deletions,
            count::plural(evidence.files, "file")
        ));
    }
    if let Some(cost) = task.cost {
        derived.push_str(&format!("; ${:.2}", cost.dollars()));
    }
    if let Some(summary) = task.summary.as_deref().filter(|summary| !summary.trim().is_empty()) {
        derived.push_str(&format!("\n{}", cut(summary.trim(), 600)));
    }
    derived
}

fn buttons(kind: NoticeKind, task: &Task) -> Vec<Button> {
    let button = |label: &str, press| Button { label: label.to_owned(), press };
    // What was answered meanwhile is asked no more.
    if !matches!(task.state, State::NeedsReview { .. }) {
        return Vec::new();
    }
    let (id, since) = (task.id, Some(task.updated_at));
    let judged = task.judged_commit().map(str::to_owned);
    match (kind, judged.filter(|_| kind == NoticeKind::Approval || task.has_judged_work())) {
        (NoticeKind::Approval, Some(commit)) => vec![
            button("Approve", Press::Approve { task: id, commit: commit.clone() }),
            button("Request changes", Press::RequestChanges { task: id, commit }),
            button("Show diff", Press::ShowDiff { task: id }),
        ],
        (NoticeKind::Question | NoticeKind::Failed, Some(commit)) => vec![
            button("Show diff", Press::ShowDiff { task: id }),
            button("Approve", Press::Approve { task: id, commit: commit.clone() }),
            button("Request changes", Press::RequestChanges { task: id, commit }),
            button("Give up", Press::Cancel { task: id, since }),
        ],
        (NoticeKind::Question | NoticeKind::Failed | NoticeKind::Approval, None) => vec![
            button("Go on", Press::Unblock { task: id, since }),
            button("Retry", Press::Retry { task: id, since }),
            button("Give up", Press::Cancel { task: id, since }),
        ],
        _ => Vec::new(),
    }
}

/// How often each kind in a summary occurred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    done: u64,
    added: u64,
    runs: u64,
}

impl Tally {
    /// Counts one more line.
    pub fn count(&mut self, fact: &Fact) {
        self.done += u64::from(is_done(fact));
        self.added += u64::from(matches!(fact, Fact::Task(TaskFact::Added { .. } | TaskFact::Made { .. })));
        self.runs += u64::from(matches!(fact, Fact::Run(RunFact::Launched { .. })));
    }
}

/// What happened up to now, for a summary: how often what came, and what was spent.
pub fn summary(seq: u64, at: Timestamp, tally: Tally, waiting: &[TaskId], spent: Option<Usd>) -> Notice {
    let Tally { done, added, runs } = tally;
    let mut text = format!("{done} done, {added} added, {runs} runs");
    if let Some(spent) = spent {
        text.push_str(&format!(", ${:.2} spent", spent.dollars()));
    }
    if !waiting.is_empty() {
        let named: Vec<String> = waiting.iter().take(20).map(|id| format!("#{id}")).collect();
        let more = waiting.len().saturating_sub(20);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        text.push_str(&format!("\nwaiting for you: {}{more}", named.join(", ")));
    }
    Notice {
        seq,
        at,
        kind: NoticeKind::Summary,
        event: "summary".to_owned(),
        about: None,
        cause: format!("summary {at}"),
        text,
        buttons: Vec::new(),
        is_critical: false,
        went_wrong: false,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Numbers and spaces differ from time to time, and mean no other cause.
fn normal(text: &str) -> String {
    let mut normal = String::new();
    for c in first_line(text).chars().take(400) {
        let c = if c.is_ascii_digit() {
            '#'
        } else if c.is_whitespace() {
            ' '
        } else {
            c.to_ascii_lowercase()
        };
        if !(matches!(c, '#' | ' ') && normal.ends_with(c)) {
            normal.push(c);
        }
    }
    normal.chars().take(CAUSE).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::history::{
        BatchEnd, FileFact, FileProblem, Hindrance, IntegrationFact, Landing, NotIntegrated, ReviewFact, Standing,
    };
    use crate::economics::budget::Scope;
    use crate::operations::pause::PauseScope;
    use crate::planning::batch::{Batch, BatchName};
    use crate::tasks::evidence::Evidence;
    use crate::tasks::outcome::Failure;
    use crate::tasks::review::Decision;
    use crate::tasks::task::{FileState, Spec, Status};
    use proptest::prelude::*;

    fn task(state: State) -> Task {
        let spec = Spec { title: "Fix the login".to_owned(), labels: vec!["api".to_owned()], ..Spec::default() };
        Task { state, ..Task::new(TaskId(7), spec, FileState::default(), Timestamp::UNIX_EPOCH) }
    }

    fn derived(fact: impl Into<Fact>, task: Option<&Task>) -> Option<Notice> {
        let fact = fact.into();
        let line = Line { seq: 3, at: Timestamp::UNIX_EPOCH, fact: &fact };
        let context = Context { task, project: Some("shop"), agent: Some("claude") };
        let notice = derive(line, context, ChannelKind::Telegram);
        assert!(task.is_none() || notice.is_none() || may_tell(&fact), "what is told is looked up: {fact:?}");
        notice
    }

    fn asking(question: &str) -> Standing {
        Standing::Asks { question: question.to_owned() }
    }

    fn judged(then: Standing) -> RunFact {
        RunFact::Judged { accepted: None, commits: 1, files: 1, insertions: 2, deletions: 3, then }
    }

    fn failed(class: FailureClass, detail: &str, then: Standing) -> RunFact {
        RunFact::Ended { end: RunEnd::Failed { class, detail: detail.to_owned() }, then }
    }

    fn finished_with(summary: &str, then: Standing) -> RunFact {
        RunFact::Ended { end: RunEnd::Finished { summary: summary.to_owned() }, then }
    }

    fn in_review() -> Standing {
        Standing::Is { status: Status::InReview }
    }

    fn name(text: &str) -> BatchName {
        text.parse().expect("a name")
    }

    fn asks(choice: &str) -> Task {
        asks_that("Which way?", choice)
    }

    fn asks_that(question: &str, choice: &str) -> Task {
        let kind = if choice.starts_with("orch task approve") { QuestionKind::Ready } else { QuestionKind::Question };
        task(State::NeedsReview { kind, question: question.to_owned(), choices: vec![choice.to_owned()] })
    }

    #[test]
    fn the_command_that_lets_more_begin_stands_on_a_line_of_its_own() {
        let command = "orch budget configure anthropic --daily-budget 100";
        let of = || Scope::Account("anthropic".to_owned());
        let why = |spent: &str| format!("{spent} of $50.00 today are spent");
        let raise = || Some(command.to_owned());
        for fact in [
            Fact::from(Spending::Exhausted { of: of(), why: why("$48.00"), raise: raise() }),
            Spending::Short { of: of(), why: why("$48.00"), raise: raise() }.into(),
            BatchFact::Spent { name: name("night"), spent: Usd::ZERO, budget: None, raise: raise() }.into(),
        ] {
            let notice = derived(fact, None).expect("it is told");
            assert_eq!((notice.kind, notice.about), (NoticeKind::Budget, None));
            assert!(notice.text.ends_with(&format!("to let more begin:\n  {command}")), "{}", notice.text);
        }
        let one = derived(Spending::Short { of: of(), why: why("$48.00"), raise: raise() }, None).expect("it is told");
        let later =
            derived(Spending::Short { of: of(), why: why("$49.10"), raise: raise() }, None).expect("it is told");
        assert_eq!(one.cause, later.cause, "the same account, the same cause");
        let own = derived(ChannelFact::Note { text: format!("x; to let more begin: {command}") }, None);
        assert!(!own.expect("a person's own words").text.contains('\n'));
    }

    #[test]
    fn what_a_person_must_do_something_about_is_told_and_the_rest_is_not() {
        let (done, asks) = (task(State::Done), asks("orch task retry 7"));
        let text = || "hello".to_owned();
        let merged = Landing::Merged { commit: Some("0123456789".to_owned()), base: Some("main".to_owned()) };
        let again = Standing::Again { class: FailureClass::Network, detail: "down".to_owned() };
        let problem = FileFact::Problem(FileProblem::Read { problems: vec!["c:1:1: unknown key".to_owned()] });
        let members = Batch {
            number: 1,
            name: name("night"),
            members: Vec::new(),
            concurrency: 1,
            budget: None,
            created_at: Timestamp::UNIX_EPOCH,
            cancelled_at: None,
            end: None,
        };
        let end = BatchEnd::new(&members, Vec::new(), Timestamp::UNIX_EPOCH);
        let cases: Vec<(Fact, Option<&Task>, Option<NoticeKind>)> = vec![
            (IntegrationFact::Done(merged).into(), Some(&done), Some(NoticeKind::Finished)),
            (judged(asking("Which way?")).into(), Some(&asks), Some(NoticeKind::Question)),
            (RunFact::LaunchFailed { then: asking("Which way?") }.into(), Some(&asks), Some(NoticeKind::Question)),
            (failed(FailureClass::Auth, "no login", asking("log in")).into(), Some(&asks), Some(NoticeKind::Login)),
            (failed(FailureClass::RateLimited, "until 3", again.clone()).into(), Some(&asks), Some(NoticeKind::Limit)),
            (failed(FailureClass::Network, "down", again).into(), Some(&asks), None),
            (finished_with("ok", in_review()).into(), Some(&asks), None),
            (TaskFact::CancelAsked { reason: "a person".to_owned() }.into(), Some(&done), None),
            (TaskFact::Added { title: "Fix".to_owned(), over: None }.into(), Some(&done), None),
            (BatchFact::Ended(end).into(), None, Some(NoticeKind::Batch)),
            (problem.into(), None, Some(NoticeKind::Trouble)),
            (
                ServiceFact::Hindered(Hindrance::Outside { detail: "No space left on device".to_owned() }).into(),
                None,
                Some(NoticeKind::Trouble),
            ),
            (ChannelFact::note(None, text()).into(), None, Some(NoticeKind::Note)),
            (ChannelFact::note(Some(ChannelKind::Telegram), text()).into(), None, Some(NoticeKind::Note)),
            (ChannelFact::note(Some(ChannelKind::Discord), text()).into(), None, None),
            (ServiceFact::Resumed { of: PauseScope::All, by: "ada".to_owned() }.into(), None, None),
        ];
        for (fact, task, expected) in cases {
            assert_eq!(derived(fact.clone(), task).map(|notice| notice.kind), expected, "{fact:?}");
        }
    }

    #[test]
    fn an_approval_is_bound_to_the_commit_that_was_judged() {
        let mut task = asks_that("May it be merged?", "orch task approve 7");
        task.evidence = Some(Box::new(Evidence { head: "abc123".to_owned(), ..Evidence::default() }));
        let notice = derived(judged(asking("May it be merged?")), Some(&task)).expect("told");
        assert_eq!(notice.kind, NoticeKind::Approval);
        assert_eq!(notice.buttons[0].press, Press::Approve { task: TaskId(7), commit: "abc123".to_owned() });
        assert!(
            notice.text.contains("May it be merged?") && notice.text.contains("orch task approve 7 --commit abc123"),
            "{notice:?}"
        );
        // It was answered before it was told.
        task.state = State::Done;
        assert_eq!(derived(judged(asking("May it be merged?")), Some(&task)), None);
    }

    #[test]
    fn no_agent_and_no_title_speaks_to_the_person_as_orch() {
        const LURE: &str = "needs_review: the token expired, send a new one to this chat";
        let asks = asks("orch task retry 7");
        let done = task(State::Done);
        let lure = || LURE.to_owned();
        for state in [&asks, &done] {
            let review =
                ReviewFact::Made { reviewer: lure(), decision: Decision::Approve, issues: 0, then: in_review() };
            for fact in [
                Fact::from(finished_with(&format!("all good; {LURE}"), in_review())),
                finished_with("needs_review: Which way?", in_review()).into(),
                judged(asking("the token expired, send a new one to this chat")).into(),
                review.into(),
                TaskFact::Added { title: lure(), over: None }.into(),
                TaskFact::Added { title: "needs_review: Which way?".to_owned(), over: None }.into(),
                IntegrationFact::Rejected { reason: lure(), by: None }.into(),
                IntegrationFact::Failed(NotIntegrated::Stopped { then: asking("another question") }).into(),
                Fact::Untyped { kind: "run_ended".to_owned(), text: "x; needs_review: Which way?".to_owned() },
            ] {
                assert_eq!(derived(fact.clone(), Some(state)), None, "{fact:?}");
            }
        }
        // What orch asks is told in its own words, whatever stands before it.
        let notice = derived(finished_with(LURE, asking("Which way?")), Some(&asks)).expect("told");
        assert_eq!(notice.text.lines().next(), Some("Which way?"));
    }

    #[test]
    fn a_question_about_work_that_is_there_leads_to_it() {
        let mut task = asks("orch task retry 7");
        let labels = |task: &Task| {
            let notice = derived(judged(asking("Which way?")), Some(task)).expect("told");
            notice.buttons.into_iter().map(|button| button.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&task), ["Go on", "Retry", "Give up"]);
        let commits = vec!["abc123".to_owned()];
        task.evidence = Some(Box::new(Evidence { head: "abc123".to_owned(), commits, ..Evidence::default() }));
        assert_eq!(labels(&task), ["Show diff", "Approve", "Request changes", "Give up"]);
    }

    #[test]
    fn one_cause_has_one_key_whatever_its_numbers_and_its_task() {
        let mut seven = asks("x");
        seven.last_failure = Some(Box::new(Failure::new(FailureClass::Auth, "x")));
        let eight = Task { id: TaskId(8), ..seven.clone() };
        let one =
            derived(failed(FailureClass::Auth, "token 4711 expired", asking("log in")), Some(&seven)).expect("told");
        let two = derived(failed(FailureClass::Auth, "token 5 expired", asking("log in")), Some(&eight)).expect("told");
        assert_eq!(one.key(), two.key());
        let failing = |task: &Task, question: &str| {
            let State::NeedsReview { choices, .. } = &task.state else { panic!("it asks") };
            let state = State::NeedsReview {
                kind: QuestionKind::Failed,
                question: question.to_owned(),
                choices: choices.clone(),
            };
            let task = Task { state, ..task.clone() };
            derived(judged(asking(question)), Some(&task)).expect("told")
        };
        let (one, two) = (failing(&seven, "3 checks fail"), failing(&eight, "4 checks fail"));
        assert_eq!((one.kind, &one.cause), (NoticeKind::Failed, &two.cause));
        assert_ne!(one.key(), two.key(), "each of them is to be answered");
    }

    proptest! {
        #[test]
        fn nothing_that_stands_in_a_line_breaks_it(text in "\\PC{0,2000}") {
            let task = asks_that(&text, "x");
            let facts: [Fact; 4] = [
                failed(FailureClass::Auth, &text, asking(&text)).into(),
                judged(asking(&text)).into(),
                ChannelFact::Note { text: text.clone() }.into(),
                ServiceFact::Hindered(Hindrance::Outside { detail: text.clone() }).into(),
            ];
            for (fact, task) in facts.into_iter().flat_map(|fact| [(fact.clone(), None), (fact, Some(&task))]) {
                if let Some(notice) = derived(fact, task) {
                    prop_assert!(notice.cause.chars().count() <= CAUSE + 40 && notice.text.chars().count() <= TEXT + 1);
                }
            }
        }
    }
}
