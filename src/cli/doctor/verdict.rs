//! The last line of `orch doctor`: ready, or what is missing.

use crate::cli::ui::paint::{Paint, Role};
use crate::cli::ui::text::line;
use orch_engine::{Finding, Verdict};

/// Returns whether orch can work in this state.
pub(super) fn is_ready(findings: &[Finding]) -> bool {
    !findings.iter().any(is_missing)
}

fn is_missing(finding: &Finding) -> bool {
    finding.verdict == Verdict::Bad && !finding.fixed
}

/// Renders one line: `ready`, or what is missing and how to fix the first problem.
pub(super) fn last_line(findings: &[Finding], paint: Paint) -> String {
    let missing: Vec<&Finding> = findings.iter().filter(|finding| is_missing(finding)).collect();
    let Some(first) = missing.first() else { return format!("{}\n", paint.text(Role::Good, "ready")) };
    let names: Vec<_> = missing.iter().map(|finding| line(&finding.name)).collect();
    let remedy = first.remedy.as_deref().unwrap_or(&first.detail);
    format!("{}: {}; first: {}\n", paint.text(Role::Bad, "not ready"), names.join(", "), line(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_ready_or_what_is_missing() {
        let good = Finding::new("git", Verdict::Ok, "2.47");
        let minor = Finding::new("home", Verdict::Warning, "open to others").remedy("chmod");
        let bad = Finding::new("tmux", Verdict::Bad, "not installed").remedy("apt install tmux");
        let worse = Finding::new("agents", Verdict::Bad, "none");
        assert_eq!(last_line(&[good.clone(), minor.clone()], Paint::OFF), "ready\n");
        assert!(is_ready(&[good.clone(), minor]));
        assert_eq!(
            last_line(&[good, bad.clone(), worse], Paint::OFF),
            "not ready: tmux, agents; first: apt install tmux\n"
        );
        assert!(!is_ready(std::slice::from_ref(&bad)));
        let mut mended = bad;
        mended.fixed = true;
        assert!(is_ready(&[mended]));
    }
}
