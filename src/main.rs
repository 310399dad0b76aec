//! Entry point.
use std::process::ExitCode;
fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == orch::runner::SUBCOMMAND)
        && let Some(dir) = args.next()
    {
        return ExitCode::from(u8::try_from(orch::runner::run(dir.as_ref())).unwrap_or(1));
    }
    ExitCode::from(2)
}
