//! An editor, commands and the engine at one `tasks.yml`, in every order that can be: no edit disappears. The engine's own
//! functions on real files; only what comes after what is decided here.

pub(crate) mod fixture;

use fixture::{Fixture, Step};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::EditorLoads),
        3 => (1u64..=5).prop_map(Step::EditorTitles),
        2 => Just(Step::EditorAdds),
        1 => Just(Step::EditorComments),
        1 => Just(Step::EditorDeletes),
        3 => Just(Step::EditorRenames),
        2 => (2usize..=4).prop_map(Step::EditorTruncates),
        6 => Just(Step::EditorGoesOn),
        2 => Just(Step::CommandAdds),
        3 => (2u64..=5).prop_map(Step::CommandTitles),
        2 => (1u64..=5).prop_map(Step::CommandPriority),
        1 => Just(Step::CommandCancels),
        3 => (1u64..=5, 0u8..3).prop_map(|(id, to)| Step::Moves(id, to)),
        8 => Just(Step::Reads),
        8 => Just(Step::TakesOver),
        8 => Just(Step::Writes),
        8 => Just(Step::Confirms),
    ];
    prop::collection::vec(step, 5..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]
    #[test]
    fn no_edit_disappears_whatever_comes_after_what(steps in steps()) {
        let mut fixture = Fixture::new();
        for step in &steps {
            fixture.take(*step);
        }
        fixture.come_to_rest();
        if let Err(lost) = fixture.check() {
            return Err(TestCaseError::fail(format!("{lost}\n{}", fixture.render())));
        }
    }
}

/// A thousand, or as many more as PROPTEST_CASES says.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(1_000)
}

/// What an old copy lacks is written again, however much of the file it is: no person has to be asked about that.
#[test]
fn an_old_copy_that_lacks_half_of_the_tasks_is_written_over_and_not_held() {
    use Step::{CommandAdds, Confirms, EditorDeletes, EditorLoads, EditorRenames, TakesOver, Writes};
    let adds = [CommandAdds; 5];
    let before = [TakesOver, EditorLoads, EditorDeletes];
    let writes = [TakesOver, Writes, Confirms, Writes];
    let mut fixture = Fixture::new();
    for step in before.iter().chain(&adds).chain(&writes).chain(&[EditorRenames]) {
        fixture.take(*step);
    }
    fixture.come_to_rest();
    if let Err(lost) = fixture.check() {
        panic!("{lost}\n{}", fixture.render());
    }
}
