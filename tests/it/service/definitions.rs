//! Tests that the supervisors' own parsers accept the definitions.

use crate::kit::readers::{left_out, reader};
use crate::kit::sealed_box::SealedBox;
use crate::kit::{read_file, write_file};
use std::path::Path;

fn written_for(sealed: &SealedBox, supervisor: &str) -> String {
    sealed.orch(["service", "install", "--dry-run", "--supervisor", supervisor]).ok().stdout
}

/// A box whose home, PATH and program have all that names may hold.
fn awkward() -> SealedBox {
    let mut sealed = SealedBox::awkward();
    let odd = sealed.base().join("od d/100%/\"x\"/\\y");
    let path = format!("{}:relative:/usr/bin:/bin", odd.display());
    sealed.set("PATH", path);
    sealed
}

#[test]
fn systemd_finds_nothing_wrong_with_a_unit() {
    let Some(analyze) = reader("systemd-analyze") else { return left_out("units", "systemd-analyze") };
    let packaged = read_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/orch.service"));
    for (sealed, text) in [(SealedBox::new(), None), (awkward(), None), (SealedBox::new(), Some(packaged))] {
        let unit = text.unwrap_or_else(|| written_for(&sealed, "systemd")).replace("/usr/bin/orch", "/bin/true");
        assert!(unit.contains("KillMode=process") && unit.contains("Type=notify"), "{unit}");
        let file = sealed.root().join("orch.service");
        write_file(&file, &unit);
        let ran = sealed
            .run_program(&analyze)
            .args([Path::new("verify"), Path::new("--user"), Path::new("--man=no"), file.as_path()])
            .run();
        let own = |line: &&str| line.contains("orch.service");
        let said: Vec<&str> = ran.stderr.lines().filter(own).collect();
        assert!(said.is_empty() && ran.code == Some(0), "{ran}\n{unit}");
    }
}

#[test]
fn a_parser_of_property_lists_reads_what_launchd_gets() {
    for sealed in [SealedBox::new(), awkward()] {
        let text = written_for(&sealed, "launchd");
        let list = plist::Value::from_reader_xml(text.as_bytes()).expect("a property list");
        let dict = list.as_dictionary().expect("a dictionary");
        let word = |value: &plist::Value| value.as_string().expect("a text").to_owned();
        let args: Vec<String> = dict["ProgramArguments"].as_array().expect("a list").iter().map(word).collect();
        assert_eq!(args[0], sealed.orch_program().to_str().expect("text"));
        assert_eq!(args[1..], ["serve", "--existing-home"]);
        let variables = dict["EnvironmentVariables"].as_dictionary().expect("a dictionary");
        assert_eq!(word(&variables["ORCH_HOME"]), sealed.orch_home().to_str().expect("text"));
        let path = word(&variables["PATH"]);
        assert!(path.ends_with(":/usr/bin:/bin") && !path.contains("relative"), "{path}");
        assert_eq!(dict["KeepAlive"].as_dictionary().expect("one")["SuccessfulExit"].as_boolean(), Some(false));
        assert_eq!(dict["AbandonProcessGroup"].as_boolean(), Some(true));
    }
}

#[test]
fn the_formula_is_made_from_its_template_and_ruby_reads_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sealed = SealedBox::new();
    sealed.run_program(root.join("scripts/make-formula")).args(["--check"]).run().ok();
    let targets =
        ["aarch64-apple-darwin", "x86_64-apple-darwin", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];
    let sum = |index: usize| format!("{index}").repeat(64);
    let sums: String =
        targets.iter().enumerate().map(|(at, target)| format!("{}  orch-1.2.3-{target}.tar.gz\n", sum(at))).collect();
    let file = sealed.root().join("SHA256SUMS");
    write_file(&file, &sums);
    let make = |sums: &Path| sealed.run_program(root.join("scripts/make-formula")).args(["1.2.3".as_ref(), sums]).run();
    let made = make(&file).ok().stdout;
    for (at, target) in targets.iter().enumerate() {
        let url = format!("/releases/download/v1.2.3/orch-1.2.3-{target}.tar.gz\"\n      sha256 \"{}\"", sum(at));
        assert!(made.contains(&url), "{url} in {made}");
    }
    let opened =
        made.lines().filter(|line| line.trim_end().ends_with(" do") || line.trim().starts_with("def ")).count();
    let conditions = made.lines().filter(|line| line.trim().starts_with("if ") || line.starts_with("class ")).count();
    assert_eq!(made.lines().filter(|line| line.trim() == "end").count(), opened + conditions, "{made}");
    write_file(&file, &sums.replace(targets[2], "other"));
    let refused = make(&file).code_is(1);
    assert!(refused.stderr.contains(targets[2]) && refused.stdout.is_empty(), "{refused}");
    let Some(ruby) = reader("ruby") else { return left_out("ruby -c", "ruby") };
    write_file(&file, &made);
    sealed.run_program(&ruby).args(["-c".as_ref(), file.as_os_str()]).run().ok();
    sealed.run_program(&ruby).args(["-c".as_ref(), root.join("Formula/orch.rb").as_os_str()]).run().ok();
}
