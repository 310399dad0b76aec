//! The cache file of the last answers of model providers. It holds no key and no address, only digests that tell them
//! apart. It may be deleted at any time: what is damaged or missing is asked for again.

use super::fs::{self, Durability, FsError};
use jiff::Timestamp;
use orch_core::base::money::Usd;
use orch_core::models::availability::{Asked, Listed, Probe, Probes, State, Verdict};
use orch_core::models::catalog::{Capability, Facts, ModelRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file that is read, in bytes.
const LARGEST: usize = 32 << 20;
/// The version of the file's format.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    form: u32,
    providers: BTreeMap<String, Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    address: String,
    key: String,
    at: Timestamp,
    state: String,
    until: Option<Timestamp>,
    why: String,
    is_conclusive: bool,
    took_ms: u64,
    listed: Option<ListRecord>,
}

#[derive(Serialize, Deserialize)]
struct ListRecord {
    at: Timestamp,
    models: BTreeMap<String, ModelRecord>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ModelRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<String, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_micros: Option<i64>,
}

/// Loads the cached answers; empty where the file is missing, damaged or of another format.
pub fn load(path: &Path) -> Probes {
    let Ok(bytes) = fs::read_limited(path, LARGEST) else { return Probes::new() };
    let document = serde_json::from_slice::<Document>(&bytes).ok().filter(|document| document.form == FORM);
    let Some(document) = document else { return Probes::new() };
    let probes = document.providers.into_iter().filter_map(|(provider, record)| {
        let probe = probe(&provider, record)?;
        Some((provider, probe))
    });
    probes.collect()
}

/// Merges new answers into the file and returns its new content. Concurrent writers wait for each other.
///
/// # Errors
/// The file cannot be written. Its old content is then unchanged.
pub fn record(path: &Path, lock: &Path, answered: Probes) -> Result<Probes, FsError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_private(dir)?;
    }
    let _held = fs::lock_briefly(lock)?;
    let mut probes = load(path);
    for (provider, probe) in answered {
        let probe = probe.following(probes.get(&provider));
        probes.insert(provider, probe);
    }
    let providers = probes.iter().map(|(provider, probe)| (provider.clone(), stored(probe))).collect();
    let bytes = serde_json::to_vec(&Document { form: FORM, providers }).unwrap_or_default();
    fs::write_private(path, &bytes, Durability::Cached)?;
    Ok(probes)
}

fn probe(provider: &str, record: Record) -> Option<Probe> {
    let listed = record.listed.map(|listed| Listed {
        at: listed.at,
        models: listed.models.into_iter().map(|(id, model)| (ModelRef::new(provider, id), facts(model))).collect(),
    });
    Some(Probe {
        asked: Asked { address: record.address, key: record.key },
        at: record.at,
        verdict: Verdict {
            state: State::from_name(&record.state)?,
            until: record.until,
            why: record.why,
            is_conclusive: record.is_conclusive,
        },
        took_ms: record.took_ms,
        listed,
    })
}

fn stored(probe: &Probe) -> Record {
    let Probe { asked, at, verdict, took_ms, listed } = probe.clone();
    Record {
        address: asked.address,
        key: asked.key,
        at,
        state: verdict.state.as_str().to_owned(),
        until: verdict.until,
        why: verdict.why,
        is_conclusive: verdict.is_conclusive,
        took_ms,
        listed: listed.map(|listed| ListRecord {
            at: listed.at,
            models: listed.models.into_iter().map(|(id, facts)| (id.model, model(facts))).collect(),
        }),
    }
}

fn facts(model: ModelRecord) -> Facts {
    let capability = |(name, value): (String, bool)| {
        let capability = Capability::ALL.into_iter().find(|capability| capability.as_str() == name)?;
        Some((capability, value))
    };
    Facts {
        name: model.name,
        released: model.released,
        deprecated: model.deprecated,
        capabilities: model.capabilities.into_iter().filter_map(capability).collect(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        input_price: model.input_micros.map(Usd::from_micros),
        cached_price: model.cached_micros.map(Usd::from_micros),
        output_price: model.output_micros.map(Usd::from_micros),
        ..Facts::default()
    }
}

/// Converts the facts that a provider's list can contain.
fn model(facts: Facts) -> ModelRecord {
    let named = |(capability, value): (Capability, bool)| (capability.as_str().to_owned(), value);
    ModelRecord {
        name: facts.name,
        released: facts.released,
        deprecated: facts.deprecated,
        capabilities: facts.capabilities.into_iter().map(named).collect(),
        context_window: facts.context_window,
        max_output_tokens: facts.max_output_tokens,
        input_micros: facts.input_price.map(Usd::micros),
        cached_micros: facts.cached_price.map(Usd::micros),
        output_micros: facts.output_price.map(Usd::micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(state: State, models: bool) -> Probe {
        let at: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let facts = Facts {
            name: Some("A".to_owned()),
            capabilities: [(Capability::Vision, true), (Capability::CodeExecution, false)].into(),
            context_window: Some(9),
            input_price: Some(Usd::from_micros(5)),
            ..Facts::default()
        };
        Probe {
            asked: Asked { address: "1f".to_owned(), key: "2e".to_owned() },
            at,
            verdict: Verdict { state, until: Some(at), why: "why".to_owned(), is_conclusive: false },
            took_ms: 12,
            listed: models.then(|| Listed { at, models: vec![(ModelRef::new("p", "x/y"), facts)] }),
        }
    }

    #[test]
    fn what_is_recorded_is_read_again_and_a_damaged_file_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, lock) = (dir.path().join("state/providers.json"), dir.path().join("state/providers.lock"));
        assert_eq!(load(&path), Probes::new());
        let first = answered(State::Available, true);
        record(&path, &lock, [("p".to_owned(), first.clone())].into()).expect("written");
        assert_eq!(load(&path), [("p".to_owned(), first.clone())].into());
        let other = answered(State::RateLimited, false);
        let all = record(&path, &lock, [("p".to_owned(), other.clone()), ("q".to_owned(), other)].into());
        let all = all.expect("written");
        assert_eq!((all["p"].verdict.state, &all["p"].listed), (State::RateLimited, &first.listed), "the list is kept");
        assert_eq!((load(&path), all["q"].listed.is_none()), (all, true));
        let whole = fs::read_limited(&path, LARGEST).expect("there");
        for damaged in [&b""[..], b"{", b"[]", b"\xff\xfe", &whole[..whole.len() / 2], br#"{"form":2,"providers":{}}"#]
        {
            fs::write_private(&path, damaged, Durability::Cached).expect("written");
            assert_eq!(load(&path), Probes::new());
        }
        let unknown_state = String::from_utf8(whole).expect("text").replacen("rate_limited", "great", 1);
        fs::write_private(&path, unknown_state.as_bytes(), Durability::Cached).expect("written");
        assert_eq!(load(&path).len(), 1, "a state that is none is left out, the rest stays");
    }
}
