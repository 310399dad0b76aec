//! `orch models …`: lists models, resolves references, compares models, and checks their providers. Uses the settings,
//! the environment and the last answers of providers, and needs no engine. A running engine is asked for its overrides,
//! and only a comparison asks for past runs.

mod check;
mod compare;
pub mod set;
pub mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::runtime::single_threaded;
use super::settings;
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::models::{ModelView, ResolutionView};
use orch_api::queries::StatusQuery;
use orch_api::set_models::SetModelView;
use orch_api::status::StatusView;
use orch_config::Config;
use orch_core::base::nearest::nearest;
use orch_core::economics::budget::Level;
use orch_core::models::availability::Probe;
use orch_core::models::catalog::{Capability, Model, ModelRef};
use orch_core::models::resolve::{Mode, Needs, ResolveError, Tag, Trouble, needs_of};
use orch_engine::{ModelBook, reach, samples_beside};
use orch_sys::probes;
use std::collections::{BTreeMap, BTreeSet};

/// Arguments of `orch models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
struct Sieve {
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

/// The inputs of all subcommands.
struct ModelContext {
    book: ModelBook,
    config: Config,
}

impl std::ops::Deref for ModelContext {
    type Target = ModelBook;
    fn deref(&self) -> &ModelBook {
        &self.book
    }
}

impl ModelContext {
    fn load(context: &Context) -> Result<Self, CliError> {
        let home = context.setup()?.home;
        let loaded = settings::global(context, &home)?;
        loaded.warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
        let (probes, now) = (probes::load(&home.providers_file()), context.now());
        let words = |id: &str, probe: &Probe| failing(id, probe, &now);
        let mut book = ModelBook::load(&loaded.config, &context.environment, probes, now.at, &words);
        let samples = samples_beside(&home.journal()).unwrap_or_else(|why| {
            context.ui.warning(&format!("past results are not available: {why}"));
            Vec::new()
        });
        book.remember(&loaded.config, &context.environment, &samples, now.at);
        Ok(Self { book, config: loaded.config })
    }

    /// Returns the model that is set, as the catalog has it; for an agent, the one that its program would get.
    fn resolve_set(&self, set: &SetModelView, environment: &BTreeMap<String, String>) -> Option<ModelRef> {
        let needs = Needs::default();
        let Some(agent) = &set.agent else {
            return self.resolver().resolve(&set.model, &needs).ok().map(|found| found.model.id.clone());
        };
        reach(&self.config, agent, environment).name(self.resolver(), &set.model, &needs).ok()?.model
    }

    fn view(&self, model: &Model) -> ModelView {
        ModelView::new(model, &self.usability)
    }
}

/// Describes why a provider is not used.
fn failing(id: &str, probe: &Probe, now: &Now) -> String {
    let until = probe.verdict.until.map(|until| format!(" until {}", now.until(until))).unwrap_or_default();
    format!("{id} {}{until}, asked {} ago", probe.verdict.why, now.age(probe.at))
}

impl From<ResolveError> for CliError {
    fn from(error: ResolveError) -> Self {
        let (message, hint) = (error.to_string(), Some(error.hint()));
        match error.trouble() {
            Trouble::Usage => Self::Usage { message, hint },
            Trouble::NotFound => Self::NotFound { message, hint },
            Trouble::Refused => Self::Refused { message, hint },
        }
    }
}

/// Runs the subcommand.
pub fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::List { usable, tag } => single_threaded(list(ModelContext::load(context)?, usable, tag, context)),
        Command::Resolve { reference, mode, require, min_context } => {
            let mut models = ModelContext::load(context)?;
            models.book.selection.mode = mode.unwrap_or(models.book.selection.mode);
            let needs = Needs { capabilities: require.into_iter().collect(), min_context, ..Needs::default() };
            single_threaded(async move {
                models.book.selection.paid_ahead = paid_ahead(&models.config, context).await?;
                resolve(&models, &reference.join(" "), &needs, context)
            })
        }
        Command::Compare { references } => {
            single_threaded(compare::run(ModelContext::load(context)?, &references, context))
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

async fn list(loaded: ModelContext, usable: bool, sieve: Option<Sieve>, context: &Context) -> Result<Exit, CliError> {
    let fits = |model: &&Model| {
        let fits = |sieve: &Sieve| sieve.needs.met_by(model);
        (!usable || loaded.usability.allows(&model.id.provider)) && sieve.as_ref().is_none_or(fits)
    };
    let mut models: Vec<ModelView> =
        loaded.catalog.models().iter().filter(fits).map(|model| loaded.view(model)).collect();
    let decided = decided(context).await?;
    for set in decided.iter().flat_map(|status| &status.set_models) {
        let Some(reference) = loaded.resolve_set(set, &context.environment) else { continue };
        models.iter_mut().filter(|model| model.id == reference).for_each(|model| model.set_for.push(set::whose(set)));
    }
    if context.ui.is_json() {
        context.ui.json(&models)?;
    } else {
        let ui = &context.ui;
        ui.data(&show::listed(&models, usable, ui.columns(), ui.paint()))?;
        decided.iter().try_for_each(|status| ui.data(&show::decided(status, &context.now())))?;
    }
    Ok(Exit::Done)
}

/// Returns the status of a running daemon, if there is one.
async fn decided(context: &Context) -> Result<Option<StatusView>, CliError> {
    let Some(client) = context.setup()?.connect().await else { return Ok(None) };
    // The status holds more than models. An engine that shuts down gives none, and the list is complete without it.
    Ok(client.call(&endpoint::Status { query: StatusQuery::default() }).await.ok().map(|overview| overview.status))
}

/// Returns the prepaid accounts with something left. Looked up only if there is such an agreement.
async fn paid_ahead(config: &Config, context: &Context) -> Result<BTreeSet<String>, CliError> {
    let rules = config.budget.rules();
    if !rules.accounts.keys().any(|name| rules.has_period(name)) {
        return Ok(BTreeSet::new());
    }
    let mut link = context.link().await?;
    let view = link.call(&endpoint::Budget).await?;
    link.leave().await?;
    let accounts = view.accounts.into_iter().filter(|one| one.standing.level == Level::Ok);
    Ok(accounts.map(|one| one.name).filter(|name| rules.has_period(name)).collect())
}

fn resolve(models: &ModelContext, reference: &str, needs: &Needs, context: &Context) -> Result<Exit, CliError> {
    let found = models.resolver().resolve(reference, needs)?;
    let view = ResolutionView::new(reference, &found, &models.catalog, &models.usability);
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&show::resolved(&view))?;
    }
    Ok(Exit::Done)
}
