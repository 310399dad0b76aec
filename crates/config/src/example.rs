//! Generates `config.example.yml` from the types: every key with its default and a line of documentation.

use super::layers::Loaded;
use super::origin::Origins;
use super::render::{self, Note};
use super::resolved::Config;
use super::shape::{self, FileKind};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

const HEADER: &str = "\
# Every setting of orch with its default. Copy what you want to change to config.yml under ORCH_HOME (~/.orch), or run
# `orch config set KEY VALUE`. A project's .orch.yml may hold name, model_map, workspace, workflow (not workflow.sandbox)
# and of limits time_by_type and nudge_after_seconds.
# A variable named ORCH_<SECTION>_<KEY> overrides both: ORCH_ROUTER_MODEL=opus. Edits apply without a restart.
";

/// Returns the text of the example file. Reading it gives exactly the defaults.
pub fn example_text() -> String {
    let config = Config::default();
    let loaded = Loaded { config, origins: Origins::default(), warnings: Vec::new() };
    let mut shown = loaded.show();
    let mut text = HEADER.to_owned();
    let documented = RefCell::new(BTreeSet::new());
    for field in shape::root().fields().iter().filter(|field| field.allowed_in(FileKind::Global)) {
        let section = json!({ field.name.as_str(): shown[field.name.as_str()].take() });
        text.push('\n');
        text.push_str(&render::yaml(&section, &|key| note(key, &documented)));
        if field.name == "agents" {
            text.push_str(&own_agent(&documented));
        }
        if field.name == "budget" {
            text.push_str(&commented("An account paid by use, and a subscription:", &accounts(), 2, &documented));
        }
        if let Some((title, entry)) = illustration(&field.name) {
            text.push_str(&commented(title, &json!({ field.name.as_str(): entry }), 1, &documented));
        }
    }
    text
}

/// Returns an example of a declared agent, which has no default, as comments.
fn own_agent(documented: &RefCell<BTreeSet<String>>) -> String {
    let agent = json!({ "agents": { "mybot": {
        "kind": "command",
        "command": "./bot.sh",
        "args": ["--model", "{model}", "{prompt_file}"],
        "prompt": "file",
        "mode": "lines",
        "timeout_seconds": 7200,
        "memory_mb": 4000,
    }}});
    commented("Your own agent, for tasks with the label agent:mybot:", &agent, 1, documented)
}

/// Returns an example of accounts: a provider paid by use, and one paid in advance.
fn accounts() -> Value {
    json!({ "budget": { "accounts": {
        "anthropic": { "billing_type": "token", "daily_budget": 50, "priority": 50 },
        "opencode": {
            "billing_type": "subscription",
            "start": "2026-02-01",
            "end": "2026-03-01",
            "allowance": 200,
            "unit": "usd",
            "reserve_percent": 20,
        },
    }}})
}

/// Returns an example entry, with a title, for a mapping that is empty by default.
fn illustration(section: &str) -> Option<(&'static str, Value)> {
    Some(match section {
        "model_aliases" => ("Your own alias:", json!({ "quick": "auto:fast" })),
        "models" => (
            "A model that orch does not know, or whose properties you override:",
            json!({ "local/coder": {
                "tier": "sonnet",
                "vision": false,
                "tools": true,
                "streaming": true,
                "reasoning": true,
                "web": false,
                "pdf": false,
                "code_execution": false,
                "context_window": 131_072,
                "max_output_tokens": 32_768,
                "input_usd_per_mtok": 0.15,
                "cached_input_usd_per_mtok": 0.02,
                "output_usd_per_mtok": 0.6,
                "average_latency_ms": 900,
                "throughput_tokens_per_second": 60,
                "deprecated": false,
            }}),
        ),
        "providers" => (
            "Your own server; without key_variable it needs no API key:",
            json!({ "local": { "base_url": "http://127.0.0.1:8080/v1", "key_variable": "LOCAL_API_KEY", "api": "chat" } }),
        ),
        _ => return None,
    })
}

/// Renders an example below a section, or below a key of it (`depth` 2), as comments.
fn commented(title: &str, section: &Value, depth: usize, documented: &RefCell<BTreeSet<String>>) -> String {
    let text = render::yaml(section, &|key| note(key, documented));
    let indent = "  ".repeat(depth);
    // The keys of the section itself are already in the text.
    let lines = text.lines().skip_while(|line| !line.starts_with(&indent) || line.trim_start().starts_with('#'));
    let commented: String =
        lines.map(|line| format!("{indent}# {}\n", line.strip_prefix(&indent).unwrap_or(line))).collect();
    format!("{indent}# {title}\n{commented}")
}

/// Returns the documentation of a key, the first time it occurs.
fn note(key: &str, documented: &RefCell<BTreeSet<String>>) -> Note {
    let first = shape::find(key).filter(|found| documented.borrow_mut().insert(found.pattern.clone()));
    let doc = first.and_then(|found| found.field).map(|field| field.doc.clone());
    Note { above: doc.into_iter().collect(), beside: None }
}
