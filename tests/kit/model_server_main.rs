//! The scripted model server as a program: `cargo run --example model-server`. Prints how to point each agent CLI
//! at it, and serves until it is interrupted.

#![allow(dead_code, reason = "the server's test side is not used here")]

mod clis;
mod model_server;

use clap::Parser;
use clis::{Agent, setup};
use model_server::{ModelServer, Script};
use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serves scripted model answers on 127.0.0.1.
#[derive(Parser)]
struct Args {
    /// Port; 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Script (JSON); without it, the standard one of orch's tests.
    #[arg(long, value_name = "FILE")]
    scenarios: Option<PathBuf>,
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(never) => match never {},
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is interrupted.
fn serve(args: &Args) -> Result<Infallible, Box<dyn Error>> {
    let script = args.scenarios.as_deref().map_or_else(|| Ok(Script::standard()), Script::load)?;
    let names: Vec<String> = script.rules.iter().map(|rule| rule.name.clone()).collect();
    let server = ModelServer::start_on(args.port, script)?;
    say(&format!("{}\n\nrules: {}\n", server.url(), names.join(", ")));
    for agent in Agent::ALL {
        say(&block(agent, &server.url()));
    }
    say(
        "Give each CLI an empty HOME of its own, and nothing else in its environment but PATH. Ctrl-C ends the server.",
    );
    loop {
        std::thread::park();
    }
}

/// Returns the instructions to configure one CLI by hand.
fn block(agent: Agent, url: &str) -> String {
    let setup = setup(agent, url);
    let files = setup.files.iter().map(|(path, text)| format!("$HOME/{path}:\n{text}\n"));
    let variables = setup.env.iter().map(|(key, value)| format!("export {key}='{value}'\n"));
    let run = format!("{} {}   # the prompt on stdin\n", agent.name(), quoted(&agent.run_args()));
    format!("## {}\n{}{}{run}", agent.name(), variables.collect::<String>(), files.collect::<String>())
}

fn quoted(args: &[String]) -> String {
    let quote = |arg: &String| if arg.is_empty() { "''".to_owned() } else { arg.clone() };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[expect(
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "this program's output is for the person who runs it"
)]
fn say(text: &str) {
    println!("{text}");
}

/// Prints the error with its causes.
#[expect(clippy::disallowed_macros, clippy::print_stderr, reason = "messages of this program are for its user")]
fn complain(error: &dyn Error) {
    let mut text = format!("model-server: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    eprintln!("{text}");
}
