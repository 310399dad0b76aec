//! The models that an agent's program lists. A program is asked once as long as its file stays the same.

use super::fs::Fingerprint;
use super::process::{Invocation, run};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time limit for printing the list.
const LIST_TIMEOUT: Duration = Duration::from_secs(3);
/// A program that did not answer is asked again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The environment variables that are passed to the program.
const VARIABLES: [&str; 4] = ["HOME", "PATH", "TMPDIR", "CODEX_HOME"];

type Answer = Option<Arc<BTreeSet<String>>>;

struct Cached {
    fingerprint: Option<Fingerprint>,
    asked: Instant,
    answer: Answer,
}

static CACHE: LazyLock<Mutex<BTreeMap<PathBuf, Cached>>> = LazyLock::new(Mutex::default);

/// Returns the models that `program` lists when called with `args`, parsed by `read`; `None` when it lists none. Blocks
/// for some tenths of a second when the program was not asked before.
pub fn listed_models(
    program: &Path,
    args: &[&str],
    environment: &BTreeMap<String, String>,
    read: fn(&str) -> Option<BTreeSet<String>>,
) -> Answer {
    let file = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let fingerprint = Fingerprint::read(&file);
    // Concurrent callers wait on the lock for this answer instead of asking too.
    let mut all = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&file)
        && known.fingerprint == fingerprint
        && (known.answer.is_some() || known.asked.elapsed() < RETRY_AFTER)
    {
        return known.answer.clone();
    }
    let variables = VARIABLES.iter().filter_map(|name| Some((*name, environment.get(*name)?)));
    let call = Invocation::new(program, "/").args(args).envs(variables).time_limit(LIST_TIMEOUT);
    let answer = match run(&call) {
        Ok(output) if output.success() => read(&String::from_utf8_lossy(&output.stdout)).map(Arc::new),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "an agent's program did not list its models");
            None
        }
    };
    all.insert(file, Cached { fingerprint, asked: crate::clock::instant(), answer: answer.clone() });
    answer
}
