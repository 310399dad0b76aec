//! `orch models …`: which models there are, which one a reference means and why, some side by side, and whether their
//! providers can be used now. Needs the settings, the environment and what providers answered last, hence no engine; one that
//! runs is asked what it has decided, and only a comparison asks for the runs of the past.

mod check;
mod compare;
pub mod set;
pub mod show;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::runtime::alone;
use super::settings;
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::endpoint;
use orch_api::models::{ModelView, ResolutionView};
use orch_api::queries::StatusQuery;
use orch_api::set_models::SetModelView;
use orch_api::status::StatusView;
use orch_config::Config;
use orch_core::availability::Probe;
use orch_core::budget::Level;
use orch_core::catalog::{Capability, Model, ModelRef};
use orch_core::resolve::{Mode, Needs, ResolveError, Tag, Trouble, needs_of};
use orch_core::router::nearest;
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
    /// List the models: tier, capabilities, context, price per million tokens, and whether they can be used
    #[command(visible_alias = "ls")]
    List {
        /// Only those whose provider can be used
        #[arg(long)]
        usable: bool,
        /// Only those that do for a tag (vision, docs, code …) or have a capability (tools, pdf …)
        #[arg(long, value_name = "WORD", value_parser = sieve)]
        tag: Option<Sieve>,
    },
    /// Tell which model a reference means, and why: auto:vision, tier:pro, sonnet, anthropic/claude-sonnet-4-6
    Resolve {
        /// A tag, a tier, provider/model, an alias or a name
        #[arg(required = true, num_args = 1..)]
        reference: Vec<String>,
        /// How price counts, instead of model_selection.mode: performance, balanced or economical
        #[arg(long, value_parser = mode)]
        mode: Option<Mode>,
        /// What the model must have: vision, tools, streaming, reasoning, web, pdf, code_execution
        #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = capability)]
        require: Vec<Capability>,
        /// Tokens of context that it must have
        #[arg(long, value_name = "TOKENS")]
        min_context: Option<u64>,
    },
    /// Show models side by side: price, capabilities, limits, and how they have done here: judged runs, accepted ones, cost per accepted
    Compare {
        /// References, at least two
        #[arg(required = true, num_args = 2..)]
        references: Vec<String>,
    },
    /// Tell whether providers can be used now: exit code 0 available, 1 unavailable, 2 rate-limited, 3 invalid key
    Check(check::Args),
    /// Have an agent or a project work with a model, from the next run on and as long as the daemon runs
    Set {
        /// A name, provider/model, a tag or a tier
        model: String,
        #[command(flatten)]
        of: set::Of,
    },
    /// Take back what was set
    Reset {
        #[command(flatten)]
        of: set::Of,
    },
}

/// Which models are listed.
#[derive(Debug, Clone)]
struct Sieve {
    needs: Needs,
}

fn sieve(word: &str) -> Result<Sieve, String> {
    let word = word.trim().to_lowercase();
    let plain = word.strip_prefix("auto:").or_else(|| word.strip_prefix("node:")).unwrap_or(&word);
    if let Some(tag) = Tag::of(plain) {
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

/// What every one of the commands needs.
struct Stand {
    book: ModelBook,
    config: Config,
}

impl std::ops::Deref for Stand {
    type Target = ModelBook;
    fn deref(&self) -> &ModelBook {
        &self.book
    }
}

impl Stand {
    fn look(context: &Context) -> Result<Self, CliError> {
        let home = context.setup()?.home;
        let loaded = settings::global(context, &home)?;
        loaded.warnings.iter().for_each(|warning| context.ui.warning(&warning.to_string()));
        let (probes, now) = (probes::load(&home.providers_file()), context.now());
        let words = |id: &str, probe: &Probe| failing(id, probe, &now);
        let mut book = ModelBook::look(&loaded.config, &context.environment, probes, now.at, &words);
        let samples = samples_beside(&home.journal()).unwrap_or_else(|why| {
            context.ui.warning(&format!("nothing of the past is known: {why}"));
            Vec::new()
        });
        book.remember(&loaded.config, &context.environment, &samples, now.at);
        Ok(Self { book, config: loaded.config })
    }

    /// The model that is set, as the catalog has it: for an agent the one that its program would be given.
    fn meant(&self, set: &SetModelView, environment: &BTreeMap<String, String>) -> Option<ModelRef> {
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

/// Why a provider is passed over.
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

/// Runs one of them.
pub fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::List { usable, tag } => alone(list(Stand::look(context)?, usable, tag, context)),
        Command::Resolve { reference, mode, require, min_context } => {
            let mut stand = Stand::look(context)?;
            stand.book.selection.mode = mode.unwrap_or(stand.book.selection.mode);
            let needs = Needs { capabilities: require.into_iter().collect(), min_context, ..Needs::default() };
            alone(async move {
                stand.book.selection.paid_ahead = paid_ahead(&stand.config, context).await?;
                resolve(&stand, &reference.join(" "), &needs, context)
            })
        }
        Command::Compare { references } => alone(compare::run(Stand::look(context)?, &references, context)),
        Command::Set { model, of } => alone(set::run(Some(model), of, context)),
        Command::Reset { of } => alone(set::run(None, of, context)),
        // Its lowest codes are answers: what went wrong has another one.
        Command::Check(args) => Ok(alone(check::run(args, context)).unwrap_or_else(|error| {
            context.ui.error(&error);
            Exit::NoAnswer
        })),
    }
}

async fn list(stand: Stand, usable: bool, sieve: Option<Sieve>, context: &Context) -> Result<Exit, CliError> {
    let fits = |model: &&Model| {
        let fits = |sieve: &Sieve| sieve.needs.met_by(model);
        (!usable || stand.usability.allows(&model.id.provider)) && sieve.as_ref().is_none_or(fits)
    };
    let mut models: Vec<ModelView> =
        stand.catalog.models().iter().filter(fits).map(|model| stand.view(model)).collect();
    let decided = decided(context).await?;
    for set in decided.iter().flat_map(|status| &status.set_models) {
        let Some(meant) = stand.meant(set, &context.environment) else { continue };
        models.iter_mut().filter(|model| model.id == meant).for_each(|model| model.set_for.push(set::whose(set)));
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

/// What a daemon says that runs; nothing where none does.
async fn decided(context: &Context) -> Result<Option<StatusView>, CliError> {
    let Some(client) = context.setup()?.connect().await else { return Ok(None) };
    // It says more than models; one that is leaving says nothing, and the list is whole without it.
    Ok(client.call(&endpoint::Status { query: StatusQuery::default() }).await.ok().map(|overview| overview.status))
}

/// Accounts that are paid in advance, with something left. It is looked up only where there is such an agreement.
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

fn resolve(stand: &Stand, reference: &str, needs: &Needs, context: &Context) -> Result<Exit, CliError> {
    let found = stand.resolver().resolve(reference, needs)?;
    let view = ResolutionView::new(reference, &found, &stand.catalog, &stand.usability);
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&show::resolved(&view))?;
    }
    Ok(Exit::Done)
}
