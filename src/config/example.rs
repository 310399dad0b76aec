//! The text of `config.example.yml`: every key with its default and one line, from the types alone.

use super::layers::Loaded;
use super::origin::Origins;
use super::render::{self, Note};
use super::resolved::Config;
use super::shape::{self, FileKind};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;

const HEADER: &str = "\
# Every setting of orch with its default. Copy what you want to change to config.yml under ORCH_HOME (~/.orch), or run
# `orch config set KEY VALUE`. A project's .orch.yml may hold name, model_map and workflow (not workflow.sandbox).
# A variable named ORCH_<SECTION>_<KEY> overrides both: ORCH_ROUTER_MODEL=opus. Edits apply without a restart.
";

/// The whole example file. Reading it gives exactly the defaults.
pub fn example_text() -> String {
    let config = Config::default();
    let loaded = Loaded { config, origins: Origins::default(), warnings: Vec::new() };
    let mut shown = loaded.show();
    let mut text = HEADER.to_owned();
    let told = RefCell::new(BTreeSet::new());
    for field in shape::root().fields().iter().filter(|field| field.allowed_in(FileKind::Global)) {
        let section = json!({ field.name.as_str(): shown[field.name.as_str()].take() });
        text.push('\n');
        text.push_str(&render::yaml(&section, &|key| note(key, &told)));
        if field.name == "agents" {
            text.push_str(&own_agent(&told));
        }
    }
    text
}

/// A program of one's own has no default: it is shown as a comment.
fn own_agent(told: &RefCell<BTreeSet<String>>) -> String {
    let agent = json!({ "agents": { "mybot": {
        "kind": "command",
        "command": "./bot.sh",
        "args": ["--model", "{model}", "{prompt_file}"],
        "prompt": "file",
        "mode": "lines",
    }}});
    let text = render::yaml(&agent, &|key| note(key, told));
    let lines = text.lines().skip_while(|line| !line.starts_with("  mybot:"));
    let commented: String = lines.map(|line| format!("  # {}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    format!("  # An agent of your own, for tasks with the label agent:mybot:\n{commented}")
}

/// The documentation of a key, the first time it comes up.
fn note(key: &str, told: &RefCell<BTreeSet<String>>) -> Note {
    let documented = shape::find(key).filter(|found| told.borrow_mut().insert(found.pattern.clone()));
    let doc = documented.and_then(|found| found.field).map(|field| field.doc.clone());
    Note { above: doc.into_iter().collect(), beside: None }
}
