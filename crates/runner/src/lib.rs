//! What runs inside the tmux pane: starts one agent, follows its output, holds its limits, ends everything that it
//! started, and writes the report. It knows one run directory and nothing else: no configuration, no journal, no
//! task file; the daemon may be down all the time. A hundred runners may be alive at once, so: no async runtime, no
//! logging, little memory.

mod again;
mod agent;
mod answer_text;
pub mod bridge;
mod carry_out;
mod changes;
mod claim;
mod conclude;
mod contain;
mod fit;
mod health;
mod inbox;
mod inspect;
mod launch;
mod limits;
mod lines;
mod log_file;
mod own_lines;
mod pane;
mod pty;
mod reading;
mod records;
mod render;
mod report;
mod sanitize;
mod secrets;
mod session_record;
mod signals;
mod stop;
mod stopwatch;
mod style_list;
mod supervise;
mod talk;
mod transcript;
mod wake;
mod watch;

pub use carry_out::run;
pub use claim::{Started, void};
pub use contain::{CONTAIN, contain, contained};
pub use fit::{Rendered, Style};
pub use inbox::{Handed, Receipt};
pub use inspect::{FinishLostError, RunState, finish_lost, inspect};
pub use launch::{HealthCheck, Launch, Limits, RunDir, RunFileError};
pub use render::Renderer;
pub use report::{RunReport, Stop};
pub use sanitize::sanitize;
pub use stop::StopRequest;

/// The hidden subcommand that starts the runner: `orch __run <run directory>`.
pub const SUBCOMMAND: &str = "__run";
