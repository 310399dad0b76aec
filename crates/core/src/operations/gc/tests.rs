//! What holds a worktree, alone and together.

use super::*;
use crate::tasks::outcome::{Failure, FailureClass};
use crate::tasks::task::{FileState, Spec, State};
use proptest::prelude::*;

fn policy() -> Policy {
    Policy { after: SignedDuration::from_hours(24), keep_failed: true, delete_merged_branches: false }
}

fn free() -> Facts {
    Facts {
        made_by_orch: true,
        locked: None,
        head: Head::Own,
        operation: None,
        changed: Vec::new(),
        concealed: Vec::new(),
        nested: Vec::new(),
        mounted: Vec::new(),
        stashes: 0,
        own_refs: 0,
        kept_elsewhere: true,
        merged: true,
        presence: Presence::Nobody,
        bytes: 1,
    }
}

fn task(state: State, hours: i64) -> (Task, Timestamp) {
    let now = Timestamp::from_second(1_790_000_000).expect("a time");
    let mut task = Task::new(TaskId(7), Spec::default(), FileState::Pending, now - SignedDuration::from_hours(hours));
    task.state = state;
    (task, now)
}

#[test]
fn each_thing_that_only_the_worktree_has_holds_it_by_itself() {
    let path = || vec![PathBuf::from("x")];
    let holds: [(Reason, Facts); 14] = [
        (Reason::NotOurs, Facts { made_by_orch: false, ..free() }),
        (Reason::Locked, Facts { locked: Some("on loan".into()), ..free() }),
        (Reason::Busy, Facts { presence: Presence::Processes(vec![4]), ..free() }),
        (Reason::Busy, Facts { presence: Presence::Unknown, ..free() }),
        (Reason::InProgress, Facts { operation: Some("rebase".into()), ..free() }),
        (Reason::OtherBranch, Facts { head: Head::Other("main".into()), ..free() }),
        (Reason::Detached, Facts { head: Head::Detached { reachable: false }, ..free() }),
        (Reason::Changed, Facts { changed: path(), ..free() }),
        (Reason::Concealed, Facts { concealed: path(), ..free() }),
        (Reason::Nested, Facts { nested: path(), ..free() }),
        (Reason::Mounted, Facts { mounted: path(), ..free() }),
        (Reason::Stash, Facts { stashes: 1, ..free() }),
        (Reason::OwnRefs, Facts { own_refs: 1, ..free() }),
        (Reason::Unmerged, Facts { kept_elsewhere: false, merged: false, ..free() }),
    ];
    for (reason, facts) in holds {
        assert!(matches!(decide(&facts, &policy()), Verdict::Keep(keep) if keep.reason == reason), "{reason:?}");
    }
    assert_eq!(decide(&free(), &policy()), Verdict::Remove(Branch::Stays));
    let detached = Facts { head: Head::Detached { reachable: true }, ..free() };
    assert_eq!(decide(&detached, &policy()), Verdict::Remove(Branch::Stays));
}

#[test]
fn a_branch_goes_only_where_it_is_wanted_and_its_base_has_it() {
    let wanted = Policy { delete_merged_branches: true, ..policy() };
    assert_eq!(decide(&free(), &wanted), Verdict::Remove(Branch::Goes));
    let pushed = Facts { merged: false, ..free() };
    assert_eq!(decide(&pushed, &wanted), Verdict::Remove(Branch::Stays));
}

#[test]
fn a_task_lets_go_when_it_has_rested_long_enough() {
    let why = |state, hours, policy: &Policy| {
        let (task, now) = task(state, hours);
        at_rest(&task, policy, now).map_err(|keep| keep.reason)
    };
    assert_eq!(why(State::Done, 25, &policy()), Ok(()));
    assert_eq!(why(State::Done, 23, &policy()), Err(Reason::Recent));
    assert_eq!(why(State::Done, -48, &policy()), Err(Reason::Recent), "a clock that was set back makes nothing old");
    assert_eq!(why(State::NEW, 99, &policy()), Err(Reason::Open));
    let (mut failed, now) = task(State::Cancelled { reason: String::new() }, 99);
    assert_eq!(at_rest(&failed, &policy(), now), Ok(()));
    failed.last_failure = Some(Box::new(Failure::new(FailureClass::ChecksFailed, "red")));
    assert_eq!(at_rest(&failed, &policy(), now).map_err(|keep| keep.reason), Err(Reason::Failed));
    assert_eq!(at_rest(&failed, &Policy { keep_failed: false, ..policy() }, now), Ok(()));
}

#[test]
fn a_branch_tells_its_task() {
    for (name, task) in [
        ("orch/7-add-x", Some(7)),
        ("orch/12", Some(12)),
        ("orch/x-1", None),
        ("orch/07-x", None),
        ("orch/-x", None),
        ("main", None),
        ("orch/+7-x", None),
        ("orch/7-x y", None),
    ] {
        assert_eq!(task_of_branch(name), task.map(TaskId), "{name}");
    }
}

#[test]
fn each_reason_has_its_own_word_in_json_too() {
    let mut words: Vec<String> = Vec::new();
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).expect("plain"), reason.as_str());
        words.push(reason.as_str().to_owned());
    }
    words.sort();
    words.dedup();
    assert_eq!(words.len(), Reason::ALL.len());
}

proptest! {
    #[test]
    fn nothing_goes_that_exists_only_there(
        made in any::<bool>(), locked in any::<bool>(), operation in any::<bool>(), head in 0..4_u8,
        lists in any::<[bool; 4]>(), stashes in 0..2_usize, own_refs in 0..2_usize, elsewhere in any::<bool>(),
        merged in any::<bool>(), who in 0..3_u8, delete in any::<bool>(), keep_failed in any::<bool>(),
    ) {
        let paths = |there: bool| if there { vec![PathBuf::from("x")] } else { Vec::new() };
        let facts = Facts {
            made_by_orch: made,
            locked: locked.then(String::new),
            head: match head {
                0 => Head::Own,
                1 => Head::Other("x".into()),
                _ => Head::Detached { reachable: head == 2 },
            },
            operation: operation.then(|| "merge".to_owned()),
            changed: paths(lists[0]),
            concealed: paths(lists[1]),
            nested: paths(lists[2]),
            mounted: paths(lists[3]),
            stashes,
            own_refs,
            kept_elsewhere: elsewhere,
            merged,
            presence: [Presence::Nobody, Presence::Processes(vec![1]), Presence::Unknown][usize::from(who)].clone(),
            bytes: 0,
        };
        let policy = Policy { delete_merged_branches: delete, keep_failed, ..policy() };
        let is_safe = made && !locked && !operation && matches!(head, 0 | 2) && lists == [false; 4]
            && stashes == 0 && own_refs == 0 && elsewhere && who == 0;
        match decide(&facts, &policy) {
            Verdict::Remove(branch) => {
                prop_assert!(is_safe);
                prop_assert!(branch == Branch::Stays || (delete && merged));
            }
            Verdict::Keep(_) => prop_assert!(!is_safe, "what nothing holds goes"),
        }
    }
}
