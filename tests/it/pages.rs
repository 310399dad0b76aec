//! The pages as a whole: every page that is pointed to is there, and what they show can be done.

use crate::kit::read_file;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::RUN;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A page, by its path in the repository.
pub fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_page_that_is_pointed_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned(), "AGENTS.md".to_owned(), "specs.md".to_owned()];
    for dir in ["docs", "docs/tutorial", "docs/how-to", "docs/how-to/runbooks", "docs/explanation", "docs/reference"] {
        for entry in fs::read_dir(root.join(dir)).expect("docs/") {
            let name = entry.expect("docs/").file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{dir}/{name}"));
            }
        }
    }
    let mut missing = Vec::new();
    for path in &pages {
        let dir = root.join(path).parent().expect("a file has a directory").to_owned();
        for link in page(path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if target.is_empty() { root.join(path) } else { dir.join(target) };
            let leads = |file: &Path| anchor.is_empty() || anchors(&read_file(file)).contains(anchor);
            let is_outside = link.contains("://");
            if !is_outside && (!file.exists() || !leads(&file)) {
                missing.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Where a link into a page may lead: its headings, as GitHub names them, and what it names itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let name = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| name(line.trim_start_matches('#').trim()));
    let own = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    headings.chain(own.map(str::to_owned)).collect()
}

#[test]
fn every_decision_stands_in_the_index() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
    let index = page("docs/decisions/README.md");
    for entry in fs::read_dir(&root).expect("docs/decisions") {
        let name = entry.expect("docs/decisions").file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name}");
    }
    for link in index.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root.join(link).exists(), "{link}");
    }
}

#[test]
fn the_pages_that_are_read_first_are_short() {
    for (path, most) in [("README.md", 150), ("specs.md", 400)] {
        let lines = page(path).lines().count();
        assert!(lines <= most, "{path}: {lines} lines, at most {most}");
    }
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let text = page("README.md");
    let code = text.lines().filter(|line| line.starts_with("make ")).take(2).collect::<Vec<_>>();
    assert!(code[0].starts_with("make demo") && code[1].starts_with("make test"), "{code:?}");
}

/// What a page's `sh` blocks do, and what their output must hold.
fn examples(text: &str) -> (String, Vec<String>) {
    let (mut script, mut expected) = (String::from("set -e\n"), Vec::new());
    for block in text.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match line.strip_prefix("#= ") {
                // A mark in the output identifies the example.
                Some(held) => {
                    expected.push(held.to_owned());
                    script.push_str(&format!("echo; echo '== {}'\n", expected.len()));
                }
                None => script.push_str(&format!("{line}\n")),
            }
        }
    }
    (script, expected)
}

#[test]
fn the_examples_of_the_streaming_page_work_as_they_are_written() {
    let mut sealed = SealedBox::new();
    sealed.program(
        "greeter",
        r#"#!/bin/sh
cat > /dev/null
printf '%s\n' '{"type":"system","subtype":"init","session_id":"s-1","model":"sonnet"}' \
  '{"type":"assistant","message":{"content":[{"type":"text","text":"hello from the agent"}]}}' \
  '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"1","name":"Write","input":{"file_path":"greeting.txt","content":"hello\n"}}]}}'
echo hello > greeting.txt; git add greeting.txt; git commit -qm greeted
printf '%s\n' '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"1","content":"written"}]}}' \
  '{"type":"result","subtype":"success","is_error":false,"session_id":"s-1","result":"{\"status\":\"done\",\"summary\":\"greeted\"}","total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":2}}'
"#,
    );
    std::os::unix::fs::symlink(ORCH, sealed.bin().join("orch")).expect("a link");
    sealed.config("agents: {greeter: {kind: claude, command: greeter, live: false}}\n");
    sealed.set("AGENT", "greeter");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    let (script, expected) = examples(&page("docs/explanation/streaming.md"));
    assert!(expected.len() > 20);
    let ran = sealed.run_program("/bin/sh").args(["-c", &script]).deadline(RUN).run().ok();
    // Of several lines after one example, each checks the output since the last example.
    let mut rest = ran.stdout.as_str();
    let mut since = "";
    for (index, held) in expected.iter().enumerate() {
        let (said, after) = rest.split_once(&format!("\n== {}\n", index + 1)).unwrap_or_else(|| panic!("{ran}"));
        since = if said.trim().is_empty() { since } else { said };
        assert!(since.contains(held.trim_end()), "{held:?} is not in\n{since}");
        rest = after;
    }
    sealed.finish();
}
