//! Whether a `tasks.yml` that lacks tasks means it, or was emptied, cut off or lost. PURE.

/// What a look at the file found, beside what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MissingTasks {
    /// Open tasks that it lacks.
    pub open: usize,
    /// Tasks of every kind that it lacks.
    pub all: usize,
    /// Open tasks that were in it.
    pub were_open: usize,
    /// Tasks of every kind that were in it.
    pub were: usize,
    /// It has no entry at all, or is not there.
    pub is_empty: bool,
    /// Its end looks broken off.
    pub is_cut: bool,
}

/// Why tasks are not given up although the file lacks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Everything is gone.
    Empty,
    /// At least half of it is gone.
    Most,
    /// It ends where no one would end it.
    Cut,
}

impl MissingTasks {
    /// Taking out one task, or a few of many, is an edit like any other. What an accident looks like as well waits for a
    /// person's word: an empty file, one that lacks half of its tasks or more (two at least, an open one among them), and
    /// one that lacks an open task and breaks off.
    pub fn suspicion(&self) -> Option<Suspicion> {
        if self.is_empty {
            return (self.were > 0).then_some(Suspicion::Empty);
        }
        let half = |part: usize, whole: usize| part >= 2 && part * 2 >= whole;
        if half(self.open, self.were_open) || (self.open > 0 && half(self.all, self.were)) {
            return Some(Suspicion::Most);
        }
        (self.open > 0 && self.is_cut).then_some(Suspicion::Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lack(open: usize, were_open: usize) -> MissingTasks {
        MissingTasks { open, all: open, were_open, were: were_open, ..MissingTasks::default() }
    }

    #[test]
    fn one_task_or_a_few_of_many_are_taken_out_by_a_person() {
        for (open, were) in [(0, 0), (0, 5), (1, 1), (1, 2), (1, 50), (2, 5), (10, 50)] {
            assert_eq!(lack(open, were).suspicion(), None, "{open} of {were}");
        }
        let tidied = MissingTasks { open: 0, all: 900, were_open: 3, were: 1000, ..MissingTasks::default() };
        assert_eq!(tidied.suspicion(), None, "finished tasks may go, however many");
    }

    #[test]
    fn what_an_accident_looks_like_too_waits_for_a_word() {
        for (open, were) in [(2, 2), (2, 4), (5, 10), (50, 50)] {
            assert_eq!(lack(open, were).suspicion(), Some(Suspicion::Most), "{open} of {were}");
        }
        assert_eq!(MissingTasks { is_empty: true, ..lack(1, 1) }.suspicion(), Some(Suspicion::Empty));
        assert_eq!(MissingTasks { is_empty: true, ..lack(0, 0) }.suspicion(), None, "there was nothing");
        assert_eq!(MissingTasks { is_cut: true, ..lack(1, 9) }.suspicion(), Some(Suspicion::Cut));
        let half = MissingTasks { open: 1, all: 500, were_open: 3, were: 1000, ..MissingTasks::default() };
        assert_eq!(half.suspicion(), Some(Suspicion::Most), "the half with an open task among it");
    }

    proptest! {
        #[test]
        fn a_file_cut_in_half_never_gives_tasks_up(open in 2usize..200, done in 0usize..200, kept in 0.0f64..0.5) {
            let were = open + done;
            #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "small")]
            let rest = (were as f64 * kept) as usize;
            // The open ones stand last, as they do where tasks are appended.
            let lacks = MissingTasks {
                open: open.min(were - rest), all: were - rest, were_open: open, were, is_empty: rest == 0, is_cut: false,
            };
            prop_assert!(lacks.suspicion().is_some());
        }
    }
}
