//! A chat gets everything once and in order, and its limits are never exceeded.

use super::compose::{Composer, Limits, Message, Next, Op, Rate};
use super::cut::measure;
use super::{Chat, Post, Refusal};
use crate::forward;
use futures::stream;
use orch_api::stream::{OutputChunkView, StreamEvent};
use orch_core::base::ids::{RunId, TaskId};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn limits(longest: usize) -> Limits {
    Limits { longest, ..Limits::TELEGRAM }
}

/// A service in memory that checks requests and refuses on demand.
struct Fixture {
    limits: Limits,
    messages: Vec<Message>,
    /// Times of the requests, and whether each was an edit.
    asked: Vec<(Duration, bool)>,
    now: Duration,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        Self { limits, messages: Vec::new(), asked: Vec::new(), now: Duration::ZERO }
    }

    fn take(&mut self, op: &Op<usize>) {
        let message = match op {
            Op::Send { message } | Op::Edit { message, .. } => message,
        };
        let text = message.to_string();
        assert!(measure(&text) <= self.limits.longest && !text.trim().is_empty(), "{text:?}");
        let fences = text.split('\n').filter(|line| line.trim_start().starts_with("```")).count();
        assert_eq!(fences % 2, 0, "{text}");
        let is_edit = matches!(op, Op::Edit { .. });
        self.asked.push((self.now, is_edit));
        let (requests, edits) = (self.limits.requests, self.limits.edits);
        Self::within(requests, self.asked.iter().map(|(at, _)| *at).collect());
        Self::within(edits, self.asked.iter().filter(|(_, edit)| *edit).map(|(at, _)| *at).collect());
    }

    fn within(rate: Rate, times: Vec<Duration>) {
        for pair in times.windows(rate.count + 1) {
            assert!(pair[rate.count] - pair[0] >= rate.per, "{pair:?}");
        }
    }

    /// Performs everything that is due, and advances the time until nothing is pending.
    fn settle(&mut self, composer: &mut Composer<usize>, refusals: &mut dyn Iterator<Item = Refusal>) {
        self.settle_until(composer, refusals, Duration::MAX);
    }

    fn settle_until(
        &mut self,
        composer: &mut Composer<usize>,
        refusals: &mut dyn Iterator<Item = Refusal>,
        end: Duration,
    ) {
        for _ in 0..10_000 {
            match composer.next(self.now) {
                Next::Nothing => return,
                Next::At(at) if at > end => return,
                Next::At(at) => self.now = at,
                Next::Do(op) => {
                    self.take(&op);
                    match refusals.next() {
                        Some(refusal) => composer.refused(op, &refusal, self.now),
                        None => self.accept(composer, op),
                    }
                }
            }
        }
        panic!("it never ends");
    }

    fn accept(&mut self, composer: &mut Composer<usize>, op: Op<usize>) {
        let id = match &op {
            Op::Send { message } => {
                self.messages.push(message.clone());
                Some(self.messages.len() - 1)
            }
            Op::Edit { id, message } => {
                assert!(message.text.starts_with(&self.messages[*id].text), "an edit only adds");
                self.messages[*id] = message.clone();
                None
            }
        };
        composer.done(op, id, self.now);
    }

    fn text(&self) -> String {
        self.messages.iter().map(|message| message.text.as_str()).collect()
    }
}

fn none() -> impl Iterator<Item = Refusal> {
    std::iter::empty()
}

#[test]
fn the_last_message_grows_until_it_is_full_and_lines_stay_whole() {
    let mut fixture = Fixture::new(limits(64));
    let mut composer = Composer::new(fixture.limits);
    for line in ["one is a line\n", "two is a line\n", "three is a line\n", "four is a line\n", "five is a line\n"] {
        composer.push(line, fixture.now);
        fixture.settle(&mut composer, &mut none());
    }
    let texts: Vec<&str> = fixture.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(
        texts,
        ["one is a line\ntwo is a line\nthree is a line\nfour is a line\n", "five is a line\n"],
        "{:?}",
        fixture.asked
    );
    assert_eq!(fixture.asked.iter().filter(|(_, edit)| *edit).count(), 3);
}

#[test]
fn text_is_gathered_and_the_end_is_shown_at_once() {
    let mut composer: Composer<usize> = Composer::new(Limits::DISCORD);
    composer.push("a\n", SECOND);
    assert_eq!(composer.next(SECOND), Next::At(SECOND + Limits::DISCORD.gather));
    composer.push("b\n", SECOND);
    composer.flush();
    assert!(matches!(composer.next(SECOND), Next::Do(Op::Send { message }) if message.text == "a\nb\n"));
    let mut blank: Composer<usize> = Composer::new(Limits::DISCORD);
    blank.push("\n \n", SECOND);
    blank.flush();
    assert_eq!(blank.next(SECOND * 9), Next::Nothing, "no service takes a blank message");
}

#[test]
fn a_refusal_is_waited_out_as_long_as_the_service_says_or_longer_each_time() {
    let mut composer: Composer<usize> = Composer::new(Limits::DISCORD);
    composer.push("text\n", Duration::ZERO);
    composer.flush();
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    let later = |after| Refusal::later(after, "busy");
    for refusal in [later(Some(SECOND * 33)), later(None), later(None), later(None), Refusal::Gone] {
        let Next::Do(op) = composer.next(now) else { panic!("{:?} at {now:?}", composer.next(now)) };
        composer.refused(op, &refusal, now);
        if let Next::At(at) = composer.next(now) {
            waits.push((at - now).as_secs());
            now = at;
        }
    }
    assert_eq!(waits, [33, 2, 4, 8]);
}

#[test]
fn a_message_that_is_gone_is_not_edited_and_what_was_new_comes_in_another_one() {
    let mut fixture = Fixture::new(limits(4096));
    let mut composer = Composer::new(fixture.limits);
    composer.push("first\n", fixture.now);
    fixture.settle(&mut composer, &mut none());
    composer.push("second\n", fixture.now);
    fixture.settle(&mut composer, &mut std::iter::once(Refusal::Gone));
    let texts: Vec<&str> = fixture.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["first\n", "second\n"]);
}

#[test]
fn a_block_of_code_goes_on_in_the_next_message() {
    let mut fixture = Fixture::new(limits(64));
    let mut composer = Composer::new(fixture.limits);
    composer.push(
        "look:\n```rust\nfn one() { a line of code }\nfn two() { a line of code }\n```\nthat was it\n",
        fixture.now,
    );
    composer.flush();
    fixture.settle(&mut composer, &mut none());
    let shown: Vec<String> = fixture.messages.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "look:\n```rust\nfn one() { a line of code }\n\n```",
            "```rust\nfn two() { a line of code }\n```\nthat was it\n",
        ]
    );
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (0_u64..90).prop_map(|seconds| Refusal::later(Some(Duration::from_secs(seconds)), "busy")),
        Just(Refusal::later(None, "down")),
        Just(Refusal::Gone),
    ]
}

/// Possible output of an agent: short and long lines, fences, whitespace, characters of all widths.
fn output() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zé日🙂 ]{0,30}\n", "[a-z🙂]{0,200}", "(```[a-z]{0,30}\n|```\n|``|`)", "\n{1,3}", "[ -~\n]{0,80}",]
}

proptest! {
    #[test]
    fn everything_arrives_once_and_in_order_within_all_limits(
        outputs in prop::collection::vec((output(), 0_u64..5_000, prop::option::weighted(0.2, refusal())), 1..40),
        longest in 64_usize..300,
        count in 1_usize..6,
    ) {
        let rate = Rate { count, per: SECOND };
        let limits = Limits { requests: rate, ..limits(longest) };
        let mut fixture = Fixture::new(limits);
        let mut composer = Composer::new(limits);
        for (text, pause, refusal) in &outputs {
            composer.push(text, fixture.now);
            let end = fixture.now + Duration::from_millis(*pause);
            fixture.settle_until(&mut composer, &mut refusal.clone().into_iter(), end);
            fixture.now = fixture.now.max(end);
        }
        composer.flush();
        fixture.settle(&mut composer, &mut none());
        let expected: String = outputs.iter().map(|(text, _, _)| text.as_str()).collect();
        // Whitespace between messages and at the end is not visible.
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(dense(&fixture.text()), dense(&expected));
    }

    #[test]
    fn text_without_blank_lines_arrives_to_the_character(lines in prop::collection::vec("[a-zé🙂]{1,150}", 1..30)) {
        let expected: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut fixture = Fixture::new(limits(80));
        let mut composer = Composer::new(fixture.limits);
        lines.iter().for_each(|line| composer.push(&format!("{line}\n"), fixture.now));
        composer.flush();
        fixture.settle(&mut composer, &mut none());
        // The end of a message may replace the end of a line.
        prop_assert_eq!(fixture.text().replace('\n', ""), expected.replace('\n', ""));
    }
}

/// A service that records what it is sent.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Post for Recorder {
    type Id = usize;

    async fn send(&mut self, text: &str) -> Result<usize, Refusal> {
        let mut recorded = self.0.lock().unwrap();
        recorded.push(text.to_owned());
        Ok(recorded.len() - 1)
    }

    async fn edit(&mut self, id: &usize, text: &str) -> Result<(), Refusal> {
        self.0.lock().unwrap()[*id] = text.to_owned();
        Ok(())
    }
}

#[tokio::test]
async fn a_stream_is_forwarded_into_a_chat_to_its_end() {
    let chunk = |content: &str, is_final| {
        let run_id = RunId::new(TaskId(7), 1, 0);
        let timestamp = jiff::Timestamp::UNIX_EPOCH;
        let content = content.to_owned();
        StreamEvent::Output(OutputChunkView {
            task_id: TaskId(7),
            run_id,
            offset: 0,
            end: 0,
            timestamp,
            content,
            is_final,
        })
    };
    let because = "all slots are busy".to_owned();
    let events = [StreamEvent::Waiting { task_id: TaskId(7), because }, chunk("one\n", false), chunk("two\n", true)];
    let quick = Rate { count: 100, per: SECOND };
    let limits = Limits { requests: quick, edits: quick, gather: Duration::ZERO, ..Limits::TELEGRAM };
    let recorded = Recorder::default();
    forward(stream::iter(events), &mut Chat::new(recorded.clone(), limits)).await.expect("taken");
    assert_eq!(*recorded.0.lock().unwrap(), ["#7 waits: all slots are busy\none\ntwo\n"]);
}
