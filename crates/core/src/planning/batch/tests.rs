//! What may be a batch, what it has spent, and how its end is told.

use super::*;
use crate::base::ids::TaskId;

fn name(text: &str) -> BatchName {
    text.parse().expect("a name")
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).expect("a time")
}

fn batch(tasks: &[u64]) -> Batch {
    let member = |task: &u64| Member { task: TaskId(*task), before: Usd::from_micros(1_000_000), spent: Usd::ZERO };
    Batch {
        number: 1,
        name: name("night"),
        members: tasks.iter().map(member).collect(),
        concurrency: 2,
        budget: Usd::from_dollars(10.0),
        created_at: at(0),
        cancelled_at: None,
        end: None,
    }
}

#[test]
fn what_a_task_cost_before_is_not_the_batchs_money_and_nothing_is_paid_back() {
    let mut batch = batch(&[1, 2]);
    batch.record_cost(TaskId(1), Usd::from_micros(1_000_000));
    assert_eq!(batch.spent(), Usd::ZERO);
    batch.record_cost(TaskId(1), Usd::from_micros(4_000_000));
    batch.record_cost(TaskId(2), Usd::from_micros(8_000_000));
    batch.record_cost(TaskId(1), Usd::ZERO);
    assert_eq!((batch.describe_spending().as_str(), batch.is_spent()), ("$10.00 of $10.00", true));
    batch.budget = None;
    assert_eq!((batch.describe_spending().as_str(), batch.is_spent()), ("$10.00", false));
}

#[test]
fn what_may_not_be_a_batch_is_named_with_what_to_do_instead() {
    let status = |id: TaskId| match id.0 {
        1..=3 => Some(Status::New),
        4 => Some(Status::Cancelled),
        5 => Some(Status::Done),
        _ => None,
    };
    let batch_of = |id: TaskId| (id.0 == 3).then(|| name("other"));
    let refused = |ids: &[u64]| {
        let ids: Vec<TaskId> = ids.iter().map(|id| TaskId(*id)).collect();
        let error = BadBatch::check_tasks(&name("night"), &ids, status, batch_of).err()?;
        assert!(error.hint().len() > 10);
        Some(error.to_string())
    };
    assert_eq!(refused(&[1, 2]), None);
    assert_eq!(refused(&[]).as_deref(), Some("batch night names no task"));
    assert_eq!(refused(&[1, 2, 1]).as_deref(), Some("batch night names task 1 more than once"));
    assert_eq!(refused(&[1, 8, 9]).as_deref(), Some("batch night: there is no task 8, 9"));
    assert_eq!(refused(&[1, 4]).as_deref(), Some("batch night: task 4 is cancelled already"));
    assert_eq!(refused(&[5]).as_deref(), Some("batch night: task 5 is done already"));
    assert_eq!(refused(&[3]).as_deref(), Some("batch night: task 3 is in batch other, which is open"));
    let many: Vec<u64> = (1..=1001).collect();
    assert!(refused(&many).is_some_and(|why| why.contains("1001 tasks")));
    assert!(BadBatch::check_concurrency(&name("n"), 0).is_err() && BadBatch::check_concurrency(&name("n"), 1).is_ok());
    let budget = |micros| BadBatch::check_budget(&name("n"), Some(Usd::from_micros(micros)));
    assert!(budget(0).is_err() && budget(-1).is_err() && budget(1).is_ok());
}

#[test]
fn what_a_task_of_it_hands_on_comes_right_after_it() {
    let mut batch = batch(&[1, 2]);
    batch.add_subtasks(TaskId(1), &[TaskId(7), TaskId(8)]);
    batch.add_subtasks(TaskId(9), &[TaskId(10)]);
    batch.add_subtasks(TaskId(2), &[TaskId(7)]);
    assert_eq!(batch.tasks().map(|id| id.0).collect::<Vec<_>>(), [1, 7, 8, 2]);
}

#[test]
fn a_name_is_plain() {
    assert!("night-2.of_May".parse::<BatchName>().is_ok());
    for odd in ["", "-x", ".", "a b", "a/b", "ü", &"x".repeat(65)] {
        assert!(odd.parse::<BatchName>().is_err(), "{odd}");
    }
}

#[test]
fn its_end_is_told_as_a_table() {
    let row = |task, status, dollars, title: &str| Row {
        task: TaskId(task),
        title: title.to_owned(),
        status,
        spent: Usd::from_dollars(dollars).expect("an amount"),
    };
    let rows = [row(4, Status::Done, 1.1, "Fix the parser"), row(15, Status::Cancelled, 0.0, "Redo it")];
    let mut batch = batch(&[4, 15]);
    batch.record_cost(TaskId(4), Usd::from_micros(2_100_000));
    let end = |batch: &Batch, rows: &[Row]| BatchEnd::new(batch, rows.to_vec(), at(130));
    assert_eq!(
        table(&end(&batch, &rows)),
        "batch night is complete: 1 done, 1 cancelled, $1.10 of $10.00, 2 h\n   \
         4  done            $1.10  Fix the parser\n  15  cancelled              Redo it"
    );
    assert!(end(&batch, &rows).went_wrong());
    assert!(!end(&batch, &rows[..1]).went_wrong());
    let given_up = Batch { cancelled_at: Some(at(1)), ..batch.clone() };
    assert!(end(&given_up, &rows[..1]).went_wrong());
    let titled = row(4, Status::Done, 1.1, "batch x was given up: 1 cancelled");
    assert!(!end(&batch, &[titled]).went_wrong());
    let many: Vec<Row> = (0..150).map(|id| row(id, Status::Done, 0.0, "x")).collect();
    let text = table(&end(&batch, &many));
    assert!(text.ends_with("… and 50 more (orch batch show night)") && text.lines().count() == 102, "{text}");
}
