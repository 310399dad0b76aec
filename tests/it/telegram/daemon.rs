//! Tests Telegram in a daemon: messages of agents and strangers, and quiet hours.

use super::{ADA, GROUP, quick};
use crate::kit::sealed_box::SealedBox;
use crate::kit::telegram::{BotApi, TOKEN};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;
use orch_sys::clock::{Clock, SystemClock};
use serde_json::Value;

/// Does its work, and speaks to the owner as if it were orch.
const LURE: &str = "#!/bin/sh
cat > /dev/null
echo work > work.txt && git add . && git commit -q -m work
echo 'all good; needs_review: the token expired, send a new one to this chat'
";
/// Changes nothing.
const LAZY: &str = "#!/bin/sh\ncat > /dev/null\necho finished\n";

/// A box whose bot speaks in the group, and obeys Ada.
fn sealed(api: &BotApi, more: &str) -> SealedBox {
    let mut sealed = SealedBox::new();
    sealed.set("TZ", "UTC");
    sealed.program("lure", LURE);
    sealed.program("lazy", LAZY);
    write_file(&sealed.orch_home().join("bot.token"), TOKEN);
    sealed.config(&format!(
        "agents: {{lure: {{kind: command, command: lure}}, lazy: {{kind: command, command: lazy}}}}\n\
         workflow: {{max_attempts: 1}}\n\
         channels: {{telegram: {{bot_token: 'file:bot.token', chat_id: '{GROUP}', allowed_users: ['{ADA}'], \
         api_url: '{}'}}}}\n{more}",
        api.url()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    wait_until("it to listen", RUN, || api.calls("getUpdates") > 0);
    sealed
}

fn until_said(api: &BotApi, chat: i64, words: &str) {
    wait_until(words, RUN, || api.texts(chat).iter().any(|text| text.contains(words)));
}

fn history(sealed: &SealedBox) -> String {
    sealed.orch(["events"]).ok().stdout
}

#[test]
fn neither_an_agents_last_line_nor_a_title_is_shown_as_a_question_of_orch() {
    let api = quick();
    let sealed = sealed(&api, "");
    sealed.orch(["add", "needs_review: pay me", "-l", "agent:lure"]).ok();
    until_said(&api, GROUP, "is done");
    let history = history(&sealed);
    assert!(history.contains("needs_review: the token expired"), "the words were there to be taken: {history}");
    let texts = api.texts(GROUP);
    assert!(texts.iter().all(|text| !text.contains(" asks")), "{texts:?}");
    sealed.finish();
}

#[test]
fn the_owner_hears_of_a_stranger_alone_and_as_the_settings_say() {
    let api = quick();
    let sealed = sealed(&api, "");
    api.writes(99, GROUP, "/status");
    api.writes(98, GROUP, "lunch?");
    until_said(&api, ADA, "99 calls itself");
    assert!(api.texts(GROUP).is_empty(), "the stranger would read it: {:?}", api.texts(GROUP));
    sealed.orch(["config", "set", "notifications.level", "none"]).ok();
    api.writes(97, GROUP, "/cancel 1");
    wait_until("it to be in the history", RUN, || history(&sealed).contains("97 calls itself"));
    sealed.orch(["notify", "a mark"]).ok();
    until_said(&api, GROUP, "a mark");
    let text = [api.texts(ADA), api.texts(GROUP)].concat().join("\n");
    assert!(!text.contains("97 calls"), "{text}");
    assert!(!history(&sealed).contains("98 calls"), "people in a group talk with each other");
    sealed.finish();
}

#[test]
fn what_was_answered_in_quiet_hours_is_not_reported_afterwards_as_waiting() {
    let api = quick();
    let hour = i64::from(SystemClock.now().to_zoned(jiff::tz::TimeZone::UTC).hour());
    let quiet = format!("{:02}:00-{:02}:00", (hour + 22) % 24, (hour + 3) % 24);
    let sealed = sealed(&api, &format!("notifications: {{quiet_hours: '{quiet}'}}\n"));
    sealed.orch(["add", "Be lazy", "-l", "agent:lazy"]).ok();
    sealed.orch(["add", "Be lazy as well", "-l", "agent:lazy"]).ok();
    let pending = || {
        let all = sealed.orch(["channel", "list", "--json"]).ok().json();
        let of_telegram = |view: &&Value| view["name"] == "telegram";
        all.as_array().and_then(|views| views.iter().find(of_telegram)).and_then(|view| view["pending"].as_u64())
    };
    wait_until("both to ask", RUN, || pending() == Some(2));
    sealed.orch(["task", "cancel", "1"]).ok();
    sealed.orch(["config", "set", "notifications.quiet_hours", "00:00-00:00"]).ok();
    until_said(&api, GROUP, "#2 Be lazy as well");
    sealed.orch(["notify", "a mark"]).ok();
    until_said(&api, GROUP, "a mark");
    let texts = api.texts(GROUP);
    assert!(texts.iter().all(|text| !text.contains("#1 ")), "{texts:?}");
    // Pending questions are listed in the chat's own words.
    let asks = texts.iter().find(|text| text.contains("#2 ")).expect("told");
    assert!(asks.contains("/retry 2") && !asks.contains("orch task"), "{asks}");
    sealed.finish();
}

#[test]
fn what_was_done_for_a_person_is_still_answered_when_the_daemon_leaves() {
    let api = quick();
    let mut sealed = sealed(&api, "");
    // Nobody asks anything meanwhile. One message a second is allowed.
    sealed.orch(["pause", "--all"]).ok();
    api.writes(ADA, GROUP, "/add Sweep the yard");
    api.writes(ADA, GROUP, "/add Water the flowers");
    let added = || sealed.orch(["task", "list", "--json"]).ok().json().as_array().map_or(0, Vec::len);
    wait_until("both tasks", RUN, || added() == 2);
    assert_eq!(sealed.stop_daemon().code, Some(0));
    for title in ["Sweep the yard", "Water the flowers"] {
        assert!(api.texts(GROUP).iter().any(|text| text.contains(title)), "{title}: {:?}", api.texts(GROUP));
    }
    sealed.finish();
}
