//! The parsers of external input, with valid examples.

use super::{Target, http};
use crate::kit::dice::Dice;
use crate::kit::mutate::{noise, spoilt};
use orch_config::{Layer, load};
use orch_core::base::ids::TaskId;
use orch_core::models::agents::DialectKind;
use orch_core::tasks::outcome::{Exit, RunKind};
use orch_core::text::redact::Redactor;
use orch_runner::{Renderer, sanitize};
use orch_store::tasks_file::{At, Edit, TasksDoc};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// All of them.
pub const NAMES: [&str; 5] = ["tasks", "config", "events", "escapes", "http"];

/// One by its name. `dir`: where it may keep files while it works; without, only its inputs are wanted.
pub fn target(name: &str, dir: Option<&Path>) -> Option<Box<dyn Target>> {
    Some(match name {
        "tasks" => Box::new(Tasks(tasks_files())),
        "config" => Box::new(Config(configs())),
        "events" => Box::new(Events(recordings())),
        "escapes" => Box::new(Escapes),
        "http" => Box::new(http::Http::new(dir)),
        _ => return None,
    })
}

fn below(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

fn example(from: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let sound = &from[dice.at(from.len())];
    match dice.below(20) {
        0 => noise(dice, 3000).into_bytes(),
        _ => spoilt(sound, dice),
    }
}

// ---- tasks.yml

struct Tasks(Vec<Vec<u8>>);

fn tasks_files() -> Vec<Vec<u8>> {
    let texts = [
        "# mine\ntasks:\n  - id: 1\n    title: One\n    body: |\n      First: line.\n      Second # line.\n    labels: [agent:claude, \
         area/api]\n    status: new\n    depends_on: [2]\n    mine: {kept: true}\n  - id: 2\n    title: \"Two: \\\"quoted\\\"\"\n    \
         priority: -3\n",
        "- title: Bare list\n  dir: ~/shop\n- {id: 7, title: 'flow, with ''quotes''', labels: [a, b], status: done}\n",
        "base: &base {priority: 2, labels: [x]}\ntasks:\n- <<: *base\n  title: By alias\n- title: >-\n    folded\n    text\n  parent: \
         1\n  complexity: complex\n  model: opus\n",
        "{\"tasks\": [{\"title\": \"json\", \"id\": 3, \"status\": \"blocked\", \"attempts\": 2}]}\n",
        "tasks:\r\n- title: windows\r\n  body: \"a\\r\\nb\"\r\n",
    ];
    texts.into_iter().map(|text| text.as_bytes().to_vec()).collect()
}

impl Target for Tasks {
    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        example(&self.0, dice)
    }

    /// What reads is written into, and must read again.
    fn read(&mut self, input: &[u8]) {
        let text = String::from_utf8_lossy(input).into_owned();
        let Ok(doc) = TasksDoc::parse(text, &|_| false) else { return };
        let Some(id) = doc.ids().first().copied() else { return };
        let sound = doc.entry(id).is_some();
        let edits = [Edit::Set { at: At::Id(id), key: "status", value: Value::from("done") }];
        if let Ok((after, refused)) = doc.apply(&edits, &|_: TaskId| false)
            && refused.is_empty()
            && sound
        {
            let status = after.entry(id).and_then(|entry| entry.status);
            assert_eq!(status.map(|status| status.as_str()), Some("done"), "a status that was written is not there");
        }
    }
}

// ---- config.yml and .orch.yml

struct Config(Vec<Vec<u8>>);

fn configs() -> Vec<Vec<u8>> {
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yml")).expect("the example");
    let some: [&str; 4] = [
        "engine: {max_parallel: 3, tick_seconds: 2}\nagents:\n  bot: {kind: command, command: bot, args: [a, \"{prompt_file}\"]}\n",
        "workflow: {integrate: merge, checks: [make test], max_attempts: 2}\nrouter: {mode: round_robin, agents: [claude]}\n",
        "model_map:\n  simple: {claude: haiku}\n  complex: {claude: opus}\nbreaker: {failures: 0}\n",
        "http: {listen: 127.0.0.1:0}\nredact: {patterns: ['abc[0-9]+', '(a|b)*c']}\ngc: {after_days: 3}\n",
    ];
    some.into_iter().map(|text| text.as_bytes().to_vec()).chain([whole]).collect()
}

impl Target for Config {
    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        example(&self.0, dice)
    }

    fn read(&mut self, input: &[u8]) {
        let text = String::from_utf8_lossy(input).into_owned();
        let global = Layer::Global { path: "config.yml".into(), text: text.clone() };
        let project = Layer::Project { path: ".orch.yml".into(), text, trusted: input.len().is_multiple_of(2) };
        for layer in [global, project] {
            if let Err(problems) = load(&[layer]) {
                assert!(!problems.is_empty(), "refused without a reason");
            }
        }
    }
}

// ---- lines of agents

struct Events(Vec<(DialectKind, bool, Vec<u8>)>);

fn recordings() -> Vec<(DialectKind, bool, Vec<u8>)> {
    let kind = |path: &Path| {
        let dir = path.parent()?.file_name()?.to_str()?;
        let name = path.file_name()?.to_str()?;
        let kind = match dir {
            "claude" => DialectKind::Claude,
            "codex" => DialectKind::Codex,
            "opencode" => DialectKind::Opencode,
            _ => return None,
        };
        name.ends_with(".jsonl").then_some((kind, name.starts_with("app-server-")))
    };
    let read = |path: PathBuf| {
        let (kind, live) = kind(&path)?;
        Some((kind, live, std::fs::read(path).ok()?))
    };
    let mut found: Vec<_> = below("tests/fixtures/agents").into_iter().filter_map(read).collect();
    found.push((DialectKind::Command, false, b"working\n{\"status\": \"done\", \"summary\": \"did it\"}\n".to_vec()));
    assert!(found.len() > 20, "the recordings are there");
    found
}

/// Before the bytes of the lines: which dialect, and whether it talks.
const DIALECTS: [DialectKind; 4] =
    [DialectKind::Claude, DialectKind::Codex, DialectKind::Opencode, DialectKind::Command];

impl Target for Events {
    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let (kind, live, recorded) = &self.0[dice.at(self.0.len())];
        let kind = DIALECTS.iter().position(|known| known == kind).unwrap_or(0);
        let mut input = vec![u8::try_from(kind * 2 + usize::from(*live)).unwrap_or(0)];
        // A recording may be of megabytes; its beginning has each kind of line.
        let recorded = &recorded[..recorded.len().min(64 << 10)];
        input.extend(if dice.below(30) == 0 { noise(dice, 2000).into_bytes() } else { spoilt(recorded, dice) });
        input
    }

    fn read(&mut self, input: &[u8]) {
        let Some((first, rest)) = input.split_first() else { return };
        let (kind, live) = (DIALECTS[usize::from(*first / 2) % DIALECTS.len()], *first % 2 == 1);
        let text = String::from_utf8_lossy(rest);
        let exit = Exit { code: Some(0), signal: None };
        let mut renderer = Renderer::new(Redactor::new([("TOKEN", "correct-horse-battery")]));
        let talk = if live { kind.dialect().live_reader(&Value::Null) } else { None };
        if let Some(mut reader) = talk {
            drop(reader.open("begin"));
            for line in text.lines() {
                reader.line(line).iter().for_each(|event| drop(renderer.event(event)));
                drop(reader.take_replies());
            }
            drop((reader.fatal_failure(), reader.is_idle(), reader.interrupt(), reader.finish(exit, "")));
            return;
        }
        let mut reader =
            kind.dialect().reader(if input.len().is_multiple_of(3) { RunKind::Route } else { RunKind::Work });
        for line in text.lines() {
            reader.line(line).iter().for_each(|event| drop(renderer.event(event)));
        }
        drop((reader.fatal_failure(), reader.turn_ended(), reader.finish(exit, &text)));
    }
}

// ---- escape sequences

struct Escapes;

impl Target for Escapes {
    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..dice.below(80) {
            let number =
                |dice: &mut Dice| dice.pick(&["", "0", "1", "31", "38;5;196", "38;2;1;2;3", "999999", "1;;;7", "-4"]);
            match dice.below(9) {
                0 => bytes.extend(
                    format!("\x1b[{}{}", number(dice), dice.pick(&['m', 'A', 'H', 'J', 'K', 'r', 'h'])).bytes(),
                ),
                1 => bytes.extend(format!("\x1b]{};{}", number(dice), noise(dice, 30)).bytes()),
                2 => bytes.extend(dice.pick(&["\x07", "\x1b\\", "\u{9c}", "\n"]).bytes()),
                3 => bytes.extend(format!("\x1bP{}\x1b", noise(dice, 20)).bytes()),
                4 => bytes.extend(b"\x1b[?1049h"),
                _ => bytes.extend(noise(dice, 60).bytes()),
            }
        }
        if dice.below(3) == 0 { spoilt(&bytes, dice) } else { bytes }
    }

    fn read(&mut self, input: &[u8]) {
        let text = String::from_utf8_lossy(input);
        let clean = sanitize(&text);
        let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!clean.contains(is_control), "a control character is left: {clean:?}");
        let renderer = Renderer::new(Redactor::new([("TOKEN", "correct-horse-battery")]));
        for line in renderer.note(&text) {
            assert!(!line.text.contains(is_control), "a control character is shown: {:?}", line.text);
        }
        drop(renderer.clean(&text));
    }
}
