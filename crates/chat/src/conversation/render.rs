//! Renders answers of the API as chat messages. PURE. Replaces commands of the terminal by those of the chat.

use super::parse::COMMANDS;
use orch_api::client::ClientError;
use orch_api::cost::CostView;
use orch_api::error::ErrorCode;
use orch_api::messages::MessageView;
use orch_api::rulings::DiffView;
use orch_api::status::{Overview, SpendView};
use orch_api::switches::PausesView;
use orch_api::types::{NewProject, RowsView, TaskView, WhyView};
use orch_core::base::count;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::operations::channel::{Block, Button, ChatMessage, Document, Press, Span};
use orch_core::tasks::message::MessageState;
use orch_core::tasks::question::with_commit;
use orch_core::tasks::review_decision::short;
use orch_core::tasks::task::Status;
use std::path::PathBuf;

/// Maximum number of lines of each list.
const FEW: usize = 10;
/// Maximum number of lines of a list of tasks.
const MANY: usize = 40;
/// Longest diff or log in a message, in UTF-16 units; longer ones are attached as a file.
const LONGEST_BLOCK: usize = 3_000;
/// Longest text of an agent or a person in one block, in characters.
const LONGEST_WORDS: usize = 1_500;
/// Longest title, in characters.
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

/// Creates a message of one line.
pub fn sentence(text: impl Into<String>) -> ChatMessage {
    ChatMessage { blocks: vec![Block::Line(mark_code(&text.into()))], ..ChatMessage::default() }
}

/// Creates a message of one line about a task.
pub fn about(task: TaskId, text: impl Into<String>) -> ChatMessage {
    ChatMessage { task: Some(task), ..sentence(text) }
}

/// Shortens a text to this number of characters.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Replaces commands of the terminal by those of the chat: `orch task show 7` becomes `/show 7`.
pub fn chat_commands(text: &str) -> String {
    let mut text = text.replace("orch task unblock --all", "/unblock all").replace(" -m \"…\"", " REASON");
    if let Some(at) = text.find("orch task approve ") {
        // A chat names the commit without a flag.
        text.replace_range(at.., &text[at..].replacen(" --commit ", " ", 1));
    }
    text = text.replace("orch task list", "/tasks");
    for known in COMMANDS {
        for said in [format!("orch task {}", known.name), format!("orch {}", known.name)] {
            text = text.replace(&format!("{said} "), &format!("/{} ", known.name));
            text = text.replace(&format!("`{said}`"), &format!("`/{}`", known.name));
            if let Some(before) = text.strip_suffix(&said) {
                text = format!("{before}/{}", known.name);
            }
        }
    }
    text
}

/// Splits a line into spans in which commands and text between backticks are code, so that they can be copied.
pub fn mark_code(text: &str) -> Vec<Span> {
    let segments: Vec<&str> = text.split('`').collect();
    if segments.len().is_multiple_of(2) {
        return commands(text);
    }
    let of_segment = |(place, segment): (usize, &&str)| match (place % 2, *segment) {
        (_, "") => Vec::new(),
        (0, segment) => commands(segment),
        (_, segment) => vec![code(segment)],
    };
    segments.iter().enumerate().flat_map(of_segment).collect()
}

/// Splits a text into spans in which chat commands, with the number that follows, are code.
fn commands(text: &str) -> Vec<Span> {
    let (mut spans, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('/') {
        plain.push_str(&rest[..at]);
        let begins = plain.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(');
        match command_at(&rest[at..]).filter(|_| begins) {
            Some(length) => {
                spans.extend((!plain.is_empty()).then(|| words(std::mem::take(&mut plain))));
                spans.push(code(&rest[at..at + length]));
                rest = &rest[at + length..];
            }
            None => {
                plain.push('/');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    spans.extend((!plain.is_empty()).then(|| words(plain)));
    spans
}

/// Returns the length in bytes of the command that a text starts with.
fn command_at(text: &str) -> Option<usize> {
    let ends = |text: &str| text.chars().next().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | '_' | '@'));
    let name: String = text.chars().skip(1).take_while(char::is_ascii_alphabetic).collect();
    COMMANDS.iter().find(|known| known.name == name)?;
    let after = text.get(1 + name.len()..)?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let number = after.strip_prefix(' ').map_or(0, |rest| digits(rest.strip_prefix('#').unwrap_or(rest)));
    let hash = usize::from(after.starts_with(" #"));
    let with_number = 1 + hash + number;
    if number > 0 && ends(after.get(with_number..)?) {
        return Some(1 + name.len() + with_number);
    }
    ends(after).then_some(1 + name.len())
}

/// Converts a message for the terminal: its commands become those of the chat.
pub fn in_chat(message: ChatMessage) -> ChatMessage {
    let span = |span: Span| match span {
        Span::Plain(text) => mark_code(&chat_commands(&text)),
        Span::Bold(text) => vec![Span::Bold(text)],
        Span::Code(text) => vec![Span::Code(chat_commands(&text))],
    };
    let block = |block: Block| match block {
        Block::Line(spans) => Block::Line(spans.into_iter().flat_map(span).collect()),
        Block::Block(text) => Block::Block(text),
    };
    ChatMessage { blocks: message.blocks.into_iter().map(block).collect(), ..message }
}

/// Renders a refusal.
pub fn refused(error: &ClientError, task: Option<TaskId>) -> ChatMessage {
    let mut blocks = vec![Block::Line(mark_code(&cut(&chat_commands(&error.to_string()), LONGEST_WORDS)))];
    if let ClientError::Answered(view) = error
        && let Some(hint) = &view.hint
    {
        let hint = cut(&chat_commands(hint), LONGEST_WORDS);
        let hint = if hint.contains(['`', '/']) { mark_code(&hint) } else { vec![code(hint)] };
        blocks.push(Block::Line(std::iter::once(words("Next: ")).chain(hint).collect()));
    }
    // A task that does not exist has no thread.
    let is_there = !matches!(error, ClientError::Answered(view) if view.code == ErrorCode::NotFound);
    let task = task.filter(|_| is_there);
    ChatMessage { blocks, task, ..ChatMessage::default() }
}

/// Lists all commands.
pub fn help() -> ChatMessage {
    let line = |name: &str, takes: &str, does: &str| {
        let said = if takes.is_empty() { format!("/{name}") } else { format!("/{name} {takes}") };
        Block::Line(vec![code(said), words(format!("  {does}"))])
    };
    let mut blocks: Vec<Block> = COMMANDS.iter().map(|known| line(known.name, known.takes, known.does)).collect();
    blocks.push(Block::plain("In a task's thread, commands need no number, and other messages go to its agent."));
    ChatMessage { blocks, ..ChatMessage::default() }
}

/// Renders the overall state.
pub fn overview(overview: &Overview) -> ChatMessage {
    let status = &overview.status;
    let state = match (&status.shutting_down, status.idle) {
        (Some(leaving), _) => leaving.how.describe(),
        (None, true) => "nothing to do",
        (None, false) => "at work",
    };
    let known = Status::ALL.iter().filter_map(|s| Some((s.as_str(), status.counts.get(s.as_str())?)));
    let counts: Vec<String> = known.map(|(word, count)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let mut blocks = vec![
        Block::Line(vec![bold(format!("orch {}: {state}", status.version))]),
        Block::plain(format!("Tasks: {counts}")),
        Block::plain(format!("Today: {}", spend(&overview.today))),
    ];
    blocks.extend(status.paused.iter().take(FEW).map(|pause| Block::plain(chat_commands(&pause.description))));
    let open = status.breakers.iter().take(FEW).map(|breaker| format!("Breaker {} is open", breaker.name));
    blocks.extend(open.map(Block::plain));
    blocks.extend(status.problems.iter().take(FEW).map(|problem| Block::plain(cut(problem, LONGEST_WORDS))));
    let running = overview.running.iter().map(|run| {
        let doing = run.last_line.as_deref().map(|line| format!(": {}", cut(line, 80))).unwrap_or_default();
        row(run.task_id, &format!("{} {}{doing}", worker(&run.agent, run.model.as_deref()), cut(&run.title, 60)))
    });
    list(&mut blocks, "At work", running.collect());
    let asks = |id: TaskId, title: &str, question: &str| {
        let question = chat_commands(question.lines().next().unwrap_or_default());
        let about = [bold(format!("#{id} ")), words(format!("{}: ", cut(title, 60)))];
        Block::Line(about.into_iter().chain(mark_code(&cut(&question, 160))).collect())
    };
    let needs = overview.needs_you.iter().map(|view| asks(view.id, &view.title, &view.kind.in_a_line(&view.question)));
    list(&mut blocks, "Needs you", needs.collect());
    ChatMessage { blocks, ..ChatMessage::default() }
}

fn row(id: TaskId, text: &str) -> Block {
    Block::Line(vec![bold(format!("#{id} ")), words(text)])
}

fn list(blocks: &mut Vec<Block>, title: &str, mut rows: Vec<Block>) {
    let more = rows.len().saturating_sub(FEW);
    if rows.is_empty() {
        return;
    }
    rows.truncate(FEW);
    blocks.push(Block::Line(vec![bold(title)]));
    blocks.append(&mut rows);
    if more > 0 {
        blocks.push(Block::plain(format!("… and {more} more")));
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
    let runs = count::plural(runs, "run");
    let unpriced = if unpriced > 0 { format!(", {unpriced} without a price") } else { String::new() };
    format!("{sum} ({runs}{unpriced})")
}

/// Lists open tasks.
pub fn rows(view: &RowsView) -> ChatMessage {
    let is_open = |status: Status| !matches!(status, Status::Done | Status::Cancelled);
    let mut open: Vec<_> = view.rows.iter().filter(|task| is_open(task.status)).collect();
    // Newest first.
    open.reverse();
    let more = open.len().saturating_sub(MANY);
    let mut blocks: Vec<Block> = open
        .iter()
        .take(MANY)
        .map(|task| {
            let kind = task.question_kind.map(|kind| format!(" ({})", kind.label())).unwrap_or_default();
            row(task.id, &format!("{}{kind}: {}", task.status.as_str(), cut(&task.title, 100)))
        })
        .collect();
    if blocks.is_empty() {
        return sentence("There are no open tasks.");
    }
    if more > 0 {
        blocks.push(Block::plain(format!("… and {more} older ones")));
    }
    ChatMessage { blocks, ..ChatMessage::default() }
}

/// Renders a task with its buttons.
pub fn task(view: &TaskView) -> ChatMessage {
    let mut facts = vec![view.status.as_str().to_owned()];
    facts.extend(view.route.as_ref().map(|route| worker(&route.agent, route.model.as_deref())));
    facts.extend((view.attempts > 0).then(|| format!("attempt {}", view.attempts)));
    facts.extend(view.cost_usd.map(|cost| cost.to_string()));
    facts.extend(view.project.clone());
    let title = cut(view.title.lines().next().unwrap_or_default(), LONGEST_TITLE);
    let mut blocks = vec![Block::Line(vec![bold(format!("#{} {title}", view.id))]), Block::plain(facts.join(" · "))];
    if let Some(hold) = &view.hold {
        blocks.push(Block::Line(mark_code(&cut(&chat_commands(&hold.detail), LONGEST_WORDS))));
    }
    if let Some(question) = &view.question {
        let label = view.question_kind.map(|kind| Block::Line(vec![bold(kind.label())]));
        blocks.extend(label);
        blocks.extend(cut(&chat_commands(question), LONGEST_WORDS).lines().map(|line| Block::Line(mark_code(line))));
    } else if let Some(summary) = &view.summary {
        blocks.push(Block::plain(cut(summary, LONGEST_WORDS)));
    }
    if let Some(Some(evidence)) = &view.evidence {
        let (commits, files) = (count::plural(evidence.commits.len(), "commit"), count::plural(evidence.files, "file"));
        let text = format!("{commits}, +{} −{} in {files}", evidence.insertions, evidence.deletions);
        blocks.push(Block::Line(vec![words(format!("{text}, at ")), code(short(&evidence.head))]));
    }
    let choices = view.choices.iter().map(|choice| with_commit(choice, view.judged.as_deref()));
    let choices = choices.map(|choice| Block::Line(vec![code(chat_commands(&choice))]));
    blocks.extend(choices.take(FEW));
    ChatMessage { blocks, buttons: buttons(view), task: Some(view.id), ..ChatMessage::default() }
}

/// Renders a task that changed after a button was shown.
pub fn moved_on(view: &TaskView) -> ChatMessage {
    let shown = task(view);
    let head = format!("Nothing was done: #{} has changed since this button was shown. Its state now:", view.id);
    ChatMessage { blocks: std::iter::once(Block::plain(head)).chain(shown.blocks).collect(), ..shown }
}

/// Returns the directory of a new task: of the named project, or `None` for the only one.
///
/// # Errors
/// The project is ambiguous or unknown; the error is the answer to the user.
pub fn project(named: Option<&str>, projects: &[NewProject]) -> Result<Option<PathBuf>, ChatMessage> {
    let mut names: Vec<&str> = projects.iter().map(|project| project.name.as_str()).collect();
    names.sort_unstable();
    let more = if names.len() > MANY { ", …" } else { "" };
    let all = format!("{}{more}", names[..names.len().min(MANY)].join(", "));
    let Some(named) = named else {
        let needs_none = projects.len() < 2;
        let text =
            format!("Nothing was added: there are {} projects. Which one? `/add @NAME TITLE`: {all}", names.len());
        return if needs_none { Ok(None) } else { Err(sentence(text)) };
    };
    let of_name = |project: &&NewProject| project.name.eq_ignore_ascii_case(named);
    let found: Vec<&NewProject> = projects.iter().filter(of_name).collect();
    let named = cut(named, FEW * 4);
    match found[..] {
        [project] => Ok(Some(project.dir.clone())),
        [] if names.is_empty() => {
            Err(sentence("Nothing was added: no project is registered; `orch init` in a repository registers one."))
        }
        [] => Err(sentence(format!("Nothing was added: there is no project {named:?}. There are: {all}"))),
        [_, ..] => Err(sentence(format!("Nothing was added: {} projects are called {named:?}.", found.len()))),
    }
}

/// Returns the buttons for a task in its current state.
pub fn buttons(view: &TaskView) -> Vec<Button> {
    let (task, since) = (view.id, Some(view.updated_at));
    match view.status {
        Status::NeedsReview => {
            let has_work = view.evidence.iter().flatten().any(|evidence| !evidence.commits.is_empty());
            let judged = view.judged.as_deref().filter(|_| has_work);
            let mut buttons = judged.map_or_else(Vec::new, |judged| decision_buttons(task, judged));
            if buttons.is_empty() {
                buttons.push(Button { label: "Retry".to_owned(), press: Press::Retry { task, since } });
                buttons.push(Button { label: "Cancel".to_owned(), press: Press::Cancel { task, since } });
            } else {
                buttons.push(Button { label: "Show diff".to_owned(), press: Press::ShowDiff { task } });
            }
            buttons
        }
        Status::Blocked => vec![Button { label: "Unblock".to_owned(), press: Press::Unblock { task, since } }],
        Status::New | Status::Routed | Status::InProgress | Status::InReview | Status::Done | Status::Cancelled => {
            Vec::new()
        }
    }
}

fn decision_buttons(task: TaskId, head: &str) -> Vec<Button> {
    let approve = Button { label: "Approve".to_owned(), press: Press::Approve { task, commit: head.to_owned() } };
    vec![approve, request_changes(task, head)]
}

fn request_changes(task: TaskId, head: &str) -> Button {
    Button { label: "Request changes".to_owned(), press: Press::RequestChanges { task, commit: head.to_owned() } }
}

/// Renders why a task does not progress.
pub fn why(view: &WhyView) -> ChatMessage {
    let blocks = vec![
        Block::Line(vec![bold(format!("#{} is {}", view.id, view.status.as_str()))]),
        Block::Line(mark_code(&cut(&chat_commands(&view.because), LONGEST_WORDS))),
        Block::Line(mark_code(&format!("Next: {}", cut(&chat_commands(&view.next), LONGEST_WORDS)))),
    ];
    ChatMessage { blocks, task: Some(view.id), ..ChatMessage::default() }
}

/// Renders the receipt of a message to an agent.
pub fn receipt(view: &MessageView) -> ChatMessage {
    let state = match view.state {
        MessageState::Delivered => "The agent has it",
        MessageState::Queued => "It is on its way",
        MessageState::Refused => "It was refused",
    };
    let detail = if view.detail.is_empty() { String::new() } else { format!(": {}", chat_commands(&view.detail)) };
    about(view.task_id, cut(&format!("{state}{detail}"), LONGEST_WORDS))
}

/// Renders the changes of a branch, with buttons to decide about them.
pub fn diff(view: &DiffView, status: Status) -> ChatMessage {
    let commits = count::plural(view.commits, "commit");
    let mut blocks = vec![
        Block::Line(vec![bold(format!("#{} {} → {}", view.task_id, view.branch, view.base_branch))]),
        Block::Line(vec![
            words(format!(
                "{commits}, +{} −{} in {}, at ",
                view.insertions,
                view.deletions,
                count::plural(view.files.len(), "file")
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
        blocks.push(Block::Block(cut(&files.join("\n"), LONGEST_BLOCK)));
    } else if !block.is_empty() {
        blocks.push(Block::Block(block));
    }
    blocks.extend((!view.omitted.is_empty()).then(|| {
        Block::plain(format!("Left out, because too large: {}", cut(&view.omitted.join(", "), LONGEST_WORDS)))
    }));
    if let (Some(judged), Some(moved)) = (&view.judged, &view.moved) {
        let moved = format!("The branch has moved since it was judged at {}; {moved}", short(judged));
        blocks.extend(cut(&moved, LONGEST_WORDS).lines().map(Block::plain));
    }
    let asks = status == Status::NeedsReview && view.commits > 0;
    let is_judged = view.judged.as_deref() == Some(&view.head);
    // Commits that were not judged cannot be approved, but sent back.
    let buttons = match (asks, is_judged) {
        (true, true) => decision_buttons(view.task_id, &view.head),
        (true, false) => vec![request_changes(view.task_id, &view.head)],
        (false, _) => Vec::new(),
    };
    ChatMessage { blocks, buttons, document, task: Some(view.task_id), is_urgent: false }
}

/// Renders the end of a transcript.
pub fn log(task: TaskId, text: &str) -> ChatMessage {
    if text.trim().is_empty() {
        return about(task, "There is no output yet.");
    }
    let (block, document) = shown(text, &format!("{task}.log"), Part::End);
    let blocks = vec![Block::Line(vec![bold(format!("#{task} the end of its transcript"))]), Block::Block(block)];
    ChatMessage { blocks, document, task: Some(task), ..ChatMessage::default() }
}

/// Which part of a long text is in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Begin,
    End,
}

/// Returns the text for a message and, if only a part fits, the whole text as a file.
fn shown(text: &str, name: &str, part: Part) -> (String, Option<Document>) {
    let units = |text: &str| text.encode_utf16().count();
    if units(text) <= LONGEST_BLOCK {
        return (text.to_owned(), None);
    }
    let document = Document { name: name.to_owned(), text: text.to_owned() };
    let mut capacity = LONGEST_BLOCK;
    let mut fits = |line: &&str| {
        let length = units(line) + 1;
        let does = length <= capacity;
        capacity = capacity.saturating_sub(length);
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

/// Renders the cost.
pub fn cost(today: &SpendView, all: &CostView) -> ChatMessage {
    let mut blocks = vec![Block::plain(format!("Today: {}", spend(today)))];
    let total = &all.total;
    blocks.push(Block::plain(format!("In all: {}", money(total.cost_usd, total.runs, total.unpriced))));
    let agents = all.rows.iter().take(FEW).map(|row| {
        let key = row.key.as_deref().unwrap_or("no agent");
        Block::plain(format!("  {key}: {}", money(row.cost_usd, row.runs, row.unpriced)))
    });
    blocks.extend(agents);
    ChatMessage { blocks, ..ChatMessage::default() }
}

/// Renders the pauses.
pub fn pauses(view: &PausesView) -> ChatMessage {
    let mut blocks: Vec<Block> =
        view.paused.iter().take(FEW).map(|pause| Block::plain(chat_commands(&pause.description))).collect();
    if blocks.is_empty() {
        blocks.push(Block::plain(if view.changed { "Starts are resumed." } else { "Nothing was paused." }));
    }
    ChatMessage { blocks, ..ChatMessage::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::error::ErrorView;
    use orch_api::rulings::FileView;
    use proptest::prelude::*;

    #[test]
    fn what_the_terminal_would_type_is_said_in_the_chats_words() {
        assert_eq!(chat_commands("look at it again: orch task diff 7"), "look at it again: /diff 7");
        assert_eq!(chat_commands("orch task reject 7 -m \"…\", or orch task retry 7"), "/reject 7 REASON, or /retry 7");
        assert_eq!(chat_commands("`orch resume` lets it go on"), "`/resume` lets it go on");
        assert_eq!(chat_commands("orch config show"), "orch config show");
        assert_eq!(chat_commands("`orch task list` shows all tasks"), "`/tasks` shows all tasks");
        assert_eq!(chat_commands("say orch resume"), "say /resume");
    }

    #[test]
    fn what_is_to_be_copied_stands_by_itself_and_a_path_is_no_command() {
        for (text, expected) in [
            (
                "there is no command /x; /help lists them",
                vec![words("there is no command /x; "), code("/help"), words(" lists them")],
            ),
            ("/retry 7, or (/show #12)", vec![code("/retry 7"), words(", or ("), code("/show #12"), words(")")]),
            ("`npm install -g @anthropic-ai/x` first", vec![code("npm install -g @anthropic-ai/x"), words(" first")]),
            ("a/help /help/me /help@x /helper ` /", vec![words("a/help /help/me /help@x /helper ` /")]),
            ("/stop 7x /stop", vec![code("/stop"), words(" 7x "), code("/stop")]),
            ("", vec![]),
        ] {
            assert_eq!(mark_code(text), expected, "{text}");
        }
        let notice = ChatMessage {
            blocks: vec![
                Block::Line(vec![bold("#7 x"), words(" asks: orch task show 7")]),
                Block::Line(vec![code("orch task reject 7 -m \"…\"")]),
                Block::Block("orch task show 7".to_owned()),
            ],
            ..ChatMessage::default()
        };
        let text = in_chat(notice).plain_text();
        assert_eq!(text, "#7 x asks: /show 7\n/reject 7 REASON\norch task show 7\n");
    }

    #[test]
    fn what_needs_somebody_is_told_with_the_commands_of_a_chat() {
        let asks = serde_json::json!({
            "version": "1.2.3", "pid": 1, "mode": "serve", "counts": {"needs_review": 1}, "idle": true, "problems": [],
            "running": [], "queued": [], "today": {"since": "2026-03-01T00:00:00Z", "cost_usd": null, "runs": 0, "unpriced": 0},
            "needs_you": [{"id": 7, "title": "Tidy", "choices": [], "kind": "ready", "question": "1 commit; `orch task diff 7` shows it\nmore"}],
        });
        let text = overview(&serde_json::from_value(asks).expect("an overview")).plain_text();
        assert!(text.ends_with("Needs you\n#7 Tidy: ready for you: 1 commit; /diff 7 shows it\n"), "{text}");
    }

    #[test]
    fn a_refusal_says_what_to_write_next() {
        let hint = Some("look at it again: orch task diff 7".to_owned());
        let view = ErrorView { code: ErrorCode::Conflict, message: "task 7: it moved".to_owned(), hint };
        let text = refused(&ClientError::Answered(view), Some(TaskId(7))).plain_text();
        assert_eq!(text, "task 7: it moved\nNext: look at it again: /diff 7\n");
    }

    #[test]
    fn a_new_task_goes_to_the_project_that_is_named_or_to_the_only_one() {
        let of = |names: &[&str]| {
            let all = names.iter().map(|name| NewProject {
                dir: PathBuf::from("/x").join(name),
                name: (*name).to_owned(),
                approved: None,
            });
            all.collect::<Vec<_>>()
        };
        let refused = |named, projects: &[&str]| project(named, &of(projects)).expect_err("refused").plain_text();
        assert_eq!(project(None, &of(&[])), Ok(None));
        assert_eq!(project(None, &of(&["shop"])), Ok(None));
        assert_eq!(project(Some("SHOP"), &of(&["api", "shop"])), Ok(Some(PathBuf::from("/x/shop"))));
        assert!(refused(None, &["shop", "api"]).contains("/add @NAME TITLE: api, shop"));
        assert!(refused(Some("shpo"), &["shop", "api"]).contains("no project \"shpo\". There are: api, shop"));
        assert!(refused(Some("shop"), &["shop", "shop"]).contains("2 projects are called"));
        assert!(refused(Some("shop"), &[]).contains("orch init"));
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
            judged: Some("a".repeat(40)),
            moved: None,
        }
    }

    #[test]
    fn a_short_diff_stands_in_the_message_and_a_long_one_goes_as_a_file() {
        let message = diff(&difference("+one\n-two\n"), Status::NeedsReview);
        assert!(message.plain_text().ends_with("+one\n-two\n") && message.document.is_none());
        let commit = "a".repeat(40);
        assert_eq!(message.buttons[0].press, Press::Approve { task: TaskId(7), commit });
        let long = "+a line of code\n".repeat(1_000);
        let message = diff(&difference(&long), Status::InProgress);
        assert_eq!(message.document, Some(Document { name: "7.diff".to_owned(), text: long }));
        assert!(message.plain_text().ends_with("+3 −1 a.rs\n") && message.buttons.is_empty());
    }

    #[test]
    fn a_branch_that_moved_since_it_was_judged_has_no_button_to_approve_it() {
        let moved = Some("1 commit since: +1 −0 in 1 file".to_owned());
        let view = DiffView { judged: Some("c".repeat(40)), moved, ..difference("+one\n") };
        let message = diff(&view, Status::NeedsReview);
        let labels: Vec<&str> = message.buttons.iter().map(|button| button.label.as_str()).collect();
        assert_eq!(labels, ["Request changes"], "{message:?}");
        assert!(message.plain_text().contains("judged at cccccccccc; 1 commit since"), "{}", message.plain_text());
    }

    #[test]
    fn an_approval_is_offered_with_its_commit() {
        let command = with_commit("orch task approve 7", Some("0123456789abcdef"));
        assert_eq!(chat_commands(&command), "/approve 7 0123456789");
    }

    proptest! {
        #[test]
        fn the_end_of_a_transcript_fits_and_is_its_end(lines in prop::collection::vec("\\PC{0,80}", 0..120)) {
            let text = lines.join("\n");
            let message = log(TaskId(7), &text);
            prop_assert!(message.plain_text().encode_utf16().count() <= LONGEST_BLOCK + 100);
            match message.document {
                Some(document) => prop_assert_eq!(document.text, text),
                None => prop_assert!(text.encode_utf16().count() <= LONGEST_BLOCK),
            }
        }
    }
}
