//! The threads that a command runs on. A system that gives too few of them is told about, and waited for by nobody: a
//! daemon that neither works nor ends would hold its home's lock until somebody looks.

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

/// The stack of a command, in bytes: as much as systems give a first thread.
const STACK: usize = 8 << 20;
/// The exit code of a program that panics, as Rust has it.
const PANICKED: u8 = 101;

/// Runs a command on a stack whose memory is had at once or not at all. The one of the first thread grows, and a system that has
/// no more memory for it ends the process without a word.
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

/// Runs a client on this thread alone: it starts sooner, and waits for others most of its time.
pub fn alone(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    finish(runtime.map_err(cannot_start)?, command)
}

/// Runs an engine, which must not wait for a client that prints.
pub fn together(context: &Context, command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = guarded(context, || Builder::new_multi_thread().worker_threads(2).enable_all().build());
    finish(runtime.map_err(cannot_start)?, command)
}

fn cannot_start(error: io::Error) -> CliError {
    CliError::system("cannot start the threads of this command (`ulimit -a` tells what the system allows)")(error)
}

/// Builds a runtime of several threads. tokio panics when the system lets it start only some of them, and then waits for
/// those few for ever: the process ends before that.
fn guarded(context: &Context, build: impl FnOnce() -> io::Result<Runtime>) -> io::Result<Runtime> {
    let ui = context.ui;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        ui.error(&cannot_start(io::Error::other(words(panic.payload()))));
        process::exit_now(Exit::Failed.code());
    }));
    let runtime = build();
    std::panic::set_hook(usual);
    runtime
}

fn words(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of an unknown cause").to_owned()
}

/// A fault ends the command as an answer does: neither waits for a read that nobody wants.
fn finish(runtime: Runtime, command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let exit = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
    runtime.shutdown_background();
    exit.unwrap_or_else(|fault| resume_unwind(fault))
}
