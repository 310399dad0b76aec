//! Parses a prompt into the text of orch's templates and the data between fences. The task's script is data; only the
//! text of the templates says whether it is a routing request or a second attempt.

use serde::{Deserialize, Serialize};

/// The marker of a routing request.
const ROUTE_REQUEST: &str = "ROUTE-REQUEST";

/// Phrases of the templates about an earlier attempt.
const TROUBLE: [&str; 3] = ["was not accepted", "was interrupted", "does not merge any more"];

/// A block of text between fences of backquotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The text after the opening fence.
    pub info: String,
    /// The text between the fences.
    pub text: String,
}

/// The task in a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its body, with the script.
    pub body: String,
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    words: String,
    task: Option<Task>,
}

impl Prompt {
    /// Parses a prompt.
    pub(super) fn read(text: &str) -> Self {
        let (words, blocks) = fenced(text);
        Self { words, task: blocks.iter().find_map(|block| task_of(&block.text)) }
    }

    /// Returns the task, if the prompt contains it: a resumed conversation does not repeat it.
    pub(super) fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// Returns whether it is a routing request.
    pub(super) fn is_route_request(&self) -> bool {
        self.words.contains(ROUTE_REQUEST)
    }

    /// Returns whether it mentions an earlier attempt that failed.
    pub(super) fn mentions_trouble(&self) -> bool {
        TROUBLE.iter().any(|words| self.words.contains(words))
    }

    /// Returns the agents that the router may choose, in the prompt's order.
    pub(super) fn agents(&self) -> Vec<&str> {
        let section = self.words.lines().skip_while(|line| line.trim() != "## Agents").skip(1);
        let section = section.take_while(|line| !line.starts_with("## "));
        section.filter_map(|line| line.strip_prefix("- `")?.split('`').next()).collect()
    }
}

/// Returns the text outside of fences, and the blocks between them. An unclosed fence reaches to the end.
pub(super) fn fenced(text: &str) -> (String, Vec<Block>) {
    let (mut words, mut blocks) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let marks = line.len() - line.trim_start_matches('`').len();
        if marks < 3 {
            words.push_str(line);
            words.push('\n');
            continue;
        }
        let closes = |line: &&str| line.trim_end().len() >= marks && line.trim_end().bytes().all(|b| b == b'`');
        let inner: Vec<&str> = lines.by_ref().take_while(|line| !closes(line)).collect();
        blocks.push(Block { info: line[marks..].trim().to_owned(), text: inner.join("\n") });
    }
    (words, blocks)
}

fn task_of(block: &str) -> Option<Task> {
    let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
    let mut lines = head.lines();
    let id = lines.next()?.strip_prefix("Task: ")?.to_owned();
    let title = lines.next()?.strip_prefix("Title: ")?.to_owned();
    Some(Task { id, title, body: body.to_owned() })
}
