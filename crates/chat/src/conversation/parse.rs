//! Parses a chat message: a command with its arguments, a message to a task's agent, or an error. PURE.

use orch_core::base::ids::TaskId;

/// Longest text that is parsed, in bytes; the API accepts a little more.
pub const LONGEST_TEXT: usize = 1 << 20;
/// Longest excerpt of a user's text in an answer, in characters.
const REPEATED: usize = 40;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Show the overall state.
    Status,
    /// List open tasks.
    Tasks,
    /// Add a task.
    Add {
        /// Name of its project, if given.
        project: Option<String>,
        /// First line.
        title: String,
        /// Further lines.
        body: String,
    },
    /// Show a task.
    Show(TaskId),
    /// Explain why a task does not progress.
    Why(TaskId),
    /// Run a task now.
    Run(TaskId),
    /// Start a task from the beginning.
    Retry(TaskId),
    /// Unblock a task.
    Unblock(TaskId),
    /// Unblock all tasks.
    UnblockAll,
    /// Cancel a task.
    Cancel(TaskId),
    /// Accept the work of a task, at this commit if one is given.
    Approve(TaskId, Option<String>),
    /// Send the work of a task back, with a reason.
    Reject(TaskId, String),
    /// Show the changes of a task.
    Diff(TaskId),
    /// Show the end of a task's transcript.
    Log(TaskId),
    /// Show a task's output live.
    Stream(TaskId),
    /// Stop the live output of this task, or of all.
    Stop(Option<TaskId>),
    /// Show the cost.
    Cost,
    /// Pause starts.
    Pause,
    /// Resume starts.
    Resume,
    /// List the commands.
    Help,
}

/// A parsed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Understood {
    /// A command.
    Ask(Ask),
    /// A message to the agent of this task.
    Message(TaskId, String),
    /// A command for another bot in the same chat.
    NotForUs,
    /// An invalid message.
    Unclear(Unclear),
}

/// Why a message is neither a command nor a message to an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The message is empty.
    #[error("there are no words in it; /help tells what can be said")]
    Empty,
    /// Ordinary words that belong to no task.
    #[error("it belongs to no task; answer in a task's thread to speak with its agent, or say /help")]
    NoTask,
    /// There is no such command.
    #[error("there is no command /{word}{}; /help lists them", near.map(|near| format!("; did you mean /{near}?")).unwrap_or_default())]
    Unknown {
        /// A parsed message.
        word: String,
        /// The most similar command.
        near: Option<&'static str>,
    },
    /// The command needs a task.
    #[error("/{0} needs the number of a task: /{0} 7")]
    NoId(&'static str),
    /// The argument is not the number of a task.
    #[error("{given:?} is not the number of a task: /{command} 7")]
    BadId {
        /// The command.
        command: &'static str,
        /// A parsed message.
        given: String,
    },
    /// The command has too many arguments.
    #[error("/{command} takes no {given:?}")]
    TooMuch {
        /// The command.
        command: &'static str,
        /// A parsed message.
        given: String,
    },
    /// A task without a title.
    #[error("/add needs a title: /add Mend the login; more lines become its text")]
    NoTitle,
    /// Work cannot be sent back without a reason.
    #[error("the author needs a reason: /reject {0} what is to be different")]
    NoReason(TaskId),
    /// The message is too long.
    #[error("that is too long: at most {} kB", LONGEST_TEXT >> 10)]
    TooLong,
}

/// A command as it is shown and registered.
pub struct Known {
    /// Name without the slash.
    pub name: &'static str,
    /// Arguments.
    pub takes: &'static str,
    /// One-line description.
    pub does: &'static str,
}

const fn known(name: &'static str, takes: &'static str, does: &'static str) -> Known {
    Known { name, takes, does }
}

/// All commands, in the order in which they are shown.
pub const COMMANDS: [Known; 20] = [
    known("status", "", "how things stand"),
    known("tasks", "", "tasks that are not over"),
    known("add", "[@PROJECT] TITLE", "a new task; more lines, or a text file, become its text"),
    known("show", "7", "one task"),
    known("why", "7", "why it does not move, and what moves it on"),
    known("run", "7", "run it now"),
    known("retry", "7", "do it again from the beginning"),
    known("unblock", "7|all", "let it go on"),
    known("cancel", "7", "give it up"),
    known("approve", "7 [COMMIT]", "accept its work"),
    known("reject", "7 REASON", "send its work back to its author"),
    known("diff", "7", "what it would change"),
    known("log", "7", "the end of its transcript"),
    known("stream", "7", "show its output as it comes"),
    known("stop", "[7]", "end the streams, or that of one task"),
    known("cost", "", "what was spent"),
    known("pause", "", "nothing new starts; running agents continue"),
    known("resume", "", "new runs start again"),
    known("send", "7 WORDS", "say something to its agent; so does an answer in its thread"),
    known("help", "", "this list"),
];

/// Parses a text. `us` is the bot's name, if it is known; `thread` is the task of the thread in which it was written.
pub fn parse_message(text: &str, us: Option<&str>, thread: Option<TaskId>) -> Understood {
    if text.len() > LONGEST_TEXT {
        return Understood::Unclear(Unclear::TooLong);
    }
    let text = plain(text);
    let text = text.trim();
    let Some(command) = text.strip_prefix('/') else {
        return match (text, thread) {
            ("", _) => Understood::Unclear(Unclear::Empty),
            (words, Some(task)) => Understood::Message(task, words.to_owned()),
            (_, None) => Understood::Unclear(Unclear::NoTask),
        };
    };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let (word, addressed) = match word.split_once('@') {
        Some((word, whom)) => (word, Some(whom)),
        None => (word, None),
    };
    if addressed.is_some_and(|whom| us.is_some_and(|us| !us.eq_ignore_ascii_case(whom))) {
        return Understood::NotForUs;
    }
    let word = word.to_lowercase();
    // Some apps send /start when a chat with a bot is opened.
    let word = if word == "start" { "help" } else { word.as_str() };
    let Some(known) = COMMANDS.iter().find(|known| known.name == word) else {
        let near = COMMANDS.iter().map(|known| (strsim::osa_distance(known.name, word), known.name)).min();
        let near = near.filter(|(distance, _)| *distance <= 2).map(|(_, name)| name);
        return Understood::Unclear(Unclear::Unknown { word: shortened(word), near });
    };
    complete(known.name, rest.trim(), thread).unwrap_or_else(Understood::Unclear)
}

fn complete(command: &'static str, rest: &str, thread: Option<TaskId>) -> Result<Understood, Unclear> {
    let alone = |ask| nothing(command, rest).map(|()| ask);
    let of = |ask: fn(TaskId) -> Ask| {
        let (id, rest) = id_of(command, rest, thread)?;
        nothing(command, rest).map(|()| ask(id))
    };
    let ask = match command {
        "status" => alone(Ask::Status)?,
        "tasks" => alone(Ask::Tasks)?,
        "cost" => alone(Ask::Cost)?,
        "pause" => alone(Ask::Pause)?,
        "resume" => alone(Ask::Resume)?,
        "help" => Ask::Help,
        "add" => added(rest)?,
        "show" => of(Ask::Show)?,
        "why" => of(Ask::Why)?,
        "run" => of(Ask::Run)?,
        "retry" => of(Ask::Retry)?,
        "cancel" => of(Ask::Cancel)?,
        "diff" => of(Ask::Diff)?,
        "log" => of(Ask::Log)?,
        "stream" => of(Ask::Stream)?,
        "unblock" if rest.eq_ignore_ascii_case("all") => Ask::UnblockAll,
        "unblock" => of(Ask::Unblock)?,
        "stop" if rest.is_empty() => Ask::Stop(thread),
        "stop" if rest.eq_ignore_ascii_case("all") => Ask::Stop(None),
        "stop" => of(|id| Ask::Stop(Some(id)))?,
        "approve" => {
            let (id, rest) = id_of(command, rest, thread)?;
            match rest.split_once(char::is_whitespace) {
                Some((_, more)) => return Err(too_much(command, more)),
                None => Ask::Approve(id, (!rest.is_empty()).then(|| rest.to_owned())),
            }
        }
        "reject" => match id_of(command, rest, thread)? {
            (id, "") => return Err(Unclear::NoReason(id)),
            (id, reason) => Ask::Reject(id, reason.to_owned()),
        },
        "send" => match id_of(command, rest, thread)? {
            (_, "") => return Err(Unclear::Empty),
            (id, words) => return Ok(Understood::Message(id, words.to_owned())),
        },
        other => return Err(Unclear::Unknown { word: other.to_owned(), near: None }),
    };
    Ok(Understood::Ask(ask))
}

/// Returns the task that is named first, or that of the thread, and the rest.
fn id_of<'a>(command: &'static str, rest: &'a str, thread: Option<TaskId>) -> Result<(TaskId, &'a str), Unclear> {
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let looks_like_one = first.trim_start_matches('#').starts_with(|c: char| c.is_ascii_digit());
    match (first.parse(), thread) {
        (Ok(id), _) => Ok((id, after.trim())),
        (Err(_), Some(task)) if !looks_like_one => Ok((task, rest)),
        (Err(_), _) if first.is_empty() => Err(Unclear::NoId(command)),
        (Err(_), _) => Err(Unclear::BadId { command, given: shortened(first) }),
    }
}

fn nothing(command: &'static str, rest: &str) -> Result<(), Unclear> {
    if rest.is_empty() { Ok(()) } else { Err(too_much(command, rest)) }
}

fn too_much(command: &'static str, given: &str) -> Unclear {
    Unclear::TooMuch { command, given: shortened(given) }
}

fn added(rest: &str) -> Result<Ask, Unclear> {
    let (first, body) = rest.split_once('\n').unwrap_or((rest, ""));
    let (project, title) = match first.trim().strip_prefix('@') {
        Some(named) => {
            let (name, title) = named.split_once(char::is_whitespace).unwrap_or((named, ""));
            (Some(name.to_owned()).filter(|name| !name.is_empty()), title)
        }
        None => (None, first),
    };
    match title.trim() {
        "" => Err(Unclear::NoTitle),
        title => Ok(Ask::Add { project, title: title.to_owned(), body: body.trim().to_owned() }),
    }
}

/// Returns the first line of a user's text, shortened.
pub fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Removes control characters and those that change the direction of writing. Line feeds and tabs stay.
pub fn plain(text: &str) -> String {
    let steers = |c: char| {
        let is_control = c.is_control() && c != '\n' && c != '\t';
        // Invisible characters that the channels insert come back in copied text.
        let parts = matches!(c, '\u{200b}' | '\u{2060}');
        is_control || parts || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.replace("\r\n", "\n").chars().filter(|c| !steers(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEVEN: TaskId = TaskId(7);

    fn asked(text: &str) -> Understood {
        parse_message(text, Some("orch_bot"), None)
    }

    #[test]
    fn every_command_of_the_list_is_understood() {
        let expected = [
            ("/status", Ask::Status),
            ("/tasks", Ask::Tasks),
            ("/add Mend it", Ask::Add { project: None, title: "Mend it".into(), body: String::new() }),
            ("/show 7", Ask::Show(SEVEN)),
            ("/why 7", Ask::Why(SEVEN)),
            ("/run 7", Ask::Run(SEVEN)),
            ("/retry 7", Ask::Retry(SEVEN)),
            ("/unblock all", Ask::UnblockAll),
            ("/cancel 7", Ask::Cancel(SEVEN)),
            ("/approve 7 abc123", Ask::Approve(SEVEN, Some("abc123".into()))),
            ("/reject 7 too long", Ask::Reject(SEVEN, "too long".into())),
            ("/diff 7", Ask::Diff(SEVEN)),
            ("/log 7", Ask::Log(SEVEN)),
            ("/stream 7", Ask::Stream(SEVEN)),
            ("/stop", Ask::Stop(None)),
            ("/cost", Ask::Cost),
            ("/pause", Ask::Pause),
            ("/resume", Ask::Resume),
            ("/help", Ask::Help),
        ];
        let mut names: Vec<&str> = COMMANDS.iter().map(|known| known.name).collect();
        for (text, ask) in expected {
            assert_eq!(asked(text), Understood::Ask(ask), "{text}");
            names.retain(|name| !text[1..].starts_with(name));
        }
        assert_eq!(names, ["send"]);
        assert_eq!(asked("/send 7 use the new API"), Understood::Message(SEVEN, "use the new API".into()));
        assert_eq!(asked("/unblock 7"), Understood::Ask(Ask::Unblock(SEVEN)));
        assert_eq!(asked("/stop #7"), Understood::Ask(Ask::Stop(Some(SEVEN))));
        assert_eq!(asked("/approve 7"), Understood::Ask(Ask::Approve(SEVEN, None)));
        assert_eq!(asked("/start"), Understood::Ask(Ask::Help));
    }

    #[test]
    fn case_blanks_numbers_with_a_hash_and_the_bots_own_name_do_not_matter() {
        for text in [
            "/SHOW 7",
            "  /Show   #7 ",
            "/show@orch_bot 7",
            "/show@ORCH_BOT 7",
            "/show\n7",
            "/sh\u{202e}ow 7\u{7}",
            "/\u{2060}show 7",
            "/show@\u{200b}orch_bot 7",
        ] {
            assert_eq!(asked(text), Understood::Ask(Ask::Show(SEVEN)), "{text:?}");
        }
        assert_eq!(asked("/show@other_bot 7"), Understood::NotForUs);
        assert_eq!(parse_message("/show@whoever 7", None, None), Understood::Ask(Ask::Show(SEVEN)));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        for (text, message) in [
            ("/show", "/show needs the number of a task: /show 7"),
            ("/show seven", "\"seven\" is not the number of a task: /show 7"),
            ("/show 0", "\"0\" is not the number of a task: /show 7"),
            ("/show -1", "\"-1\" is not the number of a task: /show 7"),
            ("/show 99999999999999999999", "\"99999999999999999999\" is not the number of a task: /show 7"),
            ("/show 7 8", "/show takes no \"8\""),
            ("/status now", "/status takes no \"now\""),
            ("/approve 7 abc def", "/approve takes no \"def\""),
            ("/add", "/add needs a title: /add Mend the login; more lines become its text"),
            ("/reject 7", "the author needs a reason: /reject 7 what is to be different"),
            ("/shwo 7", "there is no command /shwo; did you mean /show?; /help lists them"),
            ("/frobnicate", "there is no command /frobnicate; /help lists them"),
            ("/", "there is no command /; /help lists them"),
            ("", "there are no words in it; /help tells what can be said"),
            ("hello", "it belongs to no task; answer in a task's thread to speak with its agent, or say /help"),
        ] {
            let Understood::Unclear(unclear) = asked(text) else { panic!("{text}: {:?}", asked(text)) };
            assert_eq!(unclear.to_string(), message, "{text}");
        }
        let long = "x".repeat(LONGEST_TEXT + 1);
        assert_eq!(asked(&long), Understood::Unclear(Unclear::TooLong));
    }

    #[test]
    fn the_first_line_is_the_title_and_fifty_others_are_the_text() {
        let lines: Vec<String> = (1..=50).map(|line| format!("line {line}")).collect();
        let body = lines.join("\n");
        let expected = Ask::Add { project: None, title: "Mend it".into(), body: body.clone() };
        assert_eq!(asked(&format!("/add Mend it\r\n{body}\n")), Understood::Ask(expected.clone()));
        assert_eq!(asked(&format!("/add\nMend it\n{body}")), Understood::Ask(expected));
        let project = Some("shop".to_owned());
        let expected = Ask::Add { project, title: "Mend it".into(), body: "all of it".into() };
        assert_eq!(asked("/add@orch_bot  @shop  Mend it\nall of it"), Understood::Ask(expected));
        assert_eq!(asked("/add @shop"), Understood::Unclear(Unclear::NoTitle));
    }

    #[test]
    fn in_the_thread_of_a_task_words_are_for_its_agent_and_commands_need_no_number() {
        let in_thread = |text| parse_message(text, None, Some(SEVEN));
        assert_eq!(in_thread("use the\nnew API"), Understood::Message(SEVEN, "use the\nnew API".into()));
        assert_eq!(in_thread("/show"), Understood::Ask(Ask::Show(SEVEN)));
        assert_eq!(in_thread("/show 8"), Understood::Ask(Ask::Show(TaskId(8))));
        assert_eq!(in_thread("/reject too long"), Understood::Ask(Ask::Reject(SEVEN, "too long".into())));
        assert_eq!(in_thread("/stop"), Understood::Ask(Ask::Stop(Some(SEVEN))));
        // A number that is none is no word of a reason.
        assert!(matches!(in_thread("/cancel 7x"), Understood::Unclear(Unclear::BadId { .. })));
    }

    #[test]
    fn the_page_lists_every_command() {
        let page = include_str!("../../../../docs/how-to/telegram.md");
        for Known { name, takes, does } in COMMANDS {
            let takes = if takes.is_empty() { String::new() } else { format!(" {}", takes.replace('|', "\\|")) };
            let row = format!("| `/{name}{takes}` | {does} |");
            assert!(page.contains(&row), "docs/how-to/telegram.md lacks: {row}");
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("| `/")).count(), COMMANDS.len());
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_answered(text in "(/[a-z@_]{0,9})?\\PC{0,60}(\n\\PC{0,20}){0,3}") {
            for thread in [None, Some(SEVEN)] {
                if let Understood::Unclear(unclear) = parse_message(&text, Some("orch_bot"), thread) {
                    let message = unclear.to_string();
                    prop_assert!(message.lines().count() == 1 && message.chars().count() < 200, "{message}");
                }
            }
        }
    }
}
