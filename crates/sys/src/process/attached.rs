//! Programs that are started without collecting a result: attached to the user's terminal, detached, on pipes or on
//! files.

use super::invocation::{Invocation, ProcessError};
use super::output::exit_of;
use orch_core::tasks::outcome::Exit;
use rustix::process::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;

/// Runs a program on the user's own terminal (an editor, an attached session) until it ends.
///
/// Neither time nor output is limited: a person sits in front of it.
///
/// # Errors
/// The program cannot be started.
pub fn run_attached(invocation: &Invocation) -> Result<Exit, ProcessError> {
    let status = invocation.command().status().map_err(|source| invocation.start_error(source))?;
    Ok(exit_of(status))
}

/// Starts a program whose stdin and stdout are pipes held by the caller; its stderr is discarded. It is killed when the
/// child is dropped. The limits of the invocation do not apply.
///
/// # Errors
/// The program cannot be started.
pub fn start_piped(invocation: &Invocation) -> Result<tokio::process::Child, ProcessError> {
    let mut command = tokio::process::Command::from(invocation.group_command());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|source| invocation.start_error(source))
}

/// Starts a program that inherits the caller's directory, environment, process group and standard streams. The caller
/// waits for it. Returns its process id.
///
/// # Errors
/// The error of the kernel.
#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
pub fn start_inherited(program: &OsStr, args: &[OsString]) -> io::Result<Pid> {
    Ok(Pid::from_child(&std::process::Command::new(program).args(args).spawn()?))
}

/// Starts a program that outlives its caller, with the caller's environment and no terminal: its stderr is a file,
/// stdin and stdout are the null device.
///
/// # Errors
/// The error of the kernel.
#[expect(clippy::disallowed_methods, reason = "the door to other programs")]
pub fn start_detached(program: &Path, args: &[OsString], cwd: &Path, stderr: File) -> io::Result<std::process::Child> {
    let mut command = std::process::Command::new(program);
    command.args(args).current_dir(cwd).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    command.spawn()
}

/// Starts a server for the caller: its stdout is a pipe, stdin the null device, stderr the caller's. It stays in the
/// caller's process group, so that killing the caller's group ends it too, and it is killed when the child is dropped.
/// The limits of the invocation do not apply.
///
/// # Errors
/// The program cannot be started.
pub fn start_server(invocation: &Invocation) -> Result<tokio::process::Child, ProcessError> {
    let mut command = tokio::process::Command::from(invocation.command());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    command.spawn().map_err(|source| invocation.start_error(source))
}

/// Starts a program whose streams are files, in a process group of its own, and leaves it to the caller to wait for
/// it. The limits and the stdin bytes of the invocation do not apply. Returns its process id.
///
/// # Errors
/// The error of the kernel: the caller distinguishes a missing program from an argument that is too long.
pub fn start_on_files(invocation: &Invocation, stdin: Option<File>, stdout: File, stderr: File) -> io::Result<Pid> {
    let mut command = invocation.group_command();
    command.stdin(stdin.map_or_else(Stdio::null, Stdio::from)).stdout(stdout).stderr(stderr);
    Ok(Pid::from_child(&command.spawn()?))
}
