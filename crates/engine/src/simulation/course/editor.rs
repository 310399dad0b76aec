//! A person with `tasks.yml` in an editor: entries are changed and taken out, old copies saved, most of it lost, and what the
//! engine does not believe is decided about.

use super::super::file::Copy;
use super::super::outside::DIR;
use super::super::rules::{Broken, must};
use super::super::scenario::{Change, Fault, MINUTE, Millis};
use super::Course;
use super::happenings::Happening;
use super::person::Awaited;
use crate::engine::command::Command;
use crate::engine::inputs::Input;
use crate::tasks_file::missing_tasks::Verdict;
use orch_core::base::ids::TaskId;
use orch_core::tasks::missing_tasks::MissingTasks;
use orch_core::tasks::task::{Seen, Spec, Status, Task};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot::channel;

impl Course<'_> {
    /// Edits an entry of `tasks.yml`.
    pub(super) fn edit(&mut self, wish: usize, change: &Change) {
        let Some(id) = self.ids.get(&wish).copied() else { return };
        let mut after = Vec::new();
        match change {
            Change::After(others) => after = others.iter().filter_map(|other| self.ids.get(other)).copied().collect(),
            Change::Status("new") => drop(self.rules.typed_new.insert(id)),
            Change::Priority(_) | Change::Status(_) | Change::Delete => {}
        }
        let before = self.file.ids();
        self.file.change(id, change, after);
        let taken_out: BTreeSet<TaskId> = before.difference(&self.file.ids()).copied().collect();
        self.forget_entries(&taken_out);
        self.rules.taken_out.extend(taken_out);
        self.file_saved();
    }

    /// Writes a new entry into `tasks.yml`, once.
    pub(super) fn write_entry(&mut self, wish: usize) {
        if self.written.insert(wish) {
            let spec = Spec { title: format!("wish {wish}"), dir: Some(PathBuf::from(DIR)), ..Spec::default() };
            self.file.write_new(wish, spec);
            self.file_saved();
        }
    }

    /// What was opened a while ago is saved as it was then.
    pub(super) fn save_copy(&mut self, copy: Copy) {
        if self.outside.calm {
            return;
        }
        let mut before = self.file.ids();
        // The file may have lost them already: the copy is a whole one, in which they are not.
        let written = |task: &&Arc<Task>| task.file.is_written();
        before.extend(self.stored.tables().tasks.values().filter(written).map(|task| task.id));
        self.rules.typed_new.extend(copy.says_new());
        self.file.save_copy(copy);
        let lost: BTreeSet<TaskId> = before.difference(&self.file.ids()).copied().collect();
        self.forget_entries(&lost);
        // Where the entry was never saved before, the copy is known to be older.
        let may_be_meant: Vec<TaskId> = {
            let tables = self.stored.tables();
            let seen = |id: &TaskId| tables.tasks.get(id).map(|task| task.file.seen());
            lost.into_iter().filter(|id| seen(id) != Some(Seen::Appended)).collect()
        };
        self.rules.taken_out.extend(may_be_meant);
        self.file_saved();
    }

    /// Two thirds of the file are lost. After a while somebody notices.
    pub(super) fn lose(&mut self, noticed: Millis, verdict: Option<Verdict>) {
        let whole = self.file.open();
        let before = self.file.ids();
        let lost = self.file.lose();
        if lost.is_empty() {
            return;
        }
        let meant = self.taken_out_of_an_old_copy(&before, &lost);
        self.rules.taken_out.extend(meant);
        self.forget_entries(&lost);
        self.file_saved();
        self.later(noticed, Happening::Noticed(verdict, whole));
    }

    /// What orch has just appended, an older copy lacks too: the few others that are lacking may have been taken out there.
    fn taken_out_of_an_old_copy(&self, before: &BTreeSet<TaskId>, lost: &BTreeSet<TaskId>) -> Vec<TaskId> {
        let now = self.now();
        let tables = self.stored.tables();
        let is_open = |id: &TaskId| tables.tasks.get(id).is_some_and(|task| !task.status().is_final());
        let is_wish = |id: &&TaskId| {
            let task = tables.tasks.get(*id);
            task.is_none_or(|task| task.status().is_final() || !task.file.seen().outlives_old_copy(now))
        };
        let wishes: Vec<TaskId> = lost.iter().filter(is_wish).copied().collect();
        let lack = MissingTasks {
            open: wishes.iter().filter(|id| is_open(id)).count(),
            all: wishes.len(),
            were_open: before.iter().filter(|id| is_open(id)).count(),
            were: before.len() - (lost.len() - wishes.len()),
            ..MissingTasks::default()
        };
        if lack.suspicion().is_none() { wishes } else { Vec::new() }
    }

    /// Somebody notices that most of the file is gone.
    pub(super) fn notice(&mut self, verdict: Option<Verdict>, whole: Copy) {
        match verdict {
            Some(verdict) => self.decide(verdict),
            None if self.outside.calm => {}
            None => {
                self.rules.typed_new.extend(whole.says_new());
                self.file.put_back(whole);
                self.file_saved();
            }
        }
    }

    /// Says what is to become of the tasks that the file lacks.
    pub(super) fn decide(&mut self, verdict: Verdict) {
        if verdict == Verdict::Cancel {
            let here = self.file.ids();
            let tables = self.stored.tables();
            self.rules.taken_out.extend(tables.tasks.keys().filter(|id| !here.contains(id)));
            // Also what a file lacks that is spoilt just now: the person is shown that, and means it.
            let shown = self.engine.iter().flat_map(|engine| engine.file.missing());
            self.rules.taken_out.extend(shown);
        }
        let (reply, answer) = channel();
        self.command(Command::decide_missing(verdict, reply), Awaited::Decided(answer));
    }

    /// Notifies the engine, unless that is lost.
    pub(super) fn file_saved(&mut self) {
        self.file.saved_by_hand(self.now());
        let is_lost = self.outside.has(Fault::LostWakes) && self.at.is_multiple_of(3);
        self.inputs.extend((self.engine.is_some() && !is_lost).then_some(Input::Files));
    }

    /// Entries that orch has not seen yet may be among them.
    fn forget_entries(&mut self, gone: &BTreeSet<TaskId>) {
        self.unwritten.extend(self.ids.iter().filter(|(_, id)| gone.contains(id)).map(|(wish, _)| *wish));
    }

    /// In peace, a task that is taken out of the file is given up: at once, or where the entry had never been in anybody's
    /// hands, at the second time.
    pub(super) fn take_one_out(&mut self) -> Result<(), Broken> {
        let open = |id: &TaskId| {
            let tables = self.stored.tables();
            tables.tasks.get(id).is_some_and(|task| task.file.is_written() && !task.status().is_final())
        };
        let Some(id) = self.file.ids().into_iter().find(open).filter(|_| self.file.ids().len() > 1) else {
            return Ok(());
        };
        for _ in 0..2 {
            self.move_to(self.at + MINUTE);
            self.rules.taken_out.insert(id);
            self.file.change(id, &Change::Delete, Vec::new());
            self.file_saved();
            self.until(None)?;
        }
        let given_up = self.stored.tables().tasks.get(&id).map(|task| (task.file.is_removed(), task.status()));
        must(given_up == Some((true, Status::Cancelled)), || {
            format!("task {id} was taken out of the file, and is not given up: {given_up:?}")
        })
    }
}
