//! What holds for every service, checked with one whose refusals are scripted, and the ids of the real ones.

use super::*;
use crate::Channel;
use crate::conversation::buttons::{OPEN, UNDER};
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::live::Stage;
use crate::conversation::render::sentence;
use crate::discord::DiscordService;
use crate::outbound_queue::TRIES;
use crate::rate_limit::Limits;
use crate::streams::STREAMS;
use crate::telegram::TelegramService;
use futures::future::join_all;
use orch_core::base::ids::TaskId;
use orch_core::notices::notice::{Notice, NoticeKind};
use orch_core::operations::channel::{Button, Press};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The configured chat.
const HOME: u64 = 1;

/// A request to the scripted service, and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    /// The chat of a new message, or the message that is changed.
    at: u64,
    text: String,
    refusal: Option<Refusal>,
}

/// A service that refuses requests as its script says, and accepts all others.
#[derive(Default)]
struct Scripted {
    owners: Vec<String>,
    script: Mutex<VecDeque<Option<Refusal>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    fn request(&self, at: u64, content: &ChatMessage) -> Result<u64, Refusal> {
        let refusal = self.script.lock().expect("alone").pop_front().flatten();
        let mut requests = self.requests.lock().expect("alone");
        requests.push(Request { at, text: content.plain_text().trim().to_owned(), refusal: refusal.clone() });
        refusal.map_or(Ok(100 + requests.len() as u64), Err)
    }
}

impl Service for Scripted {
    const KIND: ChannelKind = ChannelKind::Telegram;
    type Chat = u64;
    type Message = u64;

    fn parse_message(text: &str) -> Option<u64> {
        text.parse().ok()
    }

    fn button_key(chat: u64, message: u64) -> String {
        format!("{chat}/{message}")
    }

    fn rate_limit(&self, _: u64) -> RateLimit {
        RateLimit::new(false, Limits { apart: Duration::ZERO, group_span: Duration::ZERO, margin: Duration::ZERO })
    }

    async fn send(sender: &mut Sender<Self>, chat: Option<u64>, content: &ChatMessage) -> SendResult<u64> {
        let minted = sender.queue.mint(content).await?;
        let message = sender.service().request(chat.unwrap_or(HOME), content)?;
        sender.queue.bind(&minted, message).await?;
        Ok(Some(message))
    }

    async fn send_live(sender: &mut Sender<Self>, chat: u64, content: &ChatMessage) -> Result<u64, Refusal> {
        sender.service().request(chat, content)
    }

    async fn edit(sender: &mut Sender<Self>, message: u64, content: &ChatMessage, _: &[Minted]) -> Result<(), Refusal> {
        sender.service().request(message, content).map(drop)
    }

    async fn remove_buttons(sender: &mut Sender<Self>, message: u64) -> Result<(), Refusal> {
        sender.service().request(message, &ChatMessage::default()).map(drop)
    }

    fn owners(&self) -> Vec<String> {
        self.owners.clone()
    }

    async fn private_chat(&self, user: &str) -> Result<u64, Refusal> {
        user.parse().map_err(|_| Refusal::Gone)
    }

    fn only_sends(&self) -> bool {
        false
    }

    async fn is_seen(&self, _: &Shown<u64>) -> bool {
        true
    }

    async fn listen(_: Listening<'_, Self>) {}
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Creates a channel over the script, runs `act` while its queues send, and returns the result with all requests.
fn with_script<T, F: Future<Output = T>>(
    owners: &[&str],
    script: Vec<Option<Refusal>>,
    act: impl FnOnce(ServiceChannel<Scripted>) -> F,
) -> (T, Vec<Request>, ChannelStore) {
    let requests = Arc::default();
    let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
    let service = Scripted { owners, script: Mutex::new(script.into()), requests: Arc::clone(&requests) };
    let store = ChannelStore::in_memory();
    let channel = ServiceChannel::over(service, store.clone(), (HOME, []), &BTreeSet::from(["42".to_owned()]));
    let done = block_on(async {
        let closing = CancellationToken::new();
        let acted = async {
            let done = act(channel.clone()).await;
            closing.cancel();
            done
        };
        tokio::join!(acted, channel.0.queue.run(&closing)).0
    });
    let requests = requests.lock().expect("alone").clone();
    (done, requests, store)
}

fn later() -> Refusal {
    Refusal::later(None, "down")
}

fn never() -> Refusal {
    Refusal::Never("rejected".to_owned())
}

fn refusals() -> impl Strategy<Value = Vec<Option<Refusal>>> {
    let any = prop_oneof![
        3 => Just(None),
        3 => Just(Some(later())),
        1 => Just(Some(Refusal::Gone)),
        1 => Just(Some(never())),
        1 => Just(Some(Refusal::Closed("no rights".to_owned()))),
    ];
    prop::collection::vec(any, 0..40)
}

fn is_read_back<S: Service>(message: S::Message) -> bool {
    S::parse_message(&message.to_string()).map(|read| read.to_string()) == Some(message.to_string())
}

/// Returns whether two messages have the same key.
fn is_same_key<S: Service>(one: (S::Chat, S::Message), other: (S::Chat, S::Message)) -> bool {
    S::button_key(one.0, one.1) == S::button_key(other.0, other.1)
}

/// Returns how many entries a store has under a prefix.
fn stored(store: &ChannelStore, prefix: &str) -> usize {
    block_on(store.with_prefix(prefix)).expect("memory").len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_waits_for_a_message_hears_its_result_and_an_answer_is_tried_again_but_not_forever(
        are_awaited in prop::collection::vec(any::<bool>(), 0..20),
        script in refusals(),
    ) {
        let (results, requests, store) = with_script(&[], script, |channel| async move {
            let sent = are_awaited.iter().enumerate().map(|(number, is_awaited)| {
                let button = Button { label: "Retry".to_owned(), press: Press::ShowDiff { task: TaskId(7) } };
                let content = ChatMessage { buttons: vec![button], ..sentence(format!("message {number}")) };
                let queue = channel.0.queue.clone();
                async move {
                    if *is_awaited {
                        return Some(queue.send(None, &content).await);
                    }
                    queue.answer(HOME, content);
                    None
                }
            });
            join_all(sent).await
        });
        let mut sent = 0;
        for (number, result) in results.into_iter().enumerate() {
            let text = format!("message {number}");
            let tries = requests.iter().filter(|request| request.text == text);
            let tries: Vec<_> = tries.map(|request| &request.refusal).collect();
            let (last, before) = tries.split_last().expect("each message is tried");
            match result {
                Some(result) => {
                    prop_assert!(before.is_empty(), "the waiting caller decides: {tries:?}");
                    prop_assert_eq!(result.err(), (*last).clone());
                }
                None => {
                    prop_assert!(before.iter().all(|refusal| **refusal == Some(later())), "{tries:?}");
                    prop_assert!(**last != Some(later()) || tries.len() == TRIES as usize, "{tries:?}");
                    prop_assert!(tries.len() <= TRIES as usize, "{tries:?}");
                }
            }
            sent += usize::from(last.is_none());
        }
        prop_assert_eq!(stored(&store, UNDER), sent, "each sent message has valid buttons, and no other one");
        prop_assert_eq!(stored(&store, OPEN), requests.len(), "each try creates its own buttons");
    }

    #[test]
    fn a_live_message_ends_with_its_final_state_whatever_was_refused_before(
        count in 1_usize..12,
        are_gone in prop::collection::vec(any::<Option<bool>>(), 0..30),
    ) {
        let refusal = |is_gone: bool| if is_gone { Refusal::Gone } else { later() };
        let script = are_gone.into_iter().map(|refused| refused.map(refusal)).collect();
        let ((), requests, store) = with_script(&[], script, |channel| async move {
            let shown = Shown::new(HOME, HOME, TaskId(7), "42".to_owned());
            let (key, _) = channel.0.streams.begin(&shown, now()).await;
            for state in 1..=count {
                let stage = if state == count { Stage::Last } else { Stage::Grows };
                assert!(channel.0.queue.show(key, HOME, sentence(format!("state {state}")), stage));
                tokio::task::yield_now().await;
            }
        });
        let last = requests.last().expect("the final state is shown");
        prop_assert_eq!((&last.text, &last.refusal), (&format!("state {count}"), &None));
        let states = requests.iter().filter_map(|request| request.text.split(' ').nth(1)?.parse().ok());
        let states: Vec<usize> = states.collect();
        prop_assert!(states.is_sorted(), "no state is shown after a newer one: {:?}", states);
        let mut gone = BTreeSet::new();
        for request in requests.iter().filter(|request| request.at != HOME) {
            prop_assert!(!gone.contains(&request.at), "a deleted message is not edited again");
            if request.refusal == Some(Refusal::Gone) {
                gone.insert(request.at);
            }
        }
        prop_assert_eq!(stored(&store, STREAMS), 0, "a stream that has ended is not stored");
    }

    #[test]
    fn the_ids_of_each_chat_are_read_as_they_are_written_and_buttons_know_their_message(
        (one, other) in (1_u64..1 << 62, 1_u64..1 << 62),
        (chat, another) in (1_i64..1 << 52, 1_i64..1 << 52),
    ) {
        let place = |message: u64| DiscordService::parse_message(&format!("{chat}/{message}")).expect("an id");
        let number = |message: u64| TelegramService::parse_message(&message.to_string()).expect("an id");
        prop_assert!(is_read_back::<DiscordService>(place(one)) && is_read_back::<TelegramService>(number(one)));
        let home = twilight_model::id::Id::new(1);
        let is_same = one == other;
        prop_assert_eq!(is_same_key::<DiscordService>((home, place(one)), (home, place(other))), is_same);
        prop_assert_eq!(is_same_key::<TelegramService>((chat, number(one)), (chat, number(other))), is_same);
        // Telegram numbers the messages of each chat anew.
        prop_assert!(!is_same_key::<TelegramService>((chat, number(one)), (-another, number(one))));
        for text in ["", "x", "7/", "/7", "7/x", "seven"] {
            prop_assert!(DiscordService::parse_message(text).is_none() && TelegramService::parse_message(text).is_none());
        }
    }
}

fn notice(kind: NoticeKind) -> Notice {
    let (event, cause, text) = (String::new(), String::new(), String::new());
    let at = Timestamp::UNIX_EPOCH;
    Notice { seq: 1, at, kind, event, about: None, cause, text, buttons: vec![], is_critical: false, went_wrong: false }
}

/// Sends a notice about a stranger, and returns the result with the chats that requests went to.
fn report_stranger(owners: &[&str], script: Vec<Option<Refusal>>) -> (SendResult<String>, Vec<u64>) {
    let notice = notice(NoticeKind::Stranger);
    let (sent, requests, _) = with_script(owners, script, |channel| async move {
        channel.send_notices("key", &[notice], &sentence("a stranger wrote")).await
    });
    (sent, requests.into_iter().map(|request| request.at).collect())
}

#[test]
fn a_notice_about_a_stranger_goes_to_the_first_owner_who_accepts_it_and_else_to_the_chat() {
    assert_eq!(report_stranger(&["2", "3"], vec![]), (Ok(None), vec![2]));
    assert_eq!(report_stranger(&["no id", "2", "3"], vec![Some(Refusal::Gone)]), (Ok(None), vec![2, 3]));
    assert_eq!(report_stranger(&["2", "3"], vec![Some(later())]), (Err(later()), vec![2]), "later, and privately");
    let (sent, chats) = report_stranger(&["2"], vec![Some(never())]);
    assert_eq!((sent.is_ok_and(|id| id.is_some()), chats), (true, vec![2, HOME]));
    assert_eq!(report_stranger(&[], vec![]).1, [HOME]);
}

#[test]
fn only_a_message_about_strangers_alone_is_private() {
    let of = |kinds: &[NoticeKind]| {
        let notices: Vec<Notice> = kinds.iter().copied().map(notice).collect();
        let (_, requests, _) = with_script(&["2"], vec![], |channel| async move {
            channel.send_notices("key", &notices, &sentence("a notice")).await
        });
        requests[0].at
    };
    assert_eq!(of(&[NoticeKind::Stranger, NoticeKind::Stranger]), 2);
    assert_eq!(of(&[NoticeKind::Stranger, NoticeKind::Failed]), HOME);
    assert_eq!(of(&[]), HOME);
}

#[test]
fn an_id_that_is_not_one_of_the_service_is_a_message_that_is_gone() {
    let (edited, requests, _) = with_script(&[], vec![], |channel| async move {
        (channel.edit("no id", &sentence("new")).await, channel.edit("7", &sentence("new")).await)
    });
    assert_eq!(edited, (Err(Refusal::Gone), Ok(())));
    assert_eq!(requests.len(), 1);
}
