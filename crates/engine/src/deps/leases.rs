//! Ports and names that each open task has for itself. Kept in a file of the home, so that a task has the same ones in
//! all of its runs and checks; given up when the task ends.

use crate::deps::Deps;
use orch_core::base::ids::TaskId;
use orch_core::tasks::workspace::{Leases, Variable};
use orch_sys::fs::{self, Durability};
use orch_sys::machine::is_port_free;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where they are kept, in the home's state.
const FILE: &str = "leases.json";
/// More than it ever holds, in bytes.
const LARGEST: usize = 4 << 20;

/// Returns the values of the variables of a task. What it lacks it gets now.
///
/// # Errors
/// In words: no port is left, or the file cannot be read or written.
pub async fn values(
    deps: &Arc<Deps>,
    variables: &BTreeMap<String, Variable>,
    task: TaskId,
) -> Result<BTreeMap<String, String>, String> {
    if variables.is_empty() {
        return Ok(BTreeMap::new());
    }
    let _alone = deps.ledger.turn(&deps.home.state(), FILE).await;
    let (deps, variables) = (Arc::clone(deps), variables.clone());
    let granted = tokio::task::spawn_blocking(move || grant(&deps, &variables, task)).await;
    granted.map_err(|error| error.to_string())?
}

fn grant(
    deps: &Deps,
    variables: &BTreeMap<String, Variable>,
    task: TaskId,
) -> Result<BTreeMap<String, String>, String> {
    let file = deps.home.state().join(FILE);
    let mut leases: Leases = match fs::read_limited(&file, LARGEST) {
        // One that does not read is made anew: what it held is found again by which ports are in use.
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(error) if error.is_not_found() => Leases::default(),
        Err(error) => return Err(error.to_string()),
    };
    let before = leases.clone();
    // What the journal cannot answer just now is not given up.
    let is_open = |id| {
        id == task || deps.journal.task(id).map_or(true, |found| found.is_some_and(|task| !task.status().is_final()))
    };
    leases.keep_only(is_open);
    let values = leases.values(task, variables, is_port_free).ok_or("no port is free for workspace.env")?;
    if leases != before {
        let bytes = serde_json::to_vec(&leases).map_err(|error| error.to_string())?;
        fs::write_private(&file, &bytes, Durability::Cached).map_err(|error| error.to_string())?;
    }
    Ok(values)
}
