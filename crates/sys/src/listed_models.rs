//! Which models an agent's program knows, as the program itself lists them. A program is asked once for as long as its file is the
//! same.

use super::fs::Fingerprint;
use super::process::{Invocation, run};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a program may take for its list.
const TIME: Duration = Duration::from_secs(3);
/// After which time a program that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// The variables that a program gets.
const VARIABLES: [&str; 4] = ["HOME", "PATH", "TMPDIR", "CODEX_HOME"];

type Answer = Option<Arc<BTreeSet<String>>>;

struct Known {
    of: Option<Fingerprint>,
    asked: Instant,
    answer: Answer,
}

static KNOWN: LazyLock<Mutex<BTreeMap<PathBuf, Known>>> = LazyLock::new(Mutex::default);

/// The models that `program` lists when it is called with `args`, read by `read`. `None`: it does not list them. Blocking,
/// for some tenths of a second where the program was not asked before.
pub fn listed_models(
    program: &Path,
    args: &[&str],
    environment: &BTreeMap<String, String>,
    read: fn(&str) -> Option<BTreeSet<String>>,
) -> Answer {
    let file = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let of = Fingerprint::of(&file);
    // Whoever comes meanwhile waits for the answer instead of asking, too.
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&file)
        && known.of == of
        && (known.answer.is_some() || known.asked.elapsed() < AGAIN)
    {
        return known.answer.clone();
    }
    let given = VARIABLES.iter().filter_map(|name| Some((*name, environment.get(*name)?)));
    let call = Invocation::new(program, "/").args(args).envs(given).time_limit(TIME);
    let answer = match run(&call) {
        Ok(output) if output.success() => read(&String::from_utf8_lossy(&output.stdout)).map(Arc::new),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "an agent's program did not list its models");
            None
        }
    };
    all.insert(file, Known { of, asked: crate::clock::instant(), answer: answer.clone() });
    answer
}
