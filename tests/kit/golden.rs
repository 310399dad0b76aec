//! Compares texts with files of `tests/fixtures/rendered/`; `ORCH_BLESS=1` updates the files.

use std::path::Path;

/// Replaces what differs each time: hashes, durations, and the path of the box.
pub fn steady(text: &str, root: &Path) -> String {
    let text = text.replace(&root.display().to_string(), "BOX");
    let mut steady = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        let is_hash = (7..=40).contains(&digits.len()) && digits.bytes().any(|b| b.is_ascii_digit());
        steady.push_str(&if is_hash { word.replace(digits, "COMMIT") } else { word.to_owned() });
    }
    steady.lines().map(|line| format!("{}\n", without_time(line))).collect()
}

/// Replaces the time at the end of a line of facts (`in_progress · bot · 3 s`), or that a run took (`after 0.9 s`).
fn without_time(line: &str) -> String {
    if let Some((before, rest)) = line.split_once(" after ")
        && let Some((number, rest)) = rest.split_once(" s;")
        && number.parse::<f64>().is_ok()
    {
        return format!("{before} after TIME;{rest}");
    }
    let Some((facts, last)) = line.rsplit_once(" · ") else { return line.to_owned() };
    let number = last.strip_suffix(" s").or_else(|| last.strip_suffix(" min"));
    if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
        format!("{facts} · TIME")
    } else {
        line.to_owned()
    }
}

/// Asserts that the text equals the file.
pub fn assert_is(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rendered").join(name);
    if orch_sys::process::env_var("ORCH_BLESS").is_some() {
        super::write_file(&file, text);
    }
    assert_eq!(text, super::read_file(&file), "{name}");
}
