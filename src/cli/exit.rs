//! The exit codes: a contract with scripts, documented in `docs/reference/exit-codes.md`. The meaning of a number never
//! changes.

use orch_api::error::ErrorCode;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what was asked.
    Done,
    /// The command failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The thing does not exist.
    NotFound,
    /// The command needs a daemon, and none runs.
    NoDaemon,
    /// A person must act.
    PersonNeeded,
    /// The time limit was reached.
    TimedOut,
    /// Refused in the present state.
    Refused,
    /// An answer specific to the command, as documented on its page.
    Answer(u8),
    /// A command with answers of its own could not give one.
    NoAnswer,
    /// The task waits for a time or for something outside.
    Parked,
    /// Interrupted from the keyboard.
    Interrupted,
}

impl Exit {
    /// All exit codes except the answers, in numerical order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::NoDaemon,
        Self::PersonNeeded,
        Self::TimedOut,
        Self::Refused,
        Self::NoAnswer,
        Self::Parked,
        Self::Interrupted,
    ];

    /// Returns the number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NoDaemon => 4,
            Self::PersonNeeded => 5,
            Self::TimedOut => 6,
            Self::Refused => 7,
            Self::Answer(code) => code,
            Self::NoAnswer => 64,
            Self::Parked => 75,
            Self::Interrupted => 130,
        }
    }

    /// Returns the meaning, as in `orch help`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage",
            Self::NotFound => "no such thing",
            Self::NoDaemon => "no daemon",
            Self::PersonNeeded => "a person is needed",
            Self::TimedOut => "timed out",
            Self::Refused => "refused",
            Self::Answer(_) => "an answer of the command's own",
            Self::NoAnswer => "no answer",
            Self::Parked => "parked",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Failed | ErrorCode::ShuttingDown => Self::Failed,
            ErrorCode::Usage => Self::Usage,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::NoDaemon => Self::NoDaemon,
            ErrorCode::Conflict | ErrorCode::Denied => Self::Refused,
            ErrorCode::TimedOut => Self::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 64, 75, 130]);
    }

    #[test]
    fn help_lists_every_code_with_its_meaning() {
        let listed: Vec<String> = Exit::ALL.iter().map(|exit| format!("{} {}", exit.code(), exit.meaning())).collect();
        for text in [super::super::help::EVERYDAY, super::super::EXAMPLES] {
            let (_, codes) = text.split_once("Exit codes: ").expect("the codes");
            let codes = codes.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(codes.trim_end_matches('.'), listed.join(", "));
        }
    }
}
