//! The only adapter of other programs and of the environment. Starts programs with an explicit working directory,
//! environment, time limit and output limit; identifies processes; finds and ends the processes of a run. No shell is
//! ever involved, and nothing here decides what to run.

mod attached;
mod background;
mod blocking;
mod descent;
mod environment;
mod identity;
mod inherited;
mod invocation;
mod last_resort;
mod limits;
mod marked;
mod memory_group;
mod output;
mod progress;
#[cfg_attr(target_os = "linux", path = "process/table_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "process/table_ps.rs")]
mod table;
mod terminal;

pub use attached::{run_attached, start_detached, start_inherited, start_on_files, start_piped, start_server};
pub use background::{run_async, run_watched};
pub use blocking::run;
pub use descent::run_of;
pub use environment::{env_var, environment, which};
pub use identity::{Identity, signal};
pub use inherited::reset_signals;
pub use invocation::{Excess, Invocation, ProcessError, how_of};
pub use last_resort::{LastResort, become_program, exit_after, exit_now, terminate, with_few_arenas};
pub use limits::{file_limit, own_program, raise_file_limit, resident_memory};
pub use marked::{Load, Swept, descendants_load, marked, marks, program_of, sweep, sweep_tree, working_in};
pub use memory_group::MemoryGroup;
pub use output::Output;
pub use progress::Watch;
pub use terminal::{Terminal, TerminalSize, start_on_terminal};

/// The environment variable whose value marks every process of a run.
pub const RUN_MARK: &str = "ORCH_RUN_ID";
