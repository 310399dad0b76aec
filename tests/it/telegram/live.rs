//! Tests what a daemon shows in a Telegram chat over time: growing output, across restarts and changes of the settings,
//! and notices. The whole chat is in `fixtures/rendered/telegram-notices.txt`.

use super::{ADA, GROUP, quick};
use crate::kit::golden;
use crate::kit::sealed_box::SealedBox;
use crate::kit::telegram::{BotApi, Seen, TOKEN};
use crate::kit::wait::{RUN, wait_some, wait_until};
use crate::kit::{read_file, write_file};
use std::path::PathBuf;

/// Prints a word as soon as there is a file with its name, and commits at the end.
const TALKS: &str = "#!/bin/sh
cat > /dev/null
echo first
for word in second third fourth; do
  while [ ! -e 'NOTES'/$word ]; do sleep 0.02; done
  echo $word
done
echo work > work.txt && git add . && git commit -q -m work
";

/// A daemon that posts in the group and obeys Ada, and an agent that prints on request.
struct Fixture {
    api: BotApi,
    sealed: SealedBox,
    notes: PathBuf,
}

impl Fixture {
    fn open(more: &str) -> Self {
        let (api, mut sealed) = (quick(), SealedBox::new());
        sealed.set("TZ", "UTC");
        let notes = sealed.root().join("notes");
        sealed.program("talks", &TALKS.replace("NOTES", &notes.display().to_string()));
        write_file(&sealed.orch_home().join("bot.token"), TOKEN);
        sealed.config(&format!(
            "agents: {{talks: {{kind: command, command: talks}}}}\nrouter: {{mode: round_robin, agents: [talks]}}\nworkflow: {{max_attempts: 1{more}}}\n\
             channels: {{telegram: {{bot_token: 'file:bot.token', chat_id: '{GROUP}', allowed_users: ['{ADA}'], \
             api_url: '{}'}}}}\n",
            api.url()
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.serve();
        let fixture = Self { api, sealed, notes };
        fixture.until_it_listens(0);
        fixture
    }

    fn until_it_listens(&self, before: usize) {
        wait_until("it to listen", RUN, || self.api.calls("getMe") > before && self.api.calls("getUpdates") > 0);
    }

    fn let_say(&self, word: &str) {
        write_file(&self.notes.join(word), "");
    }

    /// The message of the stream: there is one.
    fn stream(&self) -> Option<Seen> {
        let mut all = self.api.messages(GROUP).into_iter().filter(|seen| seen.text.starts_with("#1 Work\n"));
        let first = all.next();
        assert!(all.next().is_none(), "{:#?}", self.api.texts(GROUP));
        first
    }

    fn until_shown(&self, words: &str) -> Seen {
        wait_some(&format!("{words:?} in {:#?}", self.api.texts(GROUP)), RUN, || {
            self.stream().filter(|seen| seen.text.contains(words))
        })
    }
}

#[test]
fn a_token_that_changes_under_a_running_daemon_is_the_one_that_is_tried() {
    let fixture = Fixture::open("");
    let file = fixture.sealed.base().join("token");
    let add = |sealed: &SealedBox, token: &str| {
        write_file(&file, token);
        sealed.orch(["channel", "add", "telegram", "--token-file", file.to_str().expect("text")])
    };
    // From here on config.yml is unchanged, and only the token changes.
    add(&fixture.sealed, TOKEN).ok();
    let config = fixture.sealed.orch_home().join("config.yml");
    let before = read_file(&config);
    for _ in 0..2 {
        let said = fixture.api.texts(GROUP).len();
        let wrong = add(&fixture.sealed, "123456789:BBF-another_secret_of_a_bot").code_is(1);
        assert!(wrong.stderr.contains("the test message was not sent: Telegram refuses the bot's token"), "{wrong}");
        assert_eq!(fixture.api.texts(GROUP).len(), said, "nothing is said with the token before it");
        let right = add(&fixture.sealed, TOKEN).ok();
        assert!(right.stderr.contains("a test message was sent there"), "{right}");
    }
    // A file that was written without a command is read before a test, too.
    write_file(&fixture.sealed.orch_home().join(".orch/channels/telegram.secret"), "123456789:BBF-another_secret");
    fixture.sealed.orch(["channel", "test", "telegram"]).code_is(1);
    assert_eq!(read_file(&config), before);
    fixture.sealed.finish();
}

#[test]
fn a_stream_goes_on_in_its_message_through_changed_settings_a_restart_and_a_crash() {
    let mut fixture = Fixture::open("");
    fixture.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    fixture.api.writes(ADA, GROUP, "/stream 1");
    let message = fixture.until_shown("first").id;
    let before = fixture.api.calls("getMe");
    fixture.sealed.orch(["config", "set", "notifications.level", "errors_only"]).ok();
    fixture.until_it_listens(before);
    fixture.let_say("second");
    assert_eq!(fixture.until_shown("second").id, message);
    assert_eq!(fixture.sealed.stop_daemon().code, Some(0));
    fixture.sealed.serve();
    fixture.let_say("third");
    assert_eq!(fixture.until_shown("third").id, message);
    fixture.sealed.kill_daemon();
    // It ends while no daemon shows it.
    fixture.let_say("fourth");
    fixture.sealed.serve();
    let ended = fixture.until_shown("■ done");
    assert!(ended.id == message && ended.text.contains("fourth"), "{}", ended.text);
    // Its message is final: it is not edited again.
    fixture.sealed.stop_daemon();
    let edits = fixture.stream().expect("there").edits;
    let before = fixture.api.calls("getMe");
    fixture.sealed.serve();
    fixture.until_it_listens(before);
    fixture.sealed.orch(["notify", "a mark"]).ok();
    wait_until("a mark", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("a mark")));
    assert_eq!(fixture.stream().expect("there").edits, edits);
    fixture.sealed.finish();
}

#[test]
fn nobody_sees_more_of_a_stream_who_may_not_speak_any_more() {
    let mut fixture = Fixture::open("");
    fixture.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    fixture.api.writes(ADA, GROUP, "/stream 1");
    fixture.until_shown("first");
    fixture.sealed.stop_daemon();
    fixture.sealed.orch(["config", "set", "channels.telegram.allowed_users", "[]"]).ok();
    fixture.sealed.serve();
    fixture.sealed.orch(["notify", "a mark"]).ok();
    wait_until("a mark", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("a mark")));
    fixture.let_say("second");
    fixture.let_say("third");
    fixture.let_say("fourth");
    wait_until("its end", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("#1 Work (shop) is done")));
    assert!(!fixture.stream().expect("there").text.contains("second"));
    fixture.sealed.finish();
}

#[test]
fn a_chat_with_notices_and_a_stream_is_as_it_is_kept() {
    let fixture = Fixture::open(", review: human");
    fixture.api.writes(ADA, GROUP, "/add Work");
    wait_until("the task", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("#1 is added")));
    fixture.api.writes(ADA, GROUP, "/stream 1");
    fixture.until_shown("first");
    for word in ["second", "third", "fourth"] {
        fixture.let_say(word);
    }
    fixture.until_shown("■ needs_review");
    wait_until("buttons", RUN, || fixture.api.button(GROUP, "Approve").is_some());
    fixture.api.presses(ADA, GROUP, "Show diff");
    wait_until("the diff", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("+work")));
    fixture.api.presses(ADA, GROUP, "Request changes");
    wait_until("the question", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("What should change")));
    fixture.api.writes(ADA, GROUP, "/approve 1");
    wait_until("the end", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("#1 Work (shop) is done")));
    wait_until("the answer", RUN, || fixture.api.texts(GROUP).iter().any(|text| text.contains("#1 is approved")));
    let seen = golden::steady(&fixture.api.transcript(GROUP), fixture.sealed.root());
    golden::assert_is("telegram-notices.txt", &seen.replace("it is in_review now", "it is done now"));
    fixture.sealed.finish();
}
