//! What the API answers, as a chat shows it. PURE. Chats have their own commands, so that what the terminal's commands
//! are named by is said in the chat's.

use super::words::COMMANDS;
use crate::api::client::ClientError;
use crate::api::cost::CostView;
use crate::api::messages::MessageView;
use crate::api::rulings::DiffView;
use crate::api::status::{Overview, SpendView};
use crate::api::switches::PausesView;
use crate::api::types::{ErrorCode, RowsView, TaskView, WhyView};
use crate::domain::channel::{Button, Document, Passage, Press, Saying, Span};
use crate::domain::count;
use crate::domain::ids::TaskId;
use crate::domain::message::MessageState;
use crate::domain::money::Usd;
use crate::domain::ruling::short;
use crate::domain::task::Status;

/// Of each list at most so many lines.
const FEW: usize = 10;
/// Of a list of tasks.
const MANY: usize = 40;
/// The longest text of a machine that stands in a message, in UTF-16 units; longer ones go with it as a file.
const LONGEST_BLOCK: usize = 3_000;
/// The longest passage of somebody's words, in characters.
const LONGEST_WORDS: usize = 1_500;
/// The longest title.
const LONGEST_TITLE: usize = 200;

fn words(text: impl Into<String>) -> Span {
    Span::Plain(text.into())
}

fn bold(text: impl Into<String>) -> Span {
    Span::Bold(text.into())
}

fn code(text: impl Into<String>) -> Span {
    Span::Code(text.into())
}

/// A sentence.
pub fn sentence(text: impl Into<String>) -> Saying {
    Saying { passages: vec![Passage::plain(text)], ..Saying::default() }
}

/// A sentence about a task.
pub fn about(task: TaskId, text: impl Into<String>) -> Saying {
    Saying { task: Some(task), ..sentence(text) }
}

/// A text cut to so many characters.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Commands of the terminal in the words of a chat: `orch task show 7` is `/show 7`.
pub fn in_chat_words(text: &str) -> String {
    let mut text = text.replace("orch task unblock --all", "/unblock all").replace(" -m \"…\"", " REASON");
    for known in COMMANDS {
        for said in [format!("orch task {}", known.name), format!("orch {}", known.name)] {
            text = text.replace(&format!("{said} "), &format!("/{} ", known.name));
            text = text.replace(&format!("`{said}`"), &format!("`/{}`", known.name));
        }
    }
    text
}

/// Why something was not done.
pub fn refused(error: &ClientError, task: Option<TaskId>) -> Saying {
    let mut passages = vec![Passage::plain(cut(&in_chat_words(&error.to_string()), LONGEST_WORDS))];
    if let ClientError::Answered(view) = error
        && let Some(hint) = &view.hint
    {
        passages.push(Passage::Line(vec![words("Next: "), code(cut(&in_chat_words(hint), LONGEST_WORDS))]));
    }
    // What is not there has no thread.
    let is_there = !matches!(error, ClientError::Answered(view) if view.code == ErrorCode::NotFound);
    let task = task.filter(|_| is_there);
    Saying { passages, task, ..Saying::default() }
}

/// All commands.
pub fn help() -> Saying {
    let line = |name: &str, takes: &str, does: &str| {
        let said = if takes.is_empty() { format!("/{name}") } else { format!("/{name} {takes}") };
        Passage::Line(vec![code(said), words(format!("  {does}"))])
    };
    let mut passages: Vec<Passage> = COMMANDS.iter().map(|known| line(known.name, known.takes, known.does)).collect();
    passages.push(Passage::plain("In a task's thread commands need no number, and other words go to its agent."));
    Saying { passages, ..Saying::default() }
}

/// How things stand.
pub fn overview(overview: &Overview) -> Saying {
    let status = &overview.status;
    let state = match (&status.shutting_down, status.idle) {
        (Some(leaving), _) => leaving.how.told(),
        (None, true) => "nothing to do",
        (None, false) => "at work",
    };
    let known = Status::ALL.iter().filter_map(|s| Some((s.as_str(), status.counts.get(s.as_str())?)));
    let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let mut passages = vec![
        Passage::Line(vec![bold(format!("orch {}: {state}", status.version))]),
        Passage::plain(format!("Tasks: {counts}")),
        Passage::plain(format!("Today: {}", spend(&overview.today))),
    ];
    passages.extend(status.paused.iter().take(FEW).map(|pause| Passage::plain(in_chat_words(&pause.told))));
    let open = status.breakers.iter().take(FEW).map(|breaker| format!("Breaker {} is open", breaker.name));
    passages.extend(open.map(Passage::plain));
    passages.extend(status.problems.iter().take(FEW).map(|problem| Passage::plain(cut(problem, LONGEST_WORDS))));
    let running = overview.running.iter().map(|run| {
        let doing = run.last_line.as_deref().map(|line| format!(": {}", cut(line, 80))).unwrap_or_default();
        row(run.task_id, &format!("{} {}{doing}", worker(&run.agent, run.model.as_deref()), cut(&run.title, 60)))
    });
    list(&mut passages, "At work", running.collect());
    let asks = |id, title: &str, question: &str| {
        row(id, &format!("{}: {}", cut(title, 60), cut(question.lines().next().unwrap_or_default(), 160)))
    };
    let needs = overview.needs_you.iter().map(|view| asks(view.id, &view.title, &view.question));
    list(&mut passages, "Needs you", needs.collect());
    Saying { passages, ..Saying::default() }
}

fn row(id: TaskId, text: &str) -> Passage {
    Passage::Line(vec![bold(format!("#{id} ")), words(text)])
}

fn list(passages: &mut Vec<Passage>, title: &str, mut rows: Vec<Passage>) {
    let more = rows.len().saturating_sub(FEW);
    if rows.is_empty() {
        return;
    }
    rows.truncate(FEW);
    passages.push(Passage::Line(vec![bold(title)]));
    passages.append(&mut rows);
    if more > 0 {
        passages.push(Passage::plain(format!("… and {more} more")));
    }
}

fn worker(agent: &str, model: Option<&str>) -> String {
    model.map_or_else(|| agent.to_owned(), |model| format!("{agent}/{model}"))
}

fn spend(today: &SpendView) -> String {
    money(today.cost_usd, today.runs, today.unpriced)
}

fn money(sum: Option<Usd>, runs: u64, unpriced: u64) -> String {
    let sum = sum.map_or_else(|| "unknown".to_owned(), |sum| sum.to_string());
    let runs = count::of(runs, "run");
    let unpriced = if unpriced > 0 { format!(", {unpriced} without a price") } else { String::new() };
    format!("{sum} ({runs}{unpriced})")
}

/// Tasks that are not over.
pub fn rows(view: &RowsView) -> Saying {
    let is_open = |status: Status| !matches!(status, Status::Done | Status::Cancelled);
    let mut open: Vec<_> = view.rows.iter().filter(|task| is_open(task.status)).collect();
    // The newest are looked for most.
    open.reverse();
    let more = open.len().saturating_sub(MANY);
    let mut passages: Vec<Passage> = open
        .iter()
        .take(MANY)
        .map(|task| row(task.id, &format!("{}: {}", task.status.as_str(), cut(&task.title, 100))))
        .collect();
    if passages.is_empty() {
        return sentence("There are no tasks that are not over.");
    }
    if more > 0 {
        passages.push(Passage::plain(format!("… and {more} older ones")));
    }
    Saying { passages, ..Saying::default() }
}

/// One task, with what can be pressed.
pub fn task(view: &TaskView) -> Saying {
    let mut facts = vec![view.status.as_str().to_owned()];
    facts.extend(view.route.as_ref().map(|route| worker(&route.agent, route.model.as_deref())));
    facts.extend((view.attempts > 0).then(|| format!("attempt {}", view.attempts)));
    facts.extend(view.cost_usd.map(|cost| cost.to_string()));
    facts.extend(view.project.clone());
    let title = cut(view.title.lines().next().unwrap_or_default(), LONGEST_TITLE);
    let mut passages =
        vec![Passage::Line(vec![bold(format!("#{} {title}", view.id))]), Passage::plain(facts.join(" · "))];
    if let Some(hold) = &view.hold {
        passages.push(Passage::plain(cut(&in_chat_words(&hold.detail), LONGEST_WORDS)));
    }
    if let Some(question) = &view.question {
        passages.push(Passage::plain(cut(question, LONGEST_WORDS)));
    } else if let Some(summary) = &view.summary {
        passages.push(Passage::plain(cut(summary, LONGEST_WORDS)));
    }
    if let Some(Some(evidence)) = &view.evidence {
        let (commits, files) = (count::of(evidence.commits.len(), "commit"), count::of(evidence.files, "file"));
        let told = format!("{commits}, +{} −{} in {files}", evidence.insertions, evidence.deletions);
        passages.push(Passage::Line(vec![words(format!("{told}, at ")), code(short(&evidence.head))]));
    }
    let choices = view.choices.iter().map(|choice| Passage::Line(vec![code(in_chat_words(choice))]));
    passages.extend(choices.take(FEW));
    Saying { passages, buttons: buttons(view), task: Some(view.id), ..Saying::default() }
}

/// What can be pressed about a task as it stands.
pub fn buttons(view: &TaskView) -> Vec<Button> {
    let task = view.id;
    match view.status {
        Status::NeedsReview => {
            let commit = view.evidence.iter().flatten().find(|evidence| !evidence.commits.is_empty());
            let mut buttons = commit.map_or_else(Vec::new, |evidence| ruling(task, &evidence.head));
            if buttons.is_empty() {
                buttons.push(Button { label: "Retry".to_owned(), press: Press::Retry { task } });
                buttons.push(Button { label: "Cancel".to_owned(), press: Press::Cancel { task } });
            } else {
                buttons.push(Button { label: "Show diff".to_owned(), press: Press::ShowDiff { task } });
            }
            buttons
        }
        Status::Blocked => vec![Button { label: "Unblock".to_owned(), press: Press::Unblock { task } }],
        Status::New | Status::Routed | Status::InProgress | Status::InReview | Status::Done | Status::Cancelled => {
            Vec::new()
        }
    }
}

fn ruling(task: TaskId, head: &str) -> Vec<Button> {
    let commit = head.to_owned();
    vec![
        Button { label: "Approve".to_owned(), press: Press::Approve { task, commit: commit.clone() } },
        Button { label: "Request changes".to_owned(), press: Press::RequestChanges { task, commit } },
    ]
}

/// Why a task does not move.
pub fn why(view: &WhyView) -> Saying {
    let passages = vec![
        Passage::Line(vec![bold(format!("#{} is {}", view.id, view.status.as_str()))]),
        Passage::plain(cut(&in_chat_words(&view.because), LONGEST_WORDS)),
        Passage::Line(vec![words("Next: "), words(cut(&in_chat_words(&view.next), LONGEST_WORDS))]),
    ];
    Saying { passages, task: Some(view.id), ..Saying::default() }
}

/// What became of words for an agent: the receipt.
pub fn receipt(view: &MessageView) -> Saying {
    let state = match view.state {
        MessageState::Delivered => "The agent has it",
        MessageState::Queued => "It is on its way",
        MessageState::Refused => "It was not taken",
    };
    let detail = if view.detail.is_empty() { String::new() } else { format!(": {}", in_chat_words(&view.detail)) };
    about(view.task_id, cut(&format!("{state}{detail}"), LONGEST_WORDS))
}

/// What a branch would change, and buttons for whoever has seen it.
pub fn diff(view: &DiffView, status: Status) -> Saying {
    let commits = count::of(view.commits, "commit");
    let mut passages = vec![
        Passage::Line(vec![bold(format!("#{} {} → {}", view.task_id, view.branch, view.base_branch))]),
        Passage::Line(vec![
            words(format!(
                "{commits}, +{} −{} in {}, at ",
                view.insertions,
                view.deletions,
                count::of(view.files.len(), "file")
            )),
            code(short(&view.head)),
        ]),
    ];
    let (block, document) =
        shown(view.patch.as_deref().unwrap_or_default(), &format!("{}.diff", view.task_id), Part::Begin);
    if document.is_some() {
        let files = view.files.iter().map(|file| format!("+{} −{} {}", file.insertions, file.deletions, file.path));
        let mut files: Vec<String> = files.take(MANY).collect();
        if view.files.len() > MANY {
            files.push(format!("… and {} more", view.files.len() - MANY));
        }
        passages.push(Passage::Block(cut(&files.join("\n"), LONGEST_BLOCK)));
    } else if !block.is_empty() {
        passages.push(Passage::Block(block));
    }
    passages.extend((!view.omitted.is_empty()).then(|| {
        Passage::plain(format!("Left out, because too large: {}", cut(&view.omitted.join(", "), LONGEST_WORDS)))
    }));
    let asks = status == Status::NeedsReview && view.commits > 0;
    let buttons = if asks { ruling(view.task_id, &view.head) } else { Vec::new() };
    Saying { passages, buttons, document, task: Some(view.task_id), is_urgent: false }
}

/// The end of a transcript.
pub fn log(task: TaskId, text: &str) -> Saying {
    if text.trim().is_empty() {
        return about(task, "There is no output yet.");
    }
    let (block, document) = shown(text, &format!("{task}.log"), Part::End);
    let passages = vec![Passage::Line(vec![bold(format!("#{task} the end of its transcript"))]), Passage::Block(block)];
    Saying { passages, document, task: Some(task), ..Saying::default() }
}

/// Which part of a long text stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Begin,
    End,
}

/// A text in a message, whole, or a part of it and the whole as a file.
fn shown(text: &str, name: &str, part: Part) -> (String, Option<Document>) {
    let units = |text: &str| text.encode_utf16().count();
    if units(text) <= LONGEST_BLOCK {
        return (text.to_owned(), None);
    }
    let document = Document { name: name.to_owned(), text: text.to_owned() };
    let mut room = LONGEST_BLOCK;
    let mut fits = |line: &&str| {
        let length = units(line) + 1;
        let does = length <= room;
        room = room.saturating_sub(length);
        does
    };
    let lines: Vec<&str> = match part {
        Part::Begin => text.lines().take_while(|line| fits(line)).collect(),
        Part::End => {
            let mut lines: Vec<&str> = text.lines().rev().take_while(|line| fits(line)).collect();
            lines.reverse();
            lines
        }
    };
    (lines.join("\n"), Some(document))
}

/// What was spent.
pub fn cost(today: &SpendView, all: &CostView) -> Saying {
    let mut passages = vec![Passage::plain(format!("Today: {}", spend(today)))];
    let total = &all.total;
    passages.push(Passage::plain(format!("In all: {}", money(total.cost_usd, total.runs, total.unpriced))));
    let agents = all.rows.iter().take(FEW).map(|row| {
        let key = row.key.as_deref().unwrap_or("no agent");
        Passage::plain(format!("  {key}: {}", money(row.cost_usd, row.runs, row.unpriced)))
    });
    passages.extend(agents);
    Saying { passages, ..Saying::default() }
}

/// What is paused.
pub fn pauses(view: &PausesView) -> Saying {
    let mut passages: Vec<Passage> =
        view.paused.iter().take(FEW).map(|pause| Passage::plain(in_chat_words(&pause.told))).collect();
    if passages.is_empty() {
        passages.push(Passage::plain(if view.changed { "It goes on." } else { "Nothing was paused." }));
    }
    Saying { passages, ..Saying::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rulings::FileView;
    use crate::api::types::ErrorView;
    use proptest::prelude::*;

    #[test]
    fn what_the_terminal_would_type_is_said_in_the_chats_words() {
        assert_eq!(in_chat_words("look at it again: orch task diff 7"), "look at it again: /diff 7");
        assert_eq!(in_chat_words("orch task reject 7 -m \"…\", or orch task retry 7"), "/reject 7 REASON, or /retry 7");
        assert_eq!(in_chat_words("`orch resume` lets it go on"), "`/resume` lets it go on");
        assert_eq!(in_chat_words("orch config show"), "orch config show");
    }

    #[test]
    fn a_refusal_says_what_to_write_next() {
        let hint = Some("look at it again: orch task diff 7".to_owned());
        let view = ErrorView { code: ErrorCode::Conflict, message: "task 7: it moved".to_owned(), hint };
        let told = refused(&ClientError::Answered(view), Some(TaskId(7))).plain_text();
        assert_eq!(told, "task 7: it moved\nNext: look at it again: /diff 7\n");
    }

    fn difference(patch: &str) -> DiffView {
        DiffView {
            task_id: TaskId(7),
            branch: "orch/7-x".to_owned(),
            base_branch: "main".to_owned(),
            base: "b".repeat(40),
            head: "a".repeat(40),
            commits: 2,
            files: vec![FileView { path: "a.rs".to_owned(), insertions: 3, deletions: 1 }],
            insertions: 3,
            deletions: 1,
            patch: Some(patch.to_owned()),
            omitted: vec![],
        }
    }

    #[test]
    fn a_short_diff_stands_in_the_message_and_a_long_one_goes_as_a_file() {
        let saying = diff(&difference("+one\n-two\n"), Status::NeedsReview);
        assert!(saying.plain_text().ends_with("+one\n-two\n") && saying.document.is_none());
        let commit = "a".repeat(40);
        assert_eq!(saying.buttons[0].press, Press::Approve { task: TaskId(7), commit });
        let long = "+a line of code\n".repeat(1_000);
        let saying = diff(&difference(&long), Status::InProgress);
        assert_eq!(saying.document, Some(Document { name: "7.diff".to_owned(), text: long }));
        assert!(saying.plain_text().ends_with("+3 −1 a.rs\n") && saying.buttons.is_empty());
    }

    proptest! {
        #[test]
        fn the_end_of_a_transcript_fits_and_is_its_end(lines in prop::collection::vec("\\PC{0,80}", 0..120)) {
            let text = lines.join("\n");
            let saying = log(TaskId(7), &text);
            prop_assert!(saying.plain_text().encode_utf16().count() <= LONGEST_BLOCK + 100);
            match saying.document {
                Some(document) => prop_assert_eq!(document.text, text),
                None => prop_assert!(text.encode_utf16().count() <= LONGEST_BLOCK),
            }
        }
    }
}
