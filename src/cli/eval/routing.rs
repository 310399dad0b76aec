//! `orch eval routing`: replays a routing policy on recorded outcomes, and compares it with alternatives.

use super::history;
use super::plot;
use super::view::{CascadeView, FrontierView, Kind, PointView, PolicyView, RoutingView, SingleView, figure, report};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use orch_config::policy::{self, ParsedPolicy, parse_policy};
use orch_config::problem::did_you_mean;
use orch_core::economics::policy::frontier::{best_cascade, best_single, mix_line, mixed_at, oracle, singles};
use orch_core::economics::policy::outcomes::{self, Outcomes, parse_outcomes};
use orch_core::economics::policy::replay::{Contender, Pass, Setting, replay};
use orch_core::economics::policy::report::figures;
use orch_core::economics::policy::{Gate, Policy, Worth};
use orch_sys::fs::{self, Durability};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The most models in a plain cascade: a fifth one hardly ever pays off.
const STEPS: usize = 4;
/// Seeds for the alternatives in the frontier: enough for a line in a plot.
const SIDE_SEEDS: usize = 5;
/// The values of a resolved task for which the cascades of the frontier are chosen.
const CASCADES: [f64; 6] = [1.5, 2.5, 4.0, 6.0, 9.0, 14.0];
/// Factors of the policy's own value, for its line in the frontier.
const SCALES: [f64; 4] = [0.5, 0.75, 1.5, 2.25];

/// Arguments of `orch eval routing`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recorded outcomes: CSV with task_id,model,resolved,cost_usd,api_calls; or --history
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Use this home's own judged runs instead of a file
    #[arg(long, conflicts_with = "outcomes")]
    history: bool,
    /// The policy, as YAML (docs/reference/routing-economics.md); without it, the default policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How the simulated gate errs: fa, share of wrong results accepted; fr, share of right results rejected
    #[arg(long, value_name = "fa=0.2,fr=0.1", value_parser = gate)]
    gate: Option<Gate>,
    /// The first seed, for folds and for the gate's errors
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many replays, each with its own seed; figures are means
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: u16,
    /// How many folds the tasks are dealt into; each is predicted from the others
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    folds: u16,
    /// Plot cost and quality as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn gate(text: &str) -> Result<Gate, String> {
    let expected = || "expected fa=SHARE,fr=SHARE, for instance fa=0.2,fr=0.1".to_owned();
    let (mut fa, mut fr) = (None, None);
    for part in text.split(',') {
        let (name, share) = part.split_once('=').ok_or_else(expected)?;
        let slot = match name.trim() {
            "fa" => &mut fa,
            "fr" => &mut fr,
            other => return Err(format!("`{other}` is neither fa nor fr; {}", expected())),
        };
        let share = share.trim().parse().map_err(|_| format!("`{}` is no share; {}", share.trim(), expected()))?;
        if slot.replace(share).is_some() {
            return Err(format!("{} is given twice; {}", name.trim(), expected()));
        }
    }
    let (Some(fa), Some(fr)) = (fa, fr) else { return Err(expected()) };
    Gate::new(fa, fr).map_err(|error| error.to_string())
}

/// Replays the policy, and prints the figures.
pub fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let (outcomes, history) = match &args.outcomes {
        Some(file) => (from_file(&context.cwd.join(file))?, None),
        None if !args.history => {
            let hint = "--outcomes FILE.csv replays a file, --history what this home has on record";
            return Err(CliError::usage("neither --outcomes nor --history is given", hint));
        }
        None => history::outcomes(context).map(|(outcomes, report)| (outcomes, Some(report)))?,
    };
    let (policy, gate) = policy_and_gate(args, &context.cwd)?;
    group_warnings(&policy, &outcomes).iter().for_each(|warning| context.ui.warning(warning));
    let setting = Setting { gate, seed: args.seed, seeds: args.seeds.into(), folds: args.folds.into() };
    let view = RoutingView { history, ..view(&outcomes, &policy, &setting)? };
    if let Some(file) = &args.plot {
        fs::write_private(&context.cwd.join(file), plot::svg(&view).as_bytes(), Durability::Cached)?;
    }
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else {
        context.ui.data(&report(&view, context.ui.columns(), context.ui.paint()))?;
    }
    Ok(Exit::Done)
}

/// A named file that cannot be read is a usage error, like one that cannot be parsed.
fn unreadable(error: &impl std::fmt::Display) -> CliError {
    CliError::usage(error.to_string(), "name a readable file; orch eval routing --help lists the options")
}

fn from_file(path: &Path) -> Result<Outcomes, CliError> {
    let bytes = fs::read_limited(path, outcomes::MAX_BYTES).map_err(|error| unreadable(&error))?;
    parse_outcomes(&bytes).map_err(|error| {
        CliError::usage(
            format!("{}: {error}", path.display()),
            "docs/reference/routing-economics.md describes the file",
        )
    })
}

/// Returns the policy, and the gate of the replay. A policy without a gate gets the one of `--gate`; one with a gate
/// keeps its assumption, so that the cost of a wrong assumption can be measured.
fn policy_and_gate(args: &Args, cwd: &Path) -> Result<(Policy, Gate), CliError> {
    let written = match &args.policy {
        Some(file) => {
            let path = cwd.join(file);
            let text = fs::read_text(&path, policy::MAX_BYTES).map_err(|error| unreadable(&error))?;
            parse_policy(&text).map_err(|error| {
                let hint = "docs/reference/routing-economics.md lists every key of a policy";
                CliError::usage(format!("{}: {error}", path.display()), hint)
            })?
        }
        None => ParsedPolicy { policy: Policy::default(), has_gate: false },
    };
    // The home's records hold the judge's verdicts: no errors are added unless requested.
    let usual = if args.history { Gate::PERFECT } else { written.policy.gate };
    let gate = args.gate.unwrap_or(usual);
    let believed = if written.has_gate { written.policy.gate } else { gate };
    Ok((Policy { gate: believed, ..written.policy }, gate))
}

/// Returns warnings about ladders of groups. Nothing is refused: the records may cover a part of the policy's groups.
fn group_warnings(policy: &Policy, outcomes: &Outcomes) -> Vec<String> {
    let known: BTreeSet<&str> = outcomes.tasks.iter().map(|task| task.group.as_str()).collect();
    let strange = policy.groups.keys().filter(|group| !known.contains(group.as_str()));
    let text = |group: &String| {
        let meant = did_you_mean(group, known.iter().copied());
        format!("groups.{group} is a ladder for no task: none of what is recorded is of that group{meant}")
    };
    strange.map(text).collect()
}

fn played(outcomes: &Outcomes, contenders: &[Contender], setting: &Setting) -> Result<Vec<Vec<Pass>>, CliError> {
    let hint = "orch eval routing --help lists the options; docs/reference/routing-economics.md the keys of a policy";
    replay(outcomes, contenders, setting).map_err(|error| CliError::usage(error.to_string(), hint))
}

fn view(outcomes: &Outcomes, policy: &Policy, setting: &Setting) -> Result<RoutingView, CliError> {
    let usual = Policy::default().worth;
    let worth = policy.worth.as_ref().or(usual.as_ref()).map_or(1.0, |worth| worth.under(setting.gate));
    let contenders = [Contender::Given(policy.clone()), Contender::Cascade { worth, steps: STEPS }];
    let passes = played(outcomes, &contenders, setting)?;
    let [of_policy, of_cascade] = [0, 1].map(|at| figures(outcomes, &passes[at], setting.seed));
    let singles = singles(outcomes);
    let best =
        best_single(&singles).ok_or_else(|| CliError::usage("no model is recorded", "orch eval routing --help"))?;
    let named = |columns: Vec<usize>| columns.into_iter().map(|column| outcomes.models[column].clone()).collect();
    let all: Vec<_> = outcomes.tasks.iter().collect();
    let mix = mixed_at(&singles, of_policy.cost);
    Ok(RoutingView {
        tasks: outcomes.tasks.len(),
        models: outcomes.models.len(),
        gate: setting.gate.into(),
        folds: setting.folds,
        seed: setting.seed,
        seeds: setting.seeds,
        policy: PolicyView::from(&of_policy),
        best_single: SingleView { model: outcomes.models[best].clone(), point: singles[best].into() },
        best_cascade: CascadeView {
            models: named(best_cascade(&all, setting.gate, worth, STEPS)),
            point: (&of_cascade).into(),
        },
        oracle: oracle(outcomes).into(),
        random_mix: mix.map(|resolved| PointView { resolved: figure(resolved), cost_usd: of_policy.cost, calls: None }),
        history: None,
        frontier: frontier(outcomes, policy, setting, worth, (&of_policy).into())?,
    })
}

fn frontier(
    outcomes: &Outcomes,
    policy: &Policy,
    setting: &Setting,
    worth: f64,
    here: PointView,
) -> Result<Vec<FrontierView>, CliError> {
    let singles = singles(outcomes);
    let point = |kind, name: String, point: PointView| FrontierView { kind, name, point };
    let of_models = singles.iter().zip(&outcomes.models);
    let mut points: Vec<_> = of_models.map(|(at, model)| point(Kind::Single, model.clone(), (*at).into())).collect();
    points.extend(
        mix_line(&singles).into_iter().map(|at| point(Kind::Mix, outcomes.models[at].clone(), singles[at].into())),
    );
    points.push(point(Kind::Oracle, "oracle".to_owned(), oracle(outcomes).into()));
    points.push(point(Kind::Policy, named_worth(worth), here));
    let mut others: Vec<(Kind, f64, Contender)> = Vec::new();
    for worth in CASCADES {
        others.push((Kind::Cascade, worth, Contender::Cascade { worth, steps: STEPS }));
    }
    // A policy with unlimited value has no other values.
    for by in SCALES {
        let scaled: Option<Worth> = policy.worth.as_ref().map(|points| points.scaled(by));
        let with = |points| Contender::Given(Policy { worth: Some(points), ..policy.clone() });
        others.extend(scaled.map(|points| (Kind::Policy, worth * by, with(points))));
    }
    let setting = Setting { seeds: setting.seeds.min(SIDE_SEEDS), ..*setting };
    let contenders: Vec<Contender> = others.iter().map(|(_, _, contender)| contender.clone()).collect();
    for ((kind, worth, _), passes) in others.iter().zip(played(outcomes, &contenders, &setting)?) {
        points.push(point(*kind, named_worth(*worth), (&figures(outcomes, &passes, setting.seed)).into()));
    }
    points.sort_by_key(|point| point.point.cost_usd);
    Ok(points)
}

fn named_worth(worth: f64) -> String {
    format!("worth {worth:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_read_in_either_order_and_nothing_else_is() {
        assert_eq!(gate("fa=0.2,fr=0.1"), Ok(Gate { false_accept: 0.2, false_reject: 0.1 }));
        assert_eq!(gate("fr=0, fa=0"), Ok(Gate::PERFECT));
        for (text, part) in [
            ("", "expected fa=SHARE,fr=SHARE"),
            ("fa=0.2", "expected fa=SHARE,fr=SHARE"),
            ("fa=0.2;fr=0.1", "`0.2;fr=0.1` is no share"),
            ("fa=a,fr=0", "`a` is no share"),
            ("fa=0.1,fa=0.1", "fa is given twice"),
            ("fp=0.1,fr=0.1", "`fp` is neither fa nor fr"),
            ("fa=nan,fr=0", "is not between 0 and 1"),
            ("fa=-0.1,fr=0", "is not between 0 and 1"),
            ("fa=0.6,fr=0.4", "add up to 1"),
        ] {
            let said = gate(text).expect_err(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
