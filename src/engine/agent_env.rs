//! Which variables an agent gets: the short list that programs need, the agent's own, and what the person named.
//! Nothing else of the daemon's environment reaches it.

use crate::config::resolved_agent::{AgentConfig, MissingVariable};
use std::collections::BTreeMap;

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

/// Handed to the checks of a project: no key of any provider.
pub fn for_checks(daemon: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    pick(daemon, DEFAULTS.iter().copied())
}

/// The environment of an agent. `own` are the names its dialect asks for. Later sources win: daemon, then the person's
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
    Ok(environment)
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
    use crate::agents::DialectKind;

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
        let names: Vec<&str> = environment.keys().map(String::as_str).collect();
        assert_eq!(names, ["ANTHROPIC_API_KEY", "EXTRA", "LANG", "LC_CTYPE", "PATH", "TERM"]);
        assert!(!for_checks(&daemon).contains_key("ANTHROPIC_API_KEY"));
    }
}
