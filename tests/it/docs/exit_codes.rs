//! The tables of docs/reference/exit-codes.md, from the two enums.

use super::generated::{code, must_hold, table};
use orch::cli::Exit;
use orch_api::error::ErrorCode;

#[test]
fn the_page_of_the_exit_codes_has_the_codes_of_the_program() {
    let row = |exit: &Exit| vec![exit.code().to_string(), exit.meaning().to_owned(), example(*exit).to_owned()];
    let rows: Vec<Vec<String>> = Exit::ALL.iter().map(row).collect();
    must_hold("docs/reference/exit-codes.md", "codes", &table(&["code", "meaning", "for instance"], &rows));
    // The type of a problem document leads here.
    let anchors: String = ErrorCode::ALL.map(|code| format!("<a id=\"{}\"></a>", code.as_str())).concat();
    let rows: Vec<Vec<String>> =
        ErrorCode::ALL.iter().map(|error| vec![code(error.as_str()), Exit::from(*error).code().to_string()]).collect();
    let text = format!("{anchors}\n\n{}", table(&["`error.code`", "exit code"], &rows));
    must_hold("docs/reference/exit-codes.md", "errors", &text);
}

fn example(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "the task is done; the list was printed",
        Exit::Failed => "the disk is full; an agent's program cannot be started",
        Exit::Usage => "an unknown flag; an unknown key in `config.yml`; a task that depends on itself",
        Exit::NotFound => "`orch show 99` without a task 99",
        Exit::NoDaemon => "`orch shutdown` or `orch models set` without a daemon",
        Exit::PersonNeeded => "the task is `needs_review`: there is a question to answer",
        Exit::TimedOut => "the daemon does not answer; `--timeout` is over",
        Exit::Refused => "cancelling a finished task; a second daemon on the same home; a claim of somebody else",
        Exit::Answer(_) => "",
        Exit::NoAnswer => "`orch models check --bogus`: its own answers are 0 to 3",
        Exit::Parked => "the task waits for a time or for something outside; try later (`orch why` tells for what)",
        Exit::Interrupted => "Ctrl-C; agents that run go on",
    }
}
