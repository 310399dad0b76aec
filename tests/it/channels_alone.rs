//! Tests channels without a daemon: `add` and `test` ask the service itself, and no output claims that notifications
//! are sent.

use crate::kit::discord::{self, Discord};
use crate::kit::sealed_box::SealedBox;
use crate::kit::telegram::{self, BotApi, Kind};
use crate::kit::webhook::{Answer, Receiver};
use crate::kit::write_file;
use serde_json::Value;

const CHAT: i64 = -1001;

fn bot() -> BotApi {
    let api = BotApi::start();
    api.chat(CHAT, Kind::Group);
    api
}

/// A box with a token in a file, and its path.
fn holding(token: &str) -> (SealedBox, String) {
    let sealed = SealedBox::new();
    let file = sealed.base().join("token");
    write_file(&file, token);
    (sealed, file.to_str().expect("text").to_owned())
}

fn state(sealed: &SealedBox, name: &str) -> Value {
    let all = sealed.orch(["channel", "list", "--json"]).ok().json();
    all.as_array().expect("a list").iter().find(|view| view["name"] == name).expect(name)["state"].clone()
}

#[test]
fn a_bot_is_tried_by_its_token_and_its_chat_and_nothing_is_said() {
    let api = bot();
    let (mut sealed, file) = holding(telegram::TOKEN);
    let chat = CHAT.to_string();
    let add = ["channel", "add", "telegram", "--token-file", &file, "--chat-id", &chat, "--allow", "42", "--api-url"];
    let answer = sealed.orch([&add[..], &[&api.url()]].concat()).ok();
    assert!(answer.stderr.contains("token and chat are right (@orch_bot in shop)"), "{answer}");
    let answer = sealed.orch(["channel", "test", "telegram"]).ok();
    assert!(answer.stdout.contains("no message was sent") && answer.stderr.contains("orch serve"), "{answer}");
    assert!(api.texts(CHAT).is_empty() && api.calls("getUpdates") == 0, "{:?}", api.texts(CHAT));
    let list = sealed.orch(["channel", "list"]).ok().stdout;
    assert!(list.contains("telegram  set up") && list.contains("no daemon runs"), "{list}");
    assert_eq!(state(&sealed, "telegram"), "no_daemon");
    // A missing chat, a refused token, no server: each is reported with exit code 1, and without the token.
    let url = api.url();
    for (key, value, words, good) in [
        ("channels.telegram.chat_id", "-77", "channels.telegram.chat_id", CHAT.to_string()),
        ("channels.telegram.api_url", "http://127.0.0.1:1", "no answer", url.clone()),
    ] {
        sealed.orch(["config", "set", key, value]).ok();
        let answer = sealed.orch(["channel", "test", "telegram"]).code_is(1);
        assert!(format!("{answer}").contains(words) && !format!("{answer}").contains("secret_of"), "{answer}");
        sealed.orch(["config", "set", key, &good]).ok();
    }
    let (other, file) = holding("123456789:BBF-another_secret_of_a_bot");
    let wrong = ["channel", "add", "telegram", "--token-file", &file, "--chat-id", &chat, "--api-url", &url];
    let answer = other.orch(wrong).code_is(1);
    assert!(answer.stderr.contains("it is refused: Telegram refuses the bot's token"), "{answer}");
    assert!(!format!("{answer}").contains("another_secret"), "{answer}");
    let answer = other.orch(["channel", "test", "telegram", "--json"]).code_is(1).json();
    assert_eq!((answer["state"].as_str(), answer["found"].is_null()), (Some("refused"), true), "{answer}");
    // With a daemon, it is on.
    sealed.serve();
    assert_eq!(state(&sealed, "telegram"), "on");
    sealed.orch(["channel", "test", "telegram"]).ok();
    assert!(api.texts(CHAT).iter().any(|text| text.contains("test of orch")), "{:?}", api.texts(CHAT));
    sealed.finish();
    other.finish();
}

#[test]
fn a_bot_of_discord_is_tried_alike() {
    let server = Discord::start();
    let (sealed, file) = holding(discord::TOKEN);
    sealed.config(&format!("channels: {{discord: {{api_url: '{}'}}}}\n", server.api_url()));
    let channel = discord::CHANNEL.to_string();
    let add = ["channel", "add", "discord", "--token-file", &file, "--allow", "42", "--channel-id"];
    let answer = sealed.orch([&add[..], &[&channel]].concat()).ok();
    assert!(answer.stderr.contains("token and chat are right (#tasks)"), "{answer}");
    assert!(server.said().is_empty() && server.connections() == 0);
    let answer = sealed.orch([&add[..], &["1"]].concat()).code_is(1);
    assert!(answer.stderr.contains("channel_id"), "{answer}");
    server.take_token(false);
    let answer = sealed.orch(["channel", "test", "discord", "--json"]).code_is(1).json();
    assert_eq!(answer["state"], "refused", "{answer}");
    assert!(answer["error"].as_str().is_some_and(|why| why.contains("token")), "{answer}");
    sealed.finish();
}

#[test]
fn a_webhook_and_a_desktop_are_tried_by_saying_something() {
    let receiver = Receiver::start();
    let sealed = SealedBox::new();
    sealed.program("notify-send", "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$HOME/shown\"\n");
    let added = sealed.orch(["channel", "add", "webhook", "--url", &receiver.url(), "--json"]).ok().json();
    assert_eq!(added["test"]["state"], "sent", "{added}");
    assert!(receiver.taken()[0].header("orch-signature").contains(",v1="));
    receiver.answers(&[Answer::Status(403, None)]);
    let output = sealed.orch(["channel", "test", "webhook"]).code_is(1);
    assert!(output.stdout.contains("it is refused: it answers 403"), "{output}");
    sealed.orch(["channel", "add", "desktop"]).ok();
    assert!(crate::kit::read_file(&sealed.home().join("shown")).contains("test of orch"));
    // The daemon may have the variable that is missing here: that is no error, but reported.
    let add = ["channel", "add", "telegram", "--chat-id", "42", "--allow", "42", "--token-env", "NOT_SET_ANYWHERE"];
    let output = sealed.orch(add).ok();
    assert!(output.stderr.contains("not tried: the variable NOT_SET_ANYWHERE is not set"), "{output}");
    sealed.orch(["channel", "test", "telegram"]).code_is(1);
    sealed.finish();
}
