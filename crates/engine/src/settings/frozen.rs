//! The settings that decide about the result of a run, kept as they were when it began: a file that is away, half written or
//! changed while an agent works changes nothing of what happens with its work.

use orch_config::raw::{ChecksIn, Integrate};
use orch_config::resolved::{Config, Workspace};
use orch_core::tasks::evidence::IntegrateMode;
use orch_core::tasks::task::{WorkTerms, WorkspaceTerms};
use std::sync::Arc;
use std::time::Duration;

/// Returns what is kept of these settings.
pub fn terms(config: &Config) -> WorkTerms {
    let (workflow, workspace) = (&config.workflow, config.workspace.clone());
    let Workspace { copy, link, setup, env } = workspace;
    WorkTerms {
        integrate: match workflow.integrate {
            Integrate::Branch => IntegrateMode::Branch,
            Integrate::Merge => IntegrateMode::Merge,
        },
        checks: workflow.checks.clone(),
        checks_in_worktree: workflow.checks_in == ChecksIn::Worktree,
        check_timeout_ms: u64::try_from(workflow.check_timeout.as_millis()).unwrap_or(u64::MAX),
        verify_after_merge: workflow.verify_after_merge,
        review: workflow.review,
        workspace: Some(WorkspaceTerms { copy, link, setup, env }),
    }
}

/// These settings, with what was kept in the place of what they say now.
pub fn under(kept: &WorkTerms, config: Arc<Config>) -> Arc<Config> {
    if terms(&config) == *kept {
        return config;
    }
    let mut config = Config::clone(&config);
    let workflow = &mut config.workflow;
    workflow.integrate = match kept.integrate {
        IntegrateMode::Branch => Integrate::Branch,
        IntegrateMode::Merge => Integrate::Merge,
    };
    // Checks that were approved while the agent worked apply to its work as well.
    if !kept.checks.is_empty() {
        workflow.checks.clone_from(&kept.checks);
        workflow.checks_in = if kept.checks_in_worktree { ChecksIn::Worktree } else { ChecksIn::Clean };
        workflow.check_timeout = Duration::from_millis(kept.check_timeout_ms);
        if let Some(WorkspaceTerms { copy, link, setup, env }) = kept.workspace.clone() {
            config.workspace = Workspace { copy, link, setup, env };
        }
    }
    let workflow = &mut config.workflow;
    workflow.verify_after_merge = kept.verify_after_merge;
    workflow.review = kept.review;
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::tasks::review::ReviewMode;

    #[test]
    fn settings_that_change_while_an_agent_works_decide_nothing_about_its_result() {
        let mut begun = Config::default();
        begun.workflow.integrate = Integrate::Merge;
        begun.workflow.checks = vec!["make test".to_owned()];
        begun.workflow.review = ReviewMode::Human;
        begun.workspace.copy = vec![".env".to_owned()];
        let kept = terms(&begun);
        let now = under(&kept, Arc::new(Config::default()));
        assert_eq!(terms(&now), kept);
        let mut approved = Config::default();
        approved.workflow.checks = vec!["make lint".to_owned()];
        let now = under(&terms(&Config::default()), Arc::new(approved));
        assert_eq!(now.workflow.checks, ["make lint"], "approved while it worked");
    }
}
