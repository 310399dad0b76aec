//! Whether tasks missing from `tasks.yml` were deleted on purpose, or the file was emptied, cut off or lost. Pure.

/// What reading the file showed about missing tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MissingTasks {
    /// The number of open tasks that are missing.
    pub open: usize,
    /// The number of all tasks that are missing.
    pub all: usize,
    /// The number of open tasks that were in the file before.
    pub were_open: usize,
    /// The number of all tasks that were in the file before.
    pub were: usize,
    /// Whether the file has no entry at all, or does not exist.
    pub is_empty: bool,
    /// Whether the end of the file looks cut off.
    pub is_cut: bool,
}

/// Why missing tasks are not treated as deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// All tasks are missing.
    Empty,
    /// At least half of the tasks are missing.
    Most,
    /// The file is cut off.
    Cut,
}

impl MissingTasks {
    /// Returns the suspicion, if any. Deleting one task, or a few of many, is a normal edit. What may also be an
    /// accident needs a person's confirmation: an empty file, one that misses at least half of its tasks (two or more,
    /// an open one among them), and one that misses an open task and is cut off.
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
            // Open tasks are last, as they are where tasks are appended.
            let lacks = MissingTasks {
                open: open.min(were - rest), all: were - rest, were_open: open, were, is_empty: rest == 0, is_cut: false,
            };
            prop_assert!(lacks.suspicion().is_some());
        }
    }
}
