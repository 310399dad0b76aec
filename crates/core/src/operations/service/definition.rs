//! The definition of the service for its supervisor: a systemd user unit or a launchd property list. Rendered and
//! parsed back. Pure.

/// The name of the systemd user unit.
pub const UNIT: &str = "orch.service";
/// The label of the launchd agent; its file has the same name.
pub const LABEL: &str = "io.github.orch-agents.orch";

/// The program that a supervisor starts, and its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// The absolute path of the program.
    pub program: String,
    /// `PATH`; `None`: the supervisor's own.
    pub path: Option<String>,
    /// `ORCH_HOME`, where it is not the default.
    pub home: Option<String>,
    /// `ORCH_WORKTREES`, where it is set.
    pub worktrees: Option<String>,
    /// Whether the home must exist: if it is missing, its disk is not mounted, and no other home is created in its
    /// place.
    pub home_is_there: bool,
}

/// Why a value cannot be part of a definition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be written into a service: {value:?} has {why}")]
pub struct Unwritable {
    what: &'static str,
    value: String,
    why: &'static str,
}

impl Definition {
    /// Returns the variables of the service.
    fn variables(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let all = [("PATH", &self.path), ("ORCH_HOME", &self.home), ("ORCH_WORKTREES", &self.worktrees)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    fn arguments(&self) -> &'static [&'static str] {
        if self.home_is_there { &["serve", "--existing-home"] } else { &["serve"] }
    }

    fn check(&self) -> Result<(), Unwritable> {
        let program = [("the program's path", &self.program)];
        for (what, value) in program.into_iter().chain(self.variables()) {
            if value.chars().any(char::is_control) {
                return Err(Unwritable { what, value: value.clone(), why: "a control character" });
            }
        }
        Ok(())
    }

    /// Renders the systemd user unit.
    ///
    /// # Errors
    /// Returns an error if a value cannot be part of a unit.
    pub fn unit(&self) -> Result<String, Unwritable> {
        self.check()?;
        if self.program.contains('$') {
            let (what, value) = ("the program's path", self.program.clone());
            return Err(Unwritable { what, value, why: "a `$`, which systemd does not take there" });
        }
        let environment: String = self
            .variables()
            .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))))
            .collect();
        let (program, arguments) = (quoted(&self.program), self.arguments().join(" "));
        Ok(format!(
            "# Written by `orch service install`, and written anew by the next one; `orch service uninstall` removes it.\n\
             # Changes of your own: systemctl --user edit orch\n\
             [Unit]\n\
             Description=orch gives tasks to coding agents\n\
             Documentation=man:orch(1)\n\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             Type=notify\n\
             ExecStart={program} {arguments}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             {environment}\
             # tmux and the agents in it live on, however the daemon ends.\n\
             KillMode=process\n\
             OOMPolicy=continue\n\
             TasksMax=infinity\n\
             Restart=on-failure\n\
             RestartSec=5\n\
             # Wrong usage; another daemon has the home.\n\
             RestartPreventExitStatus=2 7\n\
             TimeoutStartSec=15min\n\
             TimeoutStopSec=20\n\
             WatchdogSec=120\n\
             WatchdogSignal=SIGKILL\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n"
        ))
    }

    /// Renders the property list of the launchd agent. The daemon's startup output goes to `log`.
    ///
    /// # Errors
    /// Returns an error if a value cannot be part of a property list.
    pub fn plist(&self, log: &str) -> Result<String, Unwritable> {
        self.check()?;
        let words = std::iter::once(self.program.as_str()).chain(self.arguments().iter().copied());
        let words: String = words.map(|word| format!("    <string>{}</string>\n", escaped(word))).collect();
        let variables: String = self
            .variables()
            .map(|(name, value)| format!("    <key>{name}</key>\n    <string>{}</string>\n", escaped(value)))
            .collect();
        let log = escaped(log);
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <!-- Written by `orch service install`; `orch service uninstall` removes it. -->\n\
             <plist version=\"1.0\">\n<dict>\n\
             \x20 <key>Label</key>\n  <string>{LABEL}</string>\n\
             \x20 <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n\
             \x20 <key>EnvironmentVariables</key>\n  <dict>\n{variables}  </dict>\n\
             \x20 <key>RunAtLoad</key>\n  <true/>\n\
             \x20 <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n\
             \x20 <key>AbandonProcessGroup</key>\n  <true/>\n\
             \x20 <key>ProcessType</key>\n  <string>Interactive</string>\n\
             \x20 <key>ThrottleInterval</key>\n  <integer>10</integer>\n\
             \x20 <key>ExitTimeOut</key>\n  <integer>20</integer>\n\
             \x20 <key>StandardOutPath</key>\n  <string>{log}</string>\n\
             \x20 <key>StandardErrorPath</key>\n  <string>{log}</string>\n\
             </dict>\n</plist>\n"
        ))
    }

    /// Parses a unit of orch, its package, or Homebrew. Missing values are empty.
    pub fn of_unit(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().map(str::trim) {
            if let Some(command) = line.strip_prefix("ExecStart=") {
                let words = words(command);
                found.home_is_there = words.iter().any(|word| word == "--existing-home");
                found.program = words.into_iter().next().unwrap_or_default();
            } else if line == "Environment=" {
                // An empty assignment resets all values before it.
                (found.path, found.home, found.worktrees) = (None, None, None);
            } else if let Some(assignments) = line.strip_prefix("Environment=") {
                words(assignments).iter().filter_map(|word| word.split_once('=')).for_each(|(n, v)| found.set(n, v));
            }
        }
        found
    }

    /// Parses a property list of orch or Homebrew. Missing values are empty.
    pub fn of_plist(text: &str) -> Self {
        let mut found = Self::default();
        let words = after_key(text, "ProgramArguments").map(|rest| within(rest, "array")).unwrap_or_default();
        let mut words = strings(words);
        found.home_is_there = words.iter().any(|word| word == "--existing-home");
        found.program = if words.is_empty() { String::new() } else { words.swap_remove(0) };
        let variables = after_key(text, "EnvironmentVariables").map(|rest| within(rest, "dict")).unwrap_or_default();
        for name in ["PATH", "ORCH_HOME", "ORCH_WORKTREES"] {
            if let Some(value) = after_key(variables, name).and_then(|rest| strings(rest).into_iter().next()) {
                found.set(name, &value);
            }
        }
        found
    }

    fn set(&mut self, name: &str, value: &str) {
        let field = match name {
            "PATH" => &mut self.path,
            "ORCH_HOME" => &mut self.home,
            "ORCH_WORKTREES" => &mut self.worktrees,
            _ => return,
        };
        *field = Some(value.to_owned());
    }
}

/// Quotes a word of a unit, which may contain anything but control characters.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// Returns the words of a line of a unit, without quotes and escapes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => word.extend(rest.next()),
            '%' => {
                word.push('%');
                rest.next_if_eq(&'%');
            }
            '"' | '\'' if quote.is_none() => (quote, begun) = (Some(c), true),
            c if quote == Some(c) => quote = None,
            c if c.is_ascii_whitespace() && quote.is_none() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&")
}

fn after_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(&format!("<key>{key}</key>")).map(|(_, rest)| rest)
}

fn within<'a>(text: &'a str, tag: &str) -> &'a str {
    let inner = text.trim_start().strip_prefix(&format!("<{tag}>")).unwrap_or_default();
    inner.split_once(&format!("</{tag}>")).map(|(inner, _)| inner).unwrap_or_default()
}

fn strings(text: &str) -> Vec<String> {
    let pieces = text.split("<string>").skip(1);
    pieces.filter_map(|piece| piece.split_once("</string>")).map(|(value, _)| unescaped(value)).collect()
}

/// Returns the entries of a `PATH` that a service may use: absolute ones, each once, in order. `None` if there are
/// none.
pub fn lasting_path(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for entry in path.split(':').filter(|entry| entry.starts_with('/')) {
        let entry = entry.trim_end_matches('/');
        if !entry.is_empty() && !kept.contains(&entry) && !entry.chars().any(char::is_control) {
            kept.push(entry);
        }
    }
    (!kept.is_empty()).then(|| kept.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn definition() -> Definition {
        Definition {
            program: "/opt/the tools/orch".to_owned(),
            path: Some("/home/a/50% \"of\" it:/usr/bin".to_owned()),
            home: Some("/mnt/d&t/<home>".to_owned()),
            worktrees: None,
            home_is_there: true,
        }
    }

    #[test]
    fn a_unit_lets_tmux_and_the_agents_live() {
        let unit = definition().unit().expect("a unit");
        for line in [
            "Type=notify",
            "KillMode=process",
            "OOMPolicy=continue",
            "ExecStart=\"/opt/the tools/orch\" serve --existing-home",
            "Environment=\"PATH=/home/a/50%% \\\"of\\\" it:/usr/bin\"",
            "Environment=\"ORCH_HOME=/mnt/d&t/<home>\"",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line} in\n{unit}");
        }
        assert!(!unit.contains("ORCH_WORKTREES"));
    }

    #[test]
    fn what_can_stand_in_no_definition_is_named() {
        let text = |definition: Definition| definition.unit().expect_err("refused").to_string();
        let line = Definition { home: Some("/a\nExecStart=/bin/evil".to_owned()), ..definition() };
        assert!(line.plist("/l").is_err());
        assert!(
            text(line).contains("ORCH_HOME")
                && text(Definition { program: "/a$b".into(), ..definition() }).contains('$')
        );
    }

    #[test]
    fn what_homebrew_wrote_is_read_too() {
        let unit = "[Service]\nType=simple\nExecStart=/home/linuxbrew/.linuxbrew/opt/orch/bin/orch serve\n\
                    Environment=\"PATH=/a:/b\" 'X=y z'\n";
        let found = Definition::of_unit(unit);
        assert_eq!(found.program, "/home/linuxbrew/.linuxbrew/opt/orch/bin/orch");
        assert_eq!((found.path.as_deref(), found.home), (Some("/a:/b"), None));
        assert_eq!(Definition::of_plist("no such thing"), Definition::default());
    }

    #[test]
    fn what_a_person_added_counts_after_what_the_unit_says() {
        let unit = "ExecStart=/usr/bin/orch serve\nEnvironment=PATH=/a ORCH_HOME=/h\n";
        let with = |more: &str| Definition::of_unit(&format!("{unit}{more}"));
        assert_eq!(with("[Service]\nEnvironment=PATH=/b:/c\n").path.as_deref(), Some("/b:/c"));
        let anew =
            with("Environment=\nEnvironment=\"PATH=/d\"\nExecStart=\nExecStart=/opt/orch serve --existing-home\n");
        assert_eq!((anew.path.as_deref(), anew.home, anew.program.as_str()), (Some("/d"), None, "/opt/orch"));
    }

    #[test]
    fn only_lasting_entries_of_a_path_are_carried() {
        assert_eq!(lasting_path("bin:/a/:.:/b::/a:/").as_deref(), Some("/a:/b"));
        assert_eq!(lasting_path("::x"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back_the_same(
            program in "/[^\\p{Cc}$]{1,20}", path in proptest::option::of("\\PC{1,20}"), home in proptest::option::of("\\PC{1,20}")
        ) {
            let written = Definition { program, path, home, worktrees: Some("/w \\ '\"".to_owned()), home_is_there: true };
            prop_assert_eq!(Definition::of_unit(&written.unit().expect("a unit")), written.clone());
            prop_assert_eq!(Definition::of_plist(&written.plist("/tmp/l").expect("a list")), written);
        }

        #[test]
        fn reading_garbage_ends(text in ".{0,200}") {
            Definition::of_unit(&text);
            Definition::of_plist(&text);
        }
    }
}
