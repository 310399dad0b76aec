//! How a person continues in an agent's own interactive program. PURE.

use super::DialectKind;

/// Returns the arguments with which an agent's program opens its interactive screen, in the given conversation if there is
/// one. `None` when orch knows of no such screen.
pub fn interactive(kind: DialectKind, session: Option<&str>) -> Option<Vec<String>> {
    let with = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Some(match (kind, session) {
        (DialectKind::Claude, Some(id)) => with(&["--resume", id]),
        (DialectKind::Codex, Some(id)) => with(&["resume", id]),
        (DialectKind::Opencode, Some(id)) => with(&["--session", id]),
        (DialectKind::Claude | DialectKind::Codex | DialectKind::Opencode, None) => Vec::new(),
        (DialectKind::Command | DialectKind::Api, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cli_continues_its_conversation() {
        let args = |kind, session| interactive(kind, session).map(|args| args.join(" "));
        assert_eq!(args(DialectKind::Claude, Some("a-1")).as_deref(), Some("--resume a-1"));
        assert_eq!(args(DialectKind::Codex, Some("a-1")).as_deref(), Some("resume a-1"));
        assert_eq!(args(DialectKind::Opencode, Some("ses_1")).as_deref(), Some("--session ses_1"));
        assert_eq!(args(DialectKind::Claude, None).as_deref(), Some(""));
        assert_eq!(args(DialectKind::Command, Some("x")), None);
    }
}
