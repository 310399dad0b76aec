//! Chooses the process supervisor for this installation, and parses its status of the service. Pure.

use serde::Serialize;

/// A process supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Supervisor {
    /// `brew services`.
    Homebrew,
    /// A launchd agent of the user.
    Launchd,
    /// A systemd user unit.
    Systemd,
}

impl Supervisor {
    /// All supervisors.
    pub const ALL: [Self; 3] = [Self::Homebrew, Self::Launchd, Self::Systemd];

    /// Describes the supervisor for a person.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Homebrew => "Homebrew (brew services)",
            Self::Launchd => "launchd",
            Self::Systemd => "systemd --user",
        }
    }
}

/// The facts for the choice of a supervisor.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Whether the system is macOS.
    pub is_macos: bool,
    /// The path of the program, with symbolic links resolved.
    pub program: String,
    /// Homebrew's prefix, where the environment names it.
    pub homebrew_prefix: Option<String>,
    /// Whether `brew` is available.
    pub has_brew: bool,
    /// Whether `launchctl` is available.
    pub has_launchctl: bool,
    /// Whether `systemctl` is available.
    pub has_systemctl: bool,
    /// Whether the user's systemd is running.
    pub has_user_session: bool,
    /// The name of the user.
    pub user: String,
}

/// Why no supervisor can run the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSupervisor {
    /// The reason.
    pub why: String,
    /// What to do about it.
    pub advice: String,
}

impl Surroundings {
    /// Whether Homebrew has installed the program.
    pub fn is_of_homebrew(&self) -> bool {
        let below = |prefix: &str| !prefix.is_empty() && self.program.starts_with(&format!("{prefix}/"));
        let usual = ["/opt/homebrew", "/home/linuxbrew/.linuxbrew", "/usr/local/Cellar"];
        usual.into_iter().any(below)
            || self.homebrew_prefix.as_ref().is_some_and(|prefix| below(&format!("{prefix}/Cellar")))
    }
}

/// Returns the supervisor for this installation: that of the installer, else the system's own.
///
/// # Errors
/// Returns an error with advice if there is none.
pub fn decide(around: &Surroundings) -> Result<Supervisor, NoSupervisor> {
    if around.is_of_homebrew() && around.has_brew {
        return Ok(Supervisor::Homebrew);
    }
    let program = &around.program;
    let by_hand = &format!(
        "`orch serve -d` starts it in the background now, and a line of `crontab -e` after each boot: @reboot {program} serve -d"
    );
    let refused = |why: &str, advice: String| Err(NoSupervisor { why: why.to_owned(), advice });
    if around.is_macos {
        if around.has_launchctl {
            return Ok(Supervisor::Launchd);
        }
        return refused("launchctl is not in PATH", format!("add /bin to PATH, or {by_hand}"));
    }
    if !around.has_systemctl {
        return refused("this system has no systemd", by_hand.clone());
    }
    if !around.has_user_session {
        let user = &around.user;
        let advice = format!(
            "`sudo loginctl enable-linger {user}` gives {user} a systemd that runs without a login, also after a reboot; \
             then do it again (not by sudo or su: log in as {user}); or {by_hand}"
        );
        return refused("no systemd of yours runs: there is no user session", advice);
    }
    Ok(Supervisor::Systemd)
}

/// The status that a supervisor reports for the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it knows the service.
    pub is_known: bool,
    /// Whether the service runs or is about to.
    pub is_active: bool,
    /// The supervisor's own word for the state.
    pub word: String,
    /// The id of the process.
    pub pid: Option<u32>,
    /// How the last process ended, in the supervisor's words.
    pub last_exit: Option<String>,
    /// Whether it starts the service at the next login or boot.
    pub is_enabled: Option<bool>,
    /// How often it has restarted the service.
    pub restarts: Option<u64>,
}

/// Returns the `PATH` of systemd user services from `systemctl --user show-environment`.
pub fn path_of_systemd(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PATH="))?;
    let plain = match value.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("\\'", "'").replace("\\\\", "\\"),
        None => value.to_owned(),
    };
    (!plain.is_empty()).then_some(plain)
}

/// Parses `systemctl --user show`.
pub fn of_systemd(text: &str) -> Standing {
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let state = value("ActiveState");
    let code = value("ExecMainStatus");
    let last_exit = match value("ExecMainCode") {
        "" | "0" => None,
        "1" => Some(format!("exit code {code}")),
        _ => Some(format!("signal {code}")),
    };
    let result = value("Result");
    let last_exit = match (last_exit, result) {
        (Some(exit), "" | "success" | "exit-code" | "signal") => Some(exit),
        (exit, "" | "success") => exit,
        (Some(exit), result) => Some(format!("{exit} ({result})")),
        (None, result) => Some(result.to_owned()),
    };
    Standing {
        is_known: value("LoadState") == "loaded",
        is_active: ["active", "activating", "reloading"].contains(&state),
        word: [state, value("SubState")].iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join("/"),
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        last_exit,
        is_enabled: match value("UnitFileState") {
            "" => None,
            state => Some(state.starts_with("enabled")),
        },
        restarts: value("NRestarts").parse().ok(),
    }
}

/// Parses `launchctl print gui/UID/LABEL`; an empty text means that the service is unknown.
pub fn of_launchd(text: &str) -> Standing {
    let value = |name: &str| {
        let fields = text.lines().filter_map(|line| line.trim().split_once(" = "));
        fields.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value.trim().to_owned())
    };
    let pid = value("pid").and_then(|pid| pid.parse().ok());
    let last_exit = value("last exit code").filter(|code| !code.contains("never"));
    Standing {
        is_known: !text.trim().is_empty(),
        is_active: pid.is_some() || value("state").as_deref() == Some("running"),
        word: value("state").unwrap_or_default(),
        pid,
        last_exit: last_exit.map(|code| format!("exit code {code}")),
        is_enabled: None,
        restarts: value("runs").and_then(|runs| runs.parse::<u64>().ok()).map(|runs| runs.saturating_sub(1)),
    }
}

/// Parses `brew services info orch --json`.
pub fn of_homebrew(document: &serde_json::Value) -> Standing {
    let info = document.get(0).unwrap_or(document);
    let flag = |name: &str| info.get(name).and_then(serde_json::Value::as_bool);
    let number = |name: &str| info.get(name).and_then(serde_json::Value::as_i64);
    let running = flag("running").unwrap_or_default();
    Standing {
        is_known: flag("loaded").unwrap_or(running),
        is_active: running,
        word: info.get("status").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
        pid: number("pid").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        last_exit: number("exit_code").map(|code| format!("exit code {code}")),
        is_enabled: flag("registered"),
        restarts: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn linux() -> Surroundings {
        Surroundings {
            program: "/home/ada/.cargo/bin/orch".to_owned(),
            has_systemctl: true,
            has_user_session: true,
            user: "ada".to_owned(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn the_path_of_a_services_manager_is_read() {
        let of = |text: &str| path_of_systemd(text);
        assert_eq!(of("HOME=/h\nPATH=/a:/b\nXPATH=/c\n").as_deref(), Some("/a:/b"));
        assert_eq!(of("PATH=$'/it\\'s here:/b'\n").as_deref(), Some("/it's here:/b"));
        assert_eq!((of("HOME=/h\n"), of("PATH=\n"), of("")), (None, None, None));
    }

    #[test]
    fn who_has_installed_the_program_starts_it() {
        assert_eq!(decide(&linux()), Ok(Supervisor::Systemd));
        let mac = Surroundings { is_macos: true, has_launchctl: true, has_brew: true, ..linux() };
        assert_eq!(decide(&mac), Ok(Supervisor::Launchd), "brew is there, but has not installed orch");
        for program in
            ["/opt/homebrew/Cellar/orch/1.0/bin/orch", "/usr/local/Cellar/orch/1.0/bin/orch", "/x/Cellar/orch/b"]
        {
            let homebrew_prefix = Some("/x".to_owned());
            let brewed = Surroundings { program: program.to_owned(), homebrew_prefix, ..mac.clone() };
            assert_eq!(decide(&brewed), Ok(Supervisor::Homebrew), "{program}");
        }
        let copied = Surroundings { program: "/opt/homebrew/bin/orch".into(), has_brew: false, ..mac };
        assert_eq!(decide(&copied), Ok(Supervisor::Launchd), "the brew is gone");
    }

    #[test]
    fn without_a_supervisor_it_is_said_what_to_do() {
        let headless = decide(&Surroundings { has_user_session: false, ..linux() }).expect_err("none");
        assert!(headless.why.contains("no user session") && headless.advice.contains("loginctl enable-linger ada"));
        let none = decide(&Surroundings { has_systemctl: false, ..linux() }).expect_err("none");
        assert!(none.advice.contains("orch serve"), "{none:?}");
        let mac = decide(&Surroundings { is_macos: true, ..linux() }).expect_err("none");
        assert!(mac.why.contains("launchctl"));
    }

    #[test]
    fn the_words_of_systemd_are_read() {
        let text = "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=4711\nExecMainCode=0\nExecMainStatus=0\n\
                    NRestarts=2\nResult=success\nUnitFileState=enabled\n";
        let standing = of_systemd(text);
        assert_eq!((standing.pid, standing.is_active, standing.is_enabled), (Some(4711), true, Some(true)));
        assert_eq!((standing.word.as_str(), standing.restarts, standing.last_exit), ("active/running", Some(2), None));
        let failed = of_systemd(
            "LoadState=loaded\nActiveState=failed\nMainPID=0\nExecMainCode=2\nExecMainStatus=9\nResult=watchdog\n",
        );
        assert_eq!(failed.last_exit.as_deref(), Some("signal 9 (watchdog)"));
        assert_eq!((failed.pid, failed.is_active), (None, false));
        assert_eq!(of_systemd(""), Standing::default());
    }

    #[test]
    fn the_words_of_launchd_and_homebrew_are_read() {
        let text = "gui/501/io.github.orch-agents.orch = {\n\tstate = running\n\truns = 3\n\tpid = 812\n\tlast exit code = (never exited)\n}\n";
        let standing = of_launchd(text);
        assert_eq!((standing.pid, standing.restarts, standing.last_exit), (Some(812), Some(2), None));
        assert!(!of_launchd("").is_known);
        let info =
            json!([{"name": "orch", "running": true, "loaded": true, "pid": 99, "exit_code": 0, "status": "started"}]);
        let brew = of_homebrew(&info);
        assert_eq!((brew.pid, brew.is_active, brew.word.as_str()), (Some(99), true, "started"));
        assert_eq!(of_homebrew(&json!("odd")), Standing::default());
    }
}
