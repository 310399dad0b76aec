//! `orch models …`: lists models, resolves references, compares models, and checks their providers. The engine answers,
//! by its own settings and environment.

mod check;
mod compare;
pub mod set;
pub mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::runtime::single_threaded;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::models::{CompareQuestion, ResolveQuestion};
use orch_api::queries::{ModelsQuery, StatusQuery};
use orch_core::base::nearest::nearest;
use orch_core::models::catalog::Capability;
use orch_core::models::resolve::{Mode, Needs, Tag, needs_of};

/// The commands of `orch models`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the models: tier, capabilities, context, price per million tokens, and whether they are usable
    #[command(visible_alias = "ls")]
    List {
        /// Only models whose provider is usable
        #[arg(long)]
        usable: bool,
        /// Only models with a tag (vision, docs, code …) or a capability (tools, pdf …)
        #[arg(long, value_name = "WORD", value_parser = sieve)]
        tag: Option<Sieve>,
    },
    /// Resolve a reference to a model, and show why: auto:vision, tier:pro, sonnet, anthropic/claude-sonnet-4-6
    Resolve {
        /// A tag, a tier, provider/model, an alias or a name
        #[arg(required = true, num_args = 1..)]
        reference: Vec<String>,
        /// How price is weighted, instead of model_selection.mode: performance, balanced or economical
        #[arg(long, value_parser = mode)]
        mode: Option<Mode>,
        /// Required capabilities: vision, tools, streaming, reasoning, web, pdf, code_execution
        #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = capability)]
        require: Vec<Capability>,
        /// Required context, in tokens
        #[arg(long, value_name = "TOKENS")]
        min_context: Option<u64>,
    },
    /// Compare models: price, capabilities, limits, and their record here: judged runs, accepted runs, cost per
    /// accepted run
    Compare {
        /// References, at least two
        #[arg(required = true, num_args = 2..)]
        references: Vec<String>,
    },
    /// Check whether providers are usable: exit code 0 available, 1 unavailable, 2 rate-limited, 3 invalid key
    Check(check::Args),
    /// Set the model of an agent or a project, from the next run on until the daemon stops
    Set {
        /// A name, provider/model, a tag or a tier
        model: String,
        #[command(flatten)]
        of: set::Of,
    },
    /// Undo a set
    Reset {
        #[command(flatten)]
        of: set::Of,
    },
}

/// Which models to list.
#[derive(Debug, Clone)]
pub struct Sieve {
    needs: Needs,
}

fn sieve(word: &str) -> Result<Sieve, String> {
    let word = word.trim().to_lowercase();
    let plain = word.strip_prefix("auto:").or_else(|| word.strip_prefix("node:")).unwrap_or(&word);
    if let Some(tag) = Tag::from_word(plain) {
        return Ok(Sieve { needs: needs_of(Some(tag)) });
    }
    let needs = |what| Needs { capabilities: [what].into(), ..Needs::default() };
    capability(plain).map(|what| Sieve { needs: needs(what) }).map_err(|_| {
        "tags are vision, fast, docs, code, reasoning and cheap; capabilities: ".to_owned() + &capabilities()
    })
}

fn capabilities() -> String {
    Capability::ALL.map(Capability::as_str).join(", ")
}

fn capability(word: &str) -> Result<Capability, String> {
    let word = word.trim().to_lowercase().replace('-', "_");
    let word = if word == "web_search" { "web" } else { &word };
    Capability::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
        let meant = nearest(word, Capability::ALL.map(Capability::as_str));
        let meant = meant.map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
        format!("{meant}capabilities are {}", capabilities())
    })
}

fn mode(word: &str) -> Result<Mode, String> {
    let known = Mode::ALL.map(Mode::as_str);
    Mode::ALL.into_iter().find(|mode| mode.as_str() == word).ok_or_else(|| format!("modes are {}", known.join(", ")))
}

/// Runs the subcommand.
pub fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::List { usable, tag } => {
            let Needs { capabilities, min_context, .. } = tag.map(|sieve| sieve.needs).unwrap_or_default();
            // A tag needs one capability at most.
            let capability = capabilities.into_iter().next();
            let query = ModelsQuery { usable: Some(usable), capability, min_context };
            single_threaded(list(endpoint::ModelList { query }, context))
        }
        Command::Resolve { reference, mode, require, min_context } => {
            let body = ResolveQuestion { reference: reference.join(" "), mode, require, min_context };
            let request = endpoint::ModelResolve { body };
            single_threaded(context.present(&request, |view, _, _| show::resolved(view)))
        }
        Command::Compare { references } => {
            let request = endpoint::ModelCompare { body: CompareQuestion { references: references.clone() } };
            single_threaded(context.present(&request, |views, _, _| compare::render(&references, views)))
        }
        Command::Set { model, of } => single_threaded(set::run(Some(model), of, context)),
        Command::Reset { of } => single_threaded(set::run(None, of, context)),
        // The lowest codes are answers, so an error has another one.
        Command::Check(args) => Ok(single_threaded(check::run(args, context)).unwrap_or_else(|error| {
            context.ui.error(&error);
            Exit::NoAnswer
        })),
    }
}

async fn list(request: endpoint::ModelList, context: &Context) -> Result<Exit, CliError> {
    let (mut link, ui) = (context.link().await?, &context.ui);
    if ui.is_json() {
        ui.raw_json(&link.raw(&request).await?)?;
    } else {
        let models = link.call(&request).await?;
        ui.data(&show::listed(&models, request.query.usable == Some(true), ui.columns(), ui.paint()))?;
        // Only a daemon has decided anything. One that shuts down tells nothing, and the list is complete without it.
        let status = endpoint::Status { query: StatusQuery::default() };
        if !link.is_own()
            && let Ok(overview) = link.call(&status).await
        {
            ui.data(&show::decided(&overview.status, &context.now()))?;
        }
    }
    link.close().await?;
    Ok(Exit::Done)
}
