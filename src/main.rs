//! Entry point: dispatches the hidden commands to the runner, the bridge and the scripted agent before anything else
//! starts, and everything else to the command line.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    orch_sys::process::reset_signals();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, run_dir] = args.as_slice()
        && word == orch_runner::SUBCOMMAND
    {
        // The runner returns 0, 1 or 7.
        return ExitCode::from(u8::try_from(orch_runner::run(Path::new(run_dir))).unwrap_or(1));
    }
    if let [_, word, program, rest @ ..] = args.as_slice()
        && word == orch_runner::CONTAIN
    {
        return ExitCode::from(orch_runner::contain(program, rest));
    }
    if let [_, word, program, rest @ ..] = args.as_slice()
        && word == orch_runner::bridge::SUBCOMMAND
    {
        return ExitCode::from(orch_runner::bridge::run(program, rest));
    }
    if let [_, word, file] = args.as_slice()
        && word == orch_runner::bridge::ask::SUBCOMMAND
    {
        return ExitCode::from(orch_runner::bridge::ask::run(file));
    }
    if let Some(turn) = orch::cli::scripted_agent::arguments(&args) {
        return ExitCode::from(orch::cli::scripted_agent::run(turn));
    }
    orch::cli::main(args)
}
