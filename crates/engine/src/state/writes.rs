//! What a turn stores, as one transaction. Decides nothing.

use super::ChangeSet;
use orch_store::journal::Write;

impl ChangeSet {
    /// Returns the transaction of this turn.
    pub fn writes(&self) -> Vec<Write> {
        let tasks = self.tasks.values().cloned().map(Write::Task);
        let runs = self.runs.values().cloned().map(|run| Write::Run(Box::new(run)));
        let projects = self.projects.iter().map(|(dir, project)| match project {
            Some(project) => Write::Project(project.clone()),
            None => Write::Unregister(dir.clone()),
        });
        let cooldowns = self.cooldowns.iter().map(|(agent, c)| Write::Cooldown(agent.clone(), c.clone()));
        let breakers = self.breakers.iter().map(|(name, b)| Write::Breaker(name.clone(), b.clone()));
        let messages = self.messages.values().cloned().map(Write::Message);
        let entries = self.entries.iter().cloned().map(Write::Entry);
        let agreed = self.agreed.into_iter().map(Write::Agreed);
        let missing = self.missing.iter().cloned().map(Write::Missing);
        let pauses = self.pauses.iter().map(|(scope, pause)| Write::Pause(scope.clone(), pause.clone()));
        let service = self.service.iter().cloned().map(Write::Service);
        let jobs = self.jobs.iter().map(|(id, job)| Write::Job(id.clone(), job.clone()));
        let firings = self.firings.values().cloned().map(Write::Firing);
        let batches = self.batches.values().cloned().map(Write::Batch);
        let spends = self.spends.iter().cloned().map(Write::Spend);
        let recorded = self.recorded.iter().cloned().map(|one| Write::Recorded(Box::new(one)));
        let kept = self.kept.iter().cloned().map(|kept| Write::Kept(Box::new(kept)));
        let answered = self.answered.iter().map(|(key, one)| Write::Answered(key.clone(), Box::new(one.clone())));
        tasks
            .chain(answered)
            .chain(runs)
            .chain(projects)
            .chain(cooldowns)
            .chain(breakers)
            .chain(messages)
            .chain(entries)
            .chain(pauses)
            .chain(service)
            .chain(jobs)
            .chain(firings)
            .chain(batches)
            .chain(spends)
            .chain(recorded)
            .chain(kept)
            .chain(agreed)
            .chain(missing)
            .collect()
    }
}
