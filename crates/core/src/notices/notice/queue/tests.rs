//! What becomes of notices in a channel, by hand and by chance.

use super::*;
use crate::base::ids::TaskId;
use crate::notices::notice::About;
use crate::operations::channel::{Button, Press};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("a time")
}

fn rules(quiet: Option<&str>) -> Rules {
    let quiet = quiet.map(|hours| hours.parse().expect("hours"));
    Rules { level: Level::All, filter: Filter::default(), quiet, zone: TimeZone::UTC }
}

fn notice(seq: u64, kind: NoticeKind, task: Option<u64>, cause: &str, second: i64) -> Notice {
    let about = task.map(|id| About {
        task: TaskId(id),
        title: format!("Task {id}"),
        project: Some("shop".to_owned()),
        labels: vec!["api".to_owned()],
    });
    let button =
        task.map(|id| Button { label: "Retry".to_owned(), press: Press::Retry { task: TaskId(id), since: None } });
    Notice {
        seq,
        at: at(second),
        kind,
        event: "x".to_owned(),
        about,
        cause: cause.to_owned(),
        text: format!("text {seq}"),
        buttons: button.filter(|_| kind.asks()).into_iter().collect(),
        is_critical: cause == "critical",
        went_wrong: false,
    }
}

fn book() -> NoticeQueue {
    NoticeQueue::new(ChannelKind::Telegram, Vec::new(), 0)
}

/// Says what is due, until nothing is.
fn say_all(book: &mut NoticeQueue, rules: &Rules, now: Timestamp) -> Vec<Delivery> {
    let mut said = Vec::new();
    while let Some(delivery) = book.due(rules, now) {
        book.said(&delivery, Some(format!("m{}", delivery.lead)), now);
        said.push(delivery);
    }
    said
}

#[test]
fn twelve_tasks_that_one_limit_parks_are_one_message_that_lists_them() {
    let (mut book, rules) = (book(), rules(None));
    for task in 1..=12 {
        book.take(notice(task, NoticeKind::Limit, Some(task), "rate_limited: claude", 0), &rules, at(0));
    }
    assert!(book.due(&rules, at(1)).is_none(), "the first waits for the others");
    let said = say_all(&mut book, &rules, at(4));
    assert_eq!((said.len(), said[0].rows.len()), (1, 12));
    let text = said[0].content.plain_text();
    assert!(text.contains("12 tasks") && (1..=12).all(|id| text.contains(&format!("#{id} Task {id}"))), "{text}");
}

#[test]
fn the_same_cause_is_told_ever_less_often_and_none_is_lost() {
    let (mut book, rules) = (book(), rules(None));
    let (mut said, mut text) = (Vec::new(), 0);
    // Every minute for six hours.
    for minute in 0..360 {
        book.take(
            notice(minute as u64 + 1, NoticeKind::Login, Some(7), "auth: claude", minute * 60),
            &rules,
            at(minute * 60),
        );
        for delivery in say_all(&mut book, &rules, at(minute * 60 + 4)) {
            said.push(minute);
            text += delivery.rows.len();
        }
    }
    assert_eq!(said, [0, 10, 30, 70, 150, 310]);
    assert_eq!(text + book.waiting(), 360);
}

#[test]
fn a_task_has_one_message_that_changes_and_what_waits_for_the_person_is_said_anew() {
    let (mut book, rules) = (book(), rules(None));
    book.take(notice(1, NoticeKind::Question, Some(7), "which way", 0), &rules, at(0));
    let first = say_all(&mut book, &rules, at(0)).remove(0);
    assert_eq!((first.change, first.content.buttons.len(), first.content.is_urgent), (None, 1, true));
    book.take(notice(2, NoticeKind::Approval, Some(7), "may it", 10), &rules, at(10));
    let second = say_all(&mut book, &rules, at(10)).remove(0);
    let (retired, without) = second.retire.expect("the first asks no more");
    assert_eq!((second.change, retired.as_str(), without.buttons.len()), (None, "m8", 0));
    book.take(notice(3, NoticeKind::Finished, Some(7), "done", 20), &rules, at(20));
    let third = say_all(&mut book, &rules, at(20)).remove(0);
    assert_eq!((third.change.as_deref(), third.content.buttons.len()), (Some("m16"), 0));
}

#[test]
fn the_night_is_quiet_and_ends_with_one_message() {
    // 1_790_000_000 is 14:13:20.
    let (mut book, rules) = (book(), rules(Some("13:00-15:00")));
    book.take(notice(1, NoticeKind::Finished, Some(1), "done", 0), &rules, at(0));
    book.take(notice(2, NoticeKind::Question, Some(2), "x", 60), &rules, at(60));
    book.take(notice(3, NoticeKind::Budget, None, "critical", 60), &rules, at(60));
    book.take(notice(4, NoticeKind::Note, None, "note 4", 60), &rules, at(60));
    let passing: Vec<Vec<u64>> = say_all(&mut book, &rules, at(70)).into_iter().map(|delivery| delivery.rows).collect();
    // One that was due before and could not be said is no reason to look again and again.
    assert!(book.next(&rules, at(600)).is_some_and(|next| next > at(600)));
    assert_eq!(passing, [vec![24], vec![32]], "what is critical, and what a person says");
    let end = "2026-09-21T15:00:00Z".parse::<Timestamp>().expect("a time");
    assert_eq!(book.next(&rules, at(70)), Some(end));
    assert!(book.due(&rules, later(end, SignedDuration::from_secs(-1))).is_none());
    let said = say_all(&mut book, &rules, end);
    assert_eq!((said.len(), said[0].rows.as_slice()), (1, [8, 16].as_slice()));
    let text = said[0].content.plain_text();
    assert!(text.find("#2").expect("there") < text.find("#1").expect("there"), "what asks stands first: {text}");
    assert!(said[0].content.is_urgent, "a question is told with a sound, among others too");
}

#[test]
fn one_message_for_several_makes_a_sound_where_one_of_them_would() {
    use NoticeKind::{Approval, Failed, Finished, Limit, Question, Stranger, Summary};
    for (kind, cause, expected) in [
        (Question, "x", true),
        (Approval, "x", true),
        (Failed, "x", true),
        (Stranger, "x", true),
        (Summary, "critical", true),
        (Finished, "done", false),
        (Limit, "x", false),
    ] {
        let all = [notice(1, Finished, Some(1), "done", 0), notice(2, kind, Some(2), cause, 0)];
        assert_eq!(render_message(&[&all[0], &all[1]], 0).is_urgent, expected, "{kind:?}");
        assert_eq!(render_message(&[&all[1]], 0).is_urgent, expected, "{kind:?} alone");
    }
}

#[test]
fn what_was_answered_in_the_night_is_not_told_as_waiting_in_the_morning() {
    let (mut book, rules) = (book(), rules(Some("22:00-07:00")));
    let night = at(0).to_zoned(TimeZone::UTC).date().at(23, 0, 0, 0).in_tz("UTC").expect("a time").timestamp();
    let second = night.as_second() - at(0).as_second();
    for (seq, task, kind, cause) in [
        (1, 7, NoticeKind::Approval, "may it be merged"),
        (2, 7, NoticeKind::Finished, "done"),
        (3, 8, NoticeKind::Question, "which way"),
        (4, 8, NoticeKind::Question, "and now"),
        (5, 8, NoticeKind::Question, "and now"),
        (6, 9, NoticeKind::Failed, "checks fail"),
    ] {
        book.take(notice(seq, kind, Some(task), cause, second), &rules, night);
    }
    book.take(notice(7, NoticeKind::Failed, None, "job_failed", second), &rules, night);
    assert!(book.asks() && book.due(&rules, night).is_none());
    assert!(book.settle(|task| task == TaskId(8)) && !book.settle(|task| task == TaskId(8)));
    let morning = night + SignedDuration::from_hours(9);
    let said: Vec<Vec<u64>> = say_all(&mut book, &rules, morning).into_iter().map(|delivery| delivery.rows).collect();
    let text: Vec<u64> = said.concat().into_iter().map(|id| id / ROWS).collect();
    assert_eq!(text, [2, 4, 5, 7], "the end, the last question, and what is of no task");
    let left: Vec<u64> = book.changes().into_iter().filter(|(_, row)| row.is_none()).map(|(id, _)| id / ROWS).collect();
    assert_eq!(left, [1, 3, 6], "the rest is gone on disk, too");
    let mut hook = NoticeQueue::new(ChannelKind::Webhook, Vec::new(), 0);
    hook.take(notice(1, NoticeKind::Question, Some(7), "x", 0), &rules, at(0));
    assert!(!hook.settle(|_| false));
    assert_eq!(hook.waiting(), 1, "a machine is told what happened");
}

#[test]
fn a_day_without_network_is_bounded_comes_as_one_message_and_says_what_it_lacks() {
    let (mut book, rules) = (book(), rules(None));
    for seq in 1..=700 {
        book.take(notice(seq, NoticeKind::Finished, Some(seq), "done", 0), &rules, at(0));
        if let Some(delivery) = book.due(&rules, at(seq as i64 * 120)) {
            book.refused(&delivery, Refused::Later(None, "no route".to_owned()), at(seq as i64 * 120));
        }
    }
    assert_eq!((book.waiting(), book.dropped()), (MOST, 200));
    let said = say_all(&mut book, &rules, at(100_000));
    assert_eq!((said.len(), said[0].rows.len(), book.waiting(), book.dropped()), (1, MOST, 0, 0));
    assert!(said[0].content.plain_text().contains("200 older notices were dropped"), "{:?}", said[0].content);
}

#[test]
fn a_channel_that_refuses_is_asked_seldom_and_keeps_what_it_was_to_say() {
    let (mut book, rules) = (book(), rules(None));
    book.take(notice(1, NoticeKind::Failed, Some(1), "x", 0), &rules, at(0));
    let (mut now, mut tries) = (at(0), 0);
    while let Some(next) = book.next(&rules, now) {
        now = now.max(next);
        let delivery = book.due(&rules, now).expect("it is due then");
        book.refused(&delivery, Refused::Closed("401".to_owned()), now);
        tries += 1;
    }
    assert_eq!(tries, REFUSALS);
    assert!(now > at(6 * 3600), "no hot loop: {}", now.duration_since(at(0)));
    let item = book.items().next().expect("it is kept");
    assert!(matches!(&item.state, Stage::Dead { why, .. } if why == "401"));
    book.revive(now);
    assert_eq!(say_all(&mut book, &rules, now).len(), 1, "set up anew, it is said");
}

#[test]
fn a_message_that_is_refused_holds_up_no_other_and_is_given_up_after_a_few_tries() {
    for channel in [ChannelKind::Webhook, ChannelKind::Telegram] {
        let (mut book, rules) = (NoticeQueue::new(channel, Vec::new(), 0), rules(None));
        book.take(notice(1, NoticeKind::Note, None, "poison", 0), &rules, at(0));
        let (mut now, mut tries, mut said) = (at(0), 0, 0);
        for seq in 2..500 {
            book.take(notice(seq, NoticeKind::Note, None, "fine", 0), &rules, now);
            while let Some(delivery) = book.due(&rules, now) {
                if delivery.rows.contains(&book_row(&book, 1)) {
                    assert_eq!(delivery.rows.len(), 1, "it is tried alone");
                    book.refused(&delivery, Refused::Never("422".to_owned()), now);
                    tries += 1;
                } else {
                    book.said(&delivery, None, now);
                    said += delivery.rows.len();
                }
            }
            assert_eq!(said as u64, seq - 1, "{channel:?}: all others are said at once");
            now = later(now, SignedDuration::from_secs(10));
        }
        assert_eq!(tries, OWN_REFUSALS, "{channel:?}");
        let dead = book.items().find(|item| matches!(item.state, Stage::Dead { .. })).expect("it is counted");
        assert_eq!((dead.notice.seq, dead.error.as_deref()), (1, Some("422")));
    }
}

fn book_row(book: &NoticeQueue, seq: u64) -> u64 {
    book.items().find(|item| item.notice.seq == seq).map_or(0, |item| item.id)
}

#[test]
fn a_message_at_which_the_service_breaks_lets_others_pass_in_the_end() {
    let (mut book, rules) = (NoticeQueue::new(ChannelKind::Webhook, Vec::new(), 0), rules(None));
    for seq in 1..=3 {
        book.take(notice(seq, NoticeKind::Note, None, "x", 0), &rules, at(0));
    }
    let (mut now, mut said, mut tries) = (at(0), Vec::new(), 0);
    while said.len() < 2 {
        now = now.max(book.next(&rules, now).expect("something is to be said"));
        let delivery = book.due(&rules, now).expect("it is due then");
        if delivery.lead == book_row(&book, 1) {
            book.refused(&delivery, Refused::Later(None, "500".to_owned()), now);
            tries += 1;
        } else {
            book.said(&delivery, None, now);
            said.push(delivery.lead);
        }
        assert!(tries < 20, "the others never get their turn");
    }
}

#[test]
fn what_a_channel_could_not_say_is_said_in_its_order_by_the_process_after_it() {
    let rules = rules(None);
    let mut book = NoticeQueue::new(ChannelKind::Webhook, Vec::new(), 0);
    for seq in 1..=3 {
        book.take(notice(seq, NoticeKind::Failed, Some(seq), "x", 0), &rules, at(0));
    }
    let delivery = book.due(&rules, at(0)).expect("due");
    book.refused(&delivery, Refused::Later(None, "no route".to_owned()), at(0));
    assert!(book.due(&rules, at(0)).is_none(), "the channel waits");
    let mut book = NoticeQueue::new(ChannelKind::Webhook, book.items().cloned().collect(), 0);
    let said: Vec<u64> = say_all(&mut book, &rules, at(0)).iter().map(|delivery| delivery.lead).collect();
    assert!(said.len() == 3 && said.is_sorted(), "{said:?}");
}

#[test]
fn a_row_has_one_random_name_and_keeps_it() {
    let (mut book, rules) = (book(), rules(None));
    book.take(notice(1, NoticeKind::Note, None, "x", 0), &rules, at(0));
    let mut names = 0;
    let mut new = || {
        names += 1;
        format!("name {names}")
    };
    book.name(&mut new);
    book.take(notice(2, NoticeKind::Note, None, "y", 0), &rules, at(0));
    book.name(&mut new);
    let stored: Vec<OutboxItem> = book.changes().into_iter().filter_map(|(_, item)| item).collect();
    let mut again = NoticeQueue::new(ChannelKind::Telegram, stored, 0);
    again.name(&mut new);
    let row = |seq| book_row(&again, seq);
    assert_eq!((again.key(row(1)), again.key(row(2))), (Some("name 1"), Some("name 2")));
    assert!(again.changes().is_empty(), "what has a name gets no other");
}

#[test]
fn a_service_that_names_a_time_is_obeyed() {
    let (mut book, rules) = (book(), rules(None));
    book.take(notice(1, NoticeKind::Failed, Some(1), "x", 0), &rules, at(0));
    let delivery = book.due(&rules, at(0)).expect("due");
    book.refused(&delivery, Refused::Later(Some(Duration::from_secs(90)), "429".to_owned()), at(0));
    assert!(book.due(&rules, at(89)).is_none());
    assert!(book.due(&rules, at(90)).is_some());
}

#[test]
fn a_machine_gets_each_notice_by_itself_and_at_once() {
    let (mut book, rules) = (NoticeQueue::new(ChannelKind::Webhook, Vec::new(), 0), rules(Some("00:00-23:59")));
    for seq in 1..=9 {
        book.take(notice(seq, NoticeKind::Limit, Some(seq), "same", 0), &rules, at(0));
    }
    assert_eq!(say_all(&mut book, &rules, at(0)).len(), 9);
}

#[test]
fn what_was_not_asked_for_is_not_told() {
    let filter = Filter { labels: BTreeSet::from(["web".to_owned()]), ..Filter::default() };
    let only = Rules { filter, ..rules(None) };
    let errors = Rules { level: Level::Errors, ..rules(None) };
    let none = Rules { level: Level::Nothing, ..rules(None) };
    for (rules, kind, task, expected) in [
        (&only, NoticeKind::Question, Some(1), 0),
        (&only, NoticeKind::Batch, None, 1),
        (&errors, NoticeKind::Finished, Some(1), 0),
        (&errors, NoticeKind::Failed, Some(1), 1),
        (&none, NoticeKind::Failed, Some(1), 0),
        (&none, NoticeKind::Note, None, 1),
    ] {
        let mut book = book();
        book.take(notice(1, kind, task, "x", 0), rules, at(0));
        assert_eq!(book.waiting(), expected, "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever comes, whenever the process dies, whatever the service says: each notice is in one message, or still waits,
    /// or is counted; and it is in two only where the process died between saying it and noting that.
    #[test]
    fn each_notice_is_told_once_or_counted(
        steps in prop::collection::vec((0_u8..12, 0_u8..10, 0_u64..4, 0_i64..7200), 1..60),
        quiet in prop::option::of(Just("13:00-14:00")),
        channel in 0_usize..4,
    ) {
        let channel = ChannelKind::ALL[channel];
        let rules = rules(quiet);
        let mut stored: BTreeMap<u64, OutboxItem> = BTreeMap::new();
        let mut dropped = 0;
        let mut book = NoticeQueue::new(channel, Vec::new(), 0);
        let (mut seq, mut second) = (0, 0);
        let (mut said, mut twice, mut forgiven): (BTreeSet<u64>, u64, u64) = (BTreeSet::new(), 0, 0);
        let (mut counted, mut in_all) = (0, 0);
        for (step, kind, task, pause) in steps {
            second += pause;
            let kind = [NoticeKind::Question, NoticeKind::Finished, NoticeKind::Login, NoticeKind::Limit, NoticeKind::Failed,
                NoticeKind::Batch, NoticeKind::Note, NoticeKind::Trouble, NoticeKind::Budget, NoticeKind::Approval][kind as usize];
            match step {
                // Many come.
                0..=5 => for _ in 0..(1 + task * task * 4) {
                    seq += 1;
                    book.take(notice(seq, kind, (task > 0).then_some(task), "cause", second), &rules, at(second));
                },
                // It dies before it has stored that.
                6 => {
                    seq = stored.values().map(|item| item.notice.seq).max().unwrap_or(0).max(counted);
                    book = NoticeQueue::new(channel, stored.values().cloned().collect(), dropped);
                    continue;
                }
                _ => if let Some(delivery) = book.due(&rules, at(second)) {
                    match step {
                        7 => book.refused(&delivery, Refused::Later(None, String::new()), at(second)),
                        8 => book.refused(&delivery, Refused::Never(String::new()), at(second)),
                        _ => {
                            let again = delivery.rows.iter().filter(|id| !said.insert(**id)).count() as u64;
                            twice += again;
                            if step == 9 {
                                // It is said, and dies before that is stored.
                                forgiven += delivery.rows.len() as u64;
                                book = NoticeQueue::new(channel, stored.values().cloned().collect(), dropped);
                                continue;
                            }
                            book.said(&delivery, None, at(second));
                        }
                    }
                },
            }
            for (id, item) in book.changes() {
                match item {
                    Some(item) => drop(stored.insert(id, item)),
                    None => drop(stored.remove(&id)),
                }
            }
            counted = seq;
            // Saying something sets the count back.
            in_all += book.dropped().saturating_sub(dropped);
            dropped = book.dropped();
            prop_assert!(book.waiting() <= MOST);
        }
        prop_assert!(twice <= forgiven, "{twice} were said twice, {forgiven} times it died right after");
        let waiting: BTreeSet<u64> = book.open().map(|item| item.id).collect();
        let dead = stored.values().filter(|item| matches!(item.state, Stage::Dead { .. })).count();
        let number = |seq| book.number(&notice(seq, NoticeKind::Note, None, "", 0));
        let lost = (1..=counted).map(number).filter(|id| !said.contains(id) && !waiting.contains(id)).count();
        prop_assert!(lost as u64 <= dead as u64 + in_all, "{lost} lost, {dead} given up, {in_all} dropped");
    }
}
