//! The threads of a command. If the system cannot start enough of them, the command fails: a daemon that neither works
//! nor ends would hold its home's lock until a person intervenes.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{Format, Ui};
use orch_sys::process;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::thread;
use tokio::runtime::{Builder, Runtime};

/// The stack size of a command, in bytes: the usual size of a first thread.
const STACK: usize = 8 << 20;
/// The exit code of a Rust program that panics.
const PANICKED: u8 = 101;

/// Runs a command on a stack whose memory is reserved at once. The stack of the first thread grows, and a system
/// without memory for it would kill the process silently.
pub fn on_own_stack(command: impl FnOnce() -> ExitCode + Send + 'static) -> ExitCode {
    match thread::Builder::new().name("main".to_owned()).stack_size(STACK).spawn(command) {
        Ok(thread) => thread.join().unwrap_or(ExitCode::from(PANICKED)),
        Err(error) => {
            let error = cannot_start(error);
            Ui::new(Format::Text, &process::environment()).error(&error);
            error.exit().into()
        }
    }
}

/// Runs a client on this thread: it starts faster, and mostly waits.
pub fn single_threaded(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    finish(runtime.map_err(cannot_start)?, command)
}

/// Runs an engine on two threads, because it must not wait for a client that prints.
pub fn multi_threaded(
    context: &Context,
    command: impl Future<Output = Result<Exit, CliError>>,
) -> Result<Exit, CliError> {
    let runtime = guarded(context, || Builder::new_multi_thread().worker_threads(2).enable_all().build());
    finish(runtime.map_err(cannot_start)?, command)
}

fn cannot_start(error: io::Error) -> CliError {
    CliError::system("cannot start the threads of this command (`ulimit -a` shows the limits)")(error)
}

/// Builds a multi-threaded runtime. tokio panics if the system cannot start all of its threads, and then waits forever
/// for those that started: the process exits before that.
fn guarded(context: &Context, build: impl FnOnce() -> io::Result<Runtime>) -> io::Result<Runtime> {
    let ui = context.ui;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        ui.error(&cannot_start(io::Error::other(panic_message(panic.payload()))));
        process::exit_now(Exit::Failed.code());
    }));
    let runtime = build();
    std::panic::set_hook(usual);
    runtime
}

fn panic_message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of an unknown cause").to_owned()
}

/// Runs a command to its end. After an error, too, it does not wait for blocking reads that are no longer needed.
fn finish(runtime: Runtime, command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let exit = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
    runtime.shutdown_background();
    exit.unwrap_or_else(|fault| resume_unwind(fault))
}
