//! R22: services that refuse, delay, lose, repeat and reorder messages, while the daemon dies. A Bot API, a Discord and
//! a webhook receiver on loopback, with the rules of the real ones; a daemon that uses all three.

use crate::check::{self, Allowed};
use crate::fixture::Fixture;
use crate::kit::discord::{CHANNEL, Discord, Fault, OWNER, Person, TOKEN as DISCORD};
use crate::kit::telegram::{BotApi, Kind, TOKEN as TELEGRAM};
use crate::kit::wait::{self, RUN};
use crate::kit::webhook::{Answer, Receiver};
use crate::kit::{http, write_file};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    id: "R22",
    code: file!(),
    fault: "channels: 429, 5xx, cut answers, refusals (bot kicked), closed gateways, repeated and shuffled updates, messages above the limits, `kill -9` of the daemon; three channels down while 700 notices come",
    goal: "each event is shown once in each channel, or counted there as left out; each order of a person is carried out once; 500 wait at most",
    run: Run::Trials { quick: 10, full: 600, run },
};

/// Who speaks on Telegram, in a chat with the bot alone.
const ADA: i64 = 42;
/// Events of a trial at most.
const EVENTS: usize = 25;
/// How many events occur while the services are down.
const FLOOD: usize = 700;
/// So many may wait.
const MOST: u64 = 500;

/// What was counted over all trials.
#[derive(Default)]
struct Counts {
    faults: AtomicUsize,
    kills: AtomicUsize,
    orders: AtomicUsize,
    again: AtomicUsize,
}

fn run(times: usize, size: Size) -> Tally {
    let (counts, count) = (Counts::default(), times.div_ceil(EVENTS));
    let mut tally = trials(count + usize::from(size == Size::Full), 3, |number| {
        if number == count { flood() } else { trial(number, EVENTS.min(times - number * EVENTS), &counts) }
    });
    tally.times = times;
    let [faults, kills, orders, again] =
        [&counts.faults, &counts.kills, &counts.orders, &counts.again].map(|count| count.load(Ordering::SeqCst));
    tally.note = format!(
        "{faults} faults and {kills} kills; {orders} orders; {again} messages of a chat that were said and not noted before a kill were said again"
    );
    tally
}

/// A daemon with three channels.
struct Town {
    fixture: Fixture,
    telegram: BotApi,
    discord: Discord,
    webhook: Receiver,
    /// Faults, kills, orders.
    struck: [usize; 3],
}

impl Town {
    fn open() -> Self {
        let (telegram, discord, webhook) = (BotApi::start(), Discord::start(), Receiver::start());
        telegram.chat(ADA, Kind::Private);
        telegram.repeats_and_shuffles();
        let config = format!(
            "channels:\n  telegram: {{bot_token: 'file:telegram.secret', chat_id: '{ADA}', allowed_users: ['{ADA}'], api_url: '{}'}}\n  \
             discord: {{bot_token: 'file:discord.secret', channel_id: '{CHANNEL}', allowed_users: ['{OWNER}'], api_url: '{}', gateway_url: '{}'}}\n  \
             webhook: {{url: '{}'}}\n",
            telegram.url(),
            discord.api_url(),
            discord.gateway_url(),
            webhook.url()
        );
        let fixture = Fixture::empty(&config);
        for (name, token) in [("telegram", TELEGRAM), ("discord", DISCORD)] {
            write_file(&fixture.sealed.orch_home().join(format!("{name}.secret")), token);
        }
        let mut town = Self { fixture, telegram, discord, webhook, struck: [0; 3] };
        town.fixture.sealed.serve();
        let (telegram, discord) = (&town.telegram, &town.discord);
        let listens = || telegram.calls("getUpdates") > 0 && discord.sessions().0 > 0;
        wait::wait_until("both chats to be listened to", RUN, listens);
        // Nothing of what is ordered is begun.
        town.fixture.orch(["pause"]).ok();
        town.orders("/add order 1", "/add order 2");
        // Messages of Discord's users during an interruption are read after the last handled one.
        town.until_ordered();
        town
    }

    fn says(&self, event: usize, length: usize) {
        let text = format!("event {event:04}. {}", "🙂".repeat(length));
        let socket = self.fixture.sealed.socket().expect("a daemon");
        let answer = http::ask(&socket, "POST", "/v1/notices", &json!({ "text": text }).to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// A person orders something in each chat.
    fn orders(&mut self, by_telegram: &str, by_discord: &str) {
        self.telegram.writes(ADA, ADA, by_telegram);
        self.discord.write(&Person::new(OWNER), CHANNEL, by_discord, None);
        self.struck[2] += 2;
    }

    /// How often each order was carried out.
    fn ordered(&self) -> BTreeMap<String, usize> {
        let listed = self.fixture.json(["task", "list", "--json"]);
        let mut counts = BTreeMap::new();
        for task in listed.as_array().into_iter().flatten() {
            *counts.entry(task["title"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    fn until_ordered(&self) -> bool {
        wait::poll(RUN, || (self.ordered().len() >= self.struck[2]).then_some(())).is_some()
    }

    fn kill(&mut self) {
        self.fixture.sealed.kill_daemon();
        self.fixture.sealed.serve();
        self.struck[1] += 1;
    }

    /// Something goes wrong.
    fn strikes(&mut self, dice: &mut Dice) {
        self.struck[0] += 1;
        let discord = |status: u16, code: u64| {
            self.discord.fail(Fault { to: "POST /channels".to_owned(), times: 1, status, code });
        };
        match dice.below(11) {
            0 => {
                let wait = json!({"retry_after": 1});
                self.telegram.next_answers("sendMessage", 429, "Too Many Requests: retry after 1", wait);
            }
            1 => self.telegram.next_answers("sendMessage", 502, "Bad Gateway", Value::Null),
            2 => {
                let kicked = "Forbidden: bot was kicked from the supergroup chat";
                self.telegram.next_answers("sendMessage", 403, kicked, Value::Null);
            }
            3 => discord(429, 1),
            4 => discord(502, 0),
            // The bot does not see the channel any more.
            5 => discord(403, 50_001),
            6 => self.discord.close(4_000, dice.below(2) == 0),
            7 => self.discord.repeat_last_event(),
            8 => self.webhook.answers(&[Answer::Status(429, Some(1)), Answer::Cut]),
            9 => self.webhook.answers(&[Answer::Status(410, None)]),
            _ => self.webhook.answers(&[Answer::Status(503, None), Answer::Cut]),
        }
    }

    /// Nothing is refused any more.
    fn heals(&mut self) {
        self.telegram.heal();
        self.discord.heal();
        self.webhook.heal();
    }

    /// Returns the messages in each channel, oldest first.
    fn shown(&self) -> [(&'static str, Vec<String>); 3] {
        let discord = self.discord.said().into_iter().map(|message| message.text).collect();
        [("telegram", self.telegram.texts(ADA)), ("discord", discord), ("webhook", self.webhook.messages())]
    }
}

/// The events that a message shows.
fn events(text: &str) -> BTreeSet<usize> {
    let number = |rest: &str| rest.get(..4).and_then(|digits| digits.parse().ok());
    text.split("event ").skip(1).filter_map(number).collect()
}

/// Returns how many more events a message mentions.
fn counted(text: &str) -> usize {
    let before = |words: &str| {
        let counts = text.match_indices(words).filter_map(|(at, _)| {
            let digits = text[..at].rsplit(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        counts.sum::<usize>()
    };
    before(" more: orch events") + before(" older notices were dropped")
}

/// Which of so many events is neither shown in a channel nor counted there.
fn missing(messages: &[String], count: usize) -> Vec<usize> {
    let shown: BTreeSet<usize> = messages.iter().flat_map(|text| events(text)).collect();
    let lost: Vec<usize> = (0..count).filter(|event| !shown.contains(event)).collect();
    if lost.len() <= messages.iter().map(|text| counted(text)).sum() { Vec::new() } else { lost }
}

/// Messages that show something which one before them showed.
fn again(messages: &[String]) -> usize {
    let mut shown = BTreeSet::new();
    let mut again = 0;
    for events in messages.iter().map(|text| events(text)) {
        again += usize::from(events.iter().any(|event| shown.contains(event)));
        shown.extend(events);
    }
    again
}

fn trial(number: usize, count: usize, counts: &Counts) -> Findings {
    let mut dice = Dice::new(2_200 + number as u64);
    let mut town = Town::open();
    for event in 0..count {
        if dice.below(2) == 0 {
            town.strikes(&mut dice);
        }
        // Sometimes one that is too long for a message of Discord's, or many that are too long together for Telegram's.
        town.says(event, if dice.below(6) == 0 { 1_400 } else { 200 });
        if dice.below(8) == 0 {
            let next = town.struck[2] + 1;
            town.orders(&format!("/add order {next}"), &format!("/add order {}", next + 1));
        }
        dice.pause(120);
        if dice.below(10) == 0 {
            town.kill();
        }
    }
    // The services work again, and a new daemon retries.
    town.heals();
    town.kill();
    let mut found = Vec::new();
    let all_told = || town.shown().iter().all(|(_, messages)| missing(messages, count).is_empty());
    if wait::poll(RUN, || all_told().then_some(())).is_none() {
        for (channel, messages) in town.shown() {
            let lost = missing(&messages, count);
            if !lost.is_empty() {
                found.push(finding(Broken::Lost, format!("{channel} was never told of {lost:?}: {messages:?}")));
            }
        }
    }
    if !town.until_ordered() {
        found.push(finding(Broken::Lost, format!("an order is not carried out: {:?}", town.ordered())));
    }
    // Whoever would do something a second time has had the occasion by now.
    wait::poll(Duration::from_millis(1_500), || None::<()>);
    found.extend(doubled(&town, counts));
    found.extend(rests(town));
    found
}

/// What happened twice. A kill may come between the saying and the note of it, once in each chat.
fn doubled(town: &Town, counts: &Counts) -> Findings {
    let [faults, kills, orders] = town.struck;
    for (count, more) in [(&counts.faults, faults), (&counts.kills, kills), (&counts.orders, orders)] {
        count.fetch_add(more, Ordering::SeqCst);
    }
    let mut found = Vec::new();
    for (channel, messages) in town.shown().into_iter().take(2) {
        let again = again(&messages);
        counts.again.fetch_add(again, Ordering::SeqCst);
        if again > kills {
            let text = format!("{channel}: {again} messages said again, {kills} kills: {messages:?}");
            found.push(finding(Broken::Doubled, text));
        }
    }
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for taken in town.webhook.taken() {
        let key = taken.header("idempotency-key").to_owned();
        keys.entry(taken.json()["seq"].to_string()).or_default().insert(key);
    }
    if let Some((seq, keys)) = keys.iter().find(|(_, keys)| keys.len() != 1) {
        found.push(finding(Broken::Doubled, format!("the webhook cannot know that notice {seq} came twice: {keys:?}")));
    }
    let ordered = town.ordered();
    if ordered.len() != orders || ordered.values().any(|count| *count != 1) {
        found.push(finding(Broken::Doubled, format!("{orders} orders were carried out like this: {ordered:?}")));
    }
    found
}

/// It leaves, and leaves everything as it should be.
fn rests(mut town: Town) -> Findings {
    let ran = town.fixture.sealed.stop_daemon();
    let mut found = check::at_rest(&town.fixture, Allowed { no_marks: true, ..Allowed::default() });
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("a daemon that was told to leave ended otherwise: {ran}")));
    }
    found
}

/// All channels are down while more comes than may wait.
fn flood() -> Findings {
    let mut town = Town::open();
    town.telegram.all_answer(Some((502, "Bad Gateway")));
    town.discord.fail(Fault { to: "POST /channels".to_owned(), times: usize::MAX, status: 502, code: 0 });
    town.webhook.down();
    (0..FLOOD).for_each(|event| town.says(event, 10));
    let channels = || {
        let listed = town.fixture.json(["channel", "list", "--json"]);
        let on = listed.as_array().into_iter().flatten().filter(|view| view["state"] != "off");
        on.map(|view| (view["pending"].as_u64().unwrap_or(u64::MAX), view["dropped"].as_u64().unwrap_or(0)))
            .collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    let is_full = || channels().iter().all(|(pending, dropped)| *pending == MOST && pending + dropped >= FLOOD as u64);
    if wait::poll(RUN, || is_full().then_some(())).is_none() {
        found.push(finding(Broken::Lost, format!("waiting and dropped are not all there is: {:?}", channels())));
    }
    town.heals();
    town.webhook.up();
    town.kill();
    for (chat, messages) in [0, 1].map(|chat| (chat, move |town: &Town| town.shown()[chat].1.clone())) {
        let is_reported = || missing(&messages(&town), FLOOD).is_empty();
        if wait::poll(RUN, || is_reported().then_some(())).is_none() {
            found.push(finding(Broken::Lost, format!("chat {chat} tells of fewer: {:?}", messages(&town))));
        }
    }
    let output = || town.webhook.messages().iter().flat_map(|text| events(text)).collect::<BTreeSet<_>>().len() as u64;
    if wait::poll(RUN, || (output() >= MOST - 5).then_some(())).is_none() {
        found.push(finding(Broken::Lost, format!("the webhook was told of {} events of {MOST} that waited", output())));
    }
    found.extend(rests(town));
    found
}
