//! Which variables an agent gets: the short list that programs need, the agent's own, and what the person named.
//! Nothing else of the daemon's environment reaches it.

use orch_config::home::Home;
use orch_config::resolved_agent::{AgentConfig, MissingVariable};
use std::collections::BTreeMap;
use std::path::Path;

/// Handed to every agent. A trailing `*` matches any rest.
const DEFAULTS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_*",
    "TERM",
    "TMPDIR",
    "TZ",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
];

/// The settings of git there: its maintenance, which a `git commit` may begin, ends before the command that began it.
/// git starts it in the background, where it outlives the agent, works in the worktree when that is cleaned up, and
/// leaves its locks in the repository when it is ended with what else was left behind. `gc.*` is what git before 2.47
/// reads.
const GIT: &[(&str, &str)] = &[("maintenance.autoDetach", "false"), ("gc.autoDetach", "false")];

/// Handed to the checks of a project: no key of any provider.
pub fn for_checks(daemon: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut environment = pick(daemon, DEFAULTS.iter().copied());
    // A relative place would be one of the work that is checked.
    if let Some(path) = environment.get_mut("PATH") {
        *path = path.split(':').filter(|dir| dir.starts_with('/')).collect::<Vec<_>>().join(":");
    }
    configure_git(&mut environment);
    environment
}

/// Handed to the commands of jobs, which are the person's own: what checks get, and where this home is, so that an
/// `orch` among them works on no other.
pub fn for_jobs(daemon: &BTreeMap<String, String>, home: &Home) -> BTreeMap<String, String> {
    let mut environment = for_checks(daemon);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    environment.insert("ORCH_HOME".to_owned(), text(home.root()));
    // A command that names another home is to have that one's own.
    if home.worktrees() != Home::new(home.root(), None).worktrees() {
        environment.insert("ORCH_WORKTREES".to_owned(), text(home.worktrees()));
    }
    environment
}

/// Returns the environment of an agent. `own` are the names its dialect asks for. Later sources win: daemon, then the person's
/// `agents.<name>.env`.
pub fn for_agent(
    daemon: &BTreeMap<String, String>,
    own: &[String],
    agent: &AgentConfig,
) -> Result<BTreeMap<String, String>, MissingVariable> {
    let names =
        DEFAULTS.iter().copied().chain(own.iter().map(String::as_str)).chain(agent.pass_env.iter().map(String::as_str));
    let mut environment = pick(daemon, names);
    for (name, value) in agent.environment(daemon)? {
        environment.insert(name, value.expose().to_owned());
    }
    environment.entry("TERM".to_owned()).or_insert_with(|| "xterm-256color".to_owned());
    environment.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
    configure_git(&mut environment);
    Ok(environment)
}

/// Adds [`GIT`] to the settings that git reads from its environment, behind those that the person set there. A count
/// that is none is left for git to complain of.
fn configure_git(environment: &mut BTreeMap<String, String>) {
    let Ok(there) = environment.get("GIT_CONFIG_COUNT").map_or(Ok(0), |count| count.parse::<usize>()) else { return };
    for (index, (key, value)) in GIT.iter().enumerate() {
        environment.insert(format!("GIT_CONFIG_KEY_{}", there + index), (*key).to_owned());
        environment.insert(format!("GIT_CONFIG_VALUE_{}", there + index), (*value).to_owned());
    }
    environment.insert("GIT_CONFIG_COUNT".to_owned(), (there + GIT.len()).to_string());
}

fn pick<'a>(daemon: &BTreeMap<String, String>, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut picked = BTreeMap::new();
    for name in names {
        match name.strip_suffix('*') {
            Some(start) => {
                let matching = daemon.range(start.to_owned()..).take_while(|(n, _)| n.starts_with(start));
                picked.extend(matching.map(|(n, v)| (n.clone(), v.clone())));
            }
            None => picked.extend(daemon.get(name).map(|v| (name.to_owned(), v.clone()))),
        }
    }
    // Inside a session of the person's own tmux, an agent must not find the way to it.
    picked.remove("TMUX");
    picked.remove("TMUX_PANE");
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::models::agents::DialectKind;

    #[test]
    fn an_agent_gets_the_short_list_its_own_and_what_was_named_and_nothing_else() {
        let daemon: BTreeMap<String, String> = [
            ("PATH", "/bin"),
            ("LC_CTYPE", "C"),
            ("ANTHROPIC_API_KEY", "k"),
            ("ANTHROPICX", "no"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("TMUX", "no"),
            ("EXTRA", "yes"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into();
        let mut agent = AgentConfig::new(DialectKind::Claude, "claude");
        agent.pass_env = vec!["EXTRA".into(), "TMUX".into()];
        let environment = for_agent(&daemon, &["ANTHROPIC_*".into()], &agent).expect("no references");
        let names: Vec<&str> =
            environment.keys().map(String::as_str).filter(|name| !name.starts_with("GIT_CONFIG_")).collect();
        assert_eq!(names, ["ANTHROPIC_API_KEY", "EXTRA", "LANG", "LC_CTYPE", "PATH", "TERM"]);
        assert!(!for_checks(&daemon).contains_key("ANTHROPIC_API_KEY"));
    }

    #[test]
    fn only_the_commands_of_jobs_are_told_where_the_home_is() {
        let daemon: BTreeMap<String, String> =
            [("ORCH_HOME", "elsewhere"), ("ORCH_WORKTREES", "elsewhere"), ("ANTHROPIC_API_KEY", "k")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into();
        let of = |home: Home| -> Vec<String> {
            let variables = for_jobs(&daemon, &home).into_iter().filter(|(name, _)| !name.starts_with("GIT_CONFIG_"));
            variables.map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(of(Home::new("/mnt/orch", None)), ["ORCH_HOME=/mnt/orch"]);
        let apart = Home::new("/mnt/orch", Some("/fast/trees".into()));
        assert_eq!(of(apart), ["ORCH_HOME=/mnt/orch", "ORCH_WORKTREES=/fast/trees"]);
        assert!(for_checks(&daemon).keys().all(|name| !name.starts_with("ORCH_")));
    }

    #[test]
    fn what_the_person_tells_git_through_the_environment_stays_beside_what_orch_tells_it() {
        let daemon = BTreeMap::new();
        let configured = |pairs: &[(&str, &str)]| {
            let mut environment: BTreeMap<String, String> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            configure_git(&mut environment);
            environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(configured(&[]), for_checks(&daemon).iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>());
        assert_eq!(
            configured(&[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "user.name"), ("GIT_CONFIG_VALUE_0", "me")]),
            [
                "GIT_CONFIG_COUNT=3",
                "GIT_CONFIG_KEY_0=user.name",
                "GIT_CONFIG_KEY_1=maintenance.autoDetach",
                "GIT_CONFIG_KEY_2=gc.autoDetach",
                "GIT_CONFIG_VALUE_0=me",
                "GIT_CONFIG_VALUE_1=false",
                "GIT_CONFIG_VALUE_2=false",
            ]
        );
        assert_eq!(configured(&[("GIT_CONFIG_COUNT", "many")]), ["GIT_CONFIG_COUNT=many"]);
    }
}
