//! The exit codes: a contract with scripts, documented in `docs/reference/exit-codes.md`. A number never changes its meaning.

use orch_api::error::ErrorCode;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It failed.
    Failed,
    /// It was called in a wrong way.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It needs a daemon, and there is none.
    NoDaemon,
    /// A person must act.
    PersonNeeded,
    /// It waited as long as it was allowed to.
    TimedOut,
    /// Refused in this state.
    Refused,
    /// An answer of the command's own, as its page says.
    Answer(u8),
    /// A command whose lowest codes are answers of its own could not give one.
    NoAnswer,
    /// Waits for a time or for something outside.
    Parked,
    /// Stopped from the keyboard.
    Interrupted,
}

impl Exit {
    /// All of them but the answers, in the order of their numbers.
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

    /// The number.
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

    /// What the code says, in the words of `orch help`.
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
