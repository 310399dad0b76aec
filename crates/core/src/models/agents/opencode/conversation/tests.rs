//! Tests of the conversation with the recorded events of a real server, and of rare cases.

use super::*;
use crate::models::agents::EventReader;
use crate::models::agents::opencode::live::Live;
use crate::tasks::outcome::{AgentEvent, Exit, FailureClass};

const RECORDED: &str = include_str!("../../../../../../../tests/fixtures/agents/opencode/serve-events.jsonl");
const SESSION: &str = "ses_e081c5d04ffexddqVKoRnnuPCO";

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_795_160_253_000).expect("a time")
}

fn opening(session: Option<&str>) -> BridgeMessage {
    let model = json!({ "providerID": "fake", "modelID": "fake-model" });
    let opening = json!({ "session": session, "title": "task", "model": model });
    BridgeMessage::Open { opening: serde_json::from_value(opening).expect("an opening"), prompt: "do it".to_owned() }
}

fn say(message: u64) -> BridgeMessage {
    BridgeMessage::Say { message: MessageId(message), text: format!("message {message}") }
}

fn asks(steps: &[Step]) -> Vec<&Ask> {
    steps.iter().filter_map(|step| if let Step::Ask(ask) = step { Some(ask) } else { None }).collect()
}

/// Returns the types of the printed lines, with the message that they name.
fn kinds(steps: &[Step]) -> Vec<String> {
    let lines = steps.iter().filter_map(|step| if let Step::Print(line) = step { Some(line) } else { None });
    let kind = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let kind = line["type"].as_str().expect("a type").to_owned();
        line["message"].as_u64().map_or(kind.clone(), |message| format!("{kind} {message}"))
    };
    lines.map(kind).collect()
}

/// Returns a conversation whose session is created and whose prompt is posted.
fn opened() -> Conversation {
    let mut conversation = Conversation::new("/w");
    conversation.handle_message(opening(None), now());
    conversation.handle_answer(Purpose::Session, Some((200, json!({ "id": SESSION, "directory": "/w" }))), now());
    let steps = conversation.take_steps();
    let asked = asks(&steps);
    assert_eq!(
        (asked[0].path.as_str(), &asked[0].body.as_ref().unwrap()["permission"][0]["action"]),
        ("/session", &json!("deny"))
    );
    assert_eq!(asked[1].body.as_ref().unwrap()["parts"][0]["metadata"], json!({ "orch": "prompt" }));
    assert_eq!(asked[1].body.as_ref().unwrap()["model"]["modelID"], "fake-model");
    conversation
}

/// Lets the server store a message of orch's under the id `msg_<mark>`.
fn store(conversation: &mut Conversation, mark: &Value) {
    let message = format!("msg_{}", mark.as_str().map_or_else(|| mark.to_string(), str::to_owned));
    let part = json!({
        "type": "text", "id": format!("prt_of_{message}"), "messageID": message, "sessionID": SESSION,
        "metadata": { "orch": mark },
    });
    let properties = json!({ "sessionID": SESSION, "part": part });
    conversation.handle_event(&json!({ "type": "message.part.updated", "properties": properties }), now());
}

fn answer_begins(conversation: &mut Conversation, parent: &str) {
    let info = json!({ "role": "assistant", "parentID": parent, "sessionID": SESSION });
    let properties = json!({ "sessionID": SESSION, "info": info });
    conversation.handle_event(&json!({ "type": "message.updated", "properties": properties }), now());
}

fn status(conversation: &mut Conversation, kind: &str) {
    let properties = json!({ "sessionID": SESSION, "status": { "type": kind } });
    conversation.handle_event(&json!({ "type": "session.status", "properties": properties }), now());
}

/// Returns a conversation whose prompt is being answered.
fn working() -> Conversation {
    let mut conversation = opened();
    store(&mut conversation, &json!("prompt"));
    status(&mut conversation, "busy");
    answer_begins(&mut conversation, "msg_prompt");
    assert_eq!(kinds(&conversation.take_steps()), [OPENED]);
    conversation
}

/// Answers the posts of a turn that is over.
fn answer_all(conversation: &mut Conversation) {
    if conversation.work == Work::Idle {
        let all = 0..conversation.messages.len();
        all.for_each(|index| conversation.handle_answer(Purpose::Post(index), Some((200, json!({}))), now()));
    }
}

fn part(conversation: &mut Conversation, mut part: Value) {
    part["sessionID"] = json!(SESSION);
    let properties = json!({ "sessionID": SESSION, "part": part });
    conversation.handle_event(&json!({ "type": "message.part.updated", "properties": properties }), now());
}

fn call(id: &str, compacted: Option<u64>) -> Value {
    let time = compacted.map_or_else(|| json!({ "end": 1 }), |at| json!({ "end": 1, "compacted": at }));
    let state = json!({ "status": "completed", "output": "old", "time": time });
    json!({ "type": "tool", "id": id, "callID": format!("call_of_{id}"), "tool": "bash", "state": state })
}

fn error(conversation: &mut Conversation, message: &str) {
    let error = json!({ "name": "UnknownError", "data": { "message": message } });
    let properties = json!({ "sessionID": SESSION, "error": error });
    conversation.handle_event(&json!({ "type": "session.error", "properties": properties }), now());
}

/// Returns a conversation whose first turn is over.
fn idle() -> (Conversation, Vec<Step>) {
    let mut conversation = working();
    part(&mut conversation, json!({ "type": "step-start", "id": "prt_1" }));
    part(&mut conversation, call("prt_2", None));
    part(&mut conversation, json!({ "type": "step-finish", "id": "prt_3", "reason": "stop" }));
    status(&mut conversation, "idle");
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    let steps = conversation.take_steps();
    assert_eq!(kinds(&steps), ["step_start", "tool_use", "step_finish", IDLE]);
    (conversation, steps)
}

/// Reads the printed lines as the runner does. Returns the reader and the number of events.
fn read(steps: &[Step]) -> (Live, usize) {
    let mut live = Live::new(&Value::Null);
    let lines = steps.iter().filter_map(|step| if let Step::Print(line) = step { Some(line) } else { None });
    let events = lines.map(|line| live.line(line).len()).sum();
    (live, events)
}

/// Replays the recording as if orch had sent its messages. Returns the steps.
fn replayed() -> Vec<Step> {
    let mut conversation = opened();
    let (mut steps, mut sent) = (Vec::new(), 0_u64);
    for event in RECORDED.lines() {
        let mut event: Value = serde_json::from_str(event).expect("JSON");
        if str_at(&event, "/properties/part/text").is_some_and(|text| text.starts_with("Please do")) {
            let mark = if sent == 0 { json!("prompt") } else { json!(sent) };
            if sent > 0 {
                answer_all(&mut conversation);
                conversation.handle_message(say(sent), now());
            }
            sent += 1;
            event["properties"]["part"]["metadata"] = json!({ MARK: mark });
        }
        conversation.handle_event(&event, now());
        steps.extend(conversation.take_steps());
    }
    answer_all(&mut conversation);
    steps.extend(conversation.take_steps());
    steps
}

#[test]
fn a_recorded_conversation_becomes_the_lines_that_the_reader_knows() {
    let steps = replayed();
    let mut expected = vec!["orch.begun", "step_start", "tool_use", "step_finish"];
    expected.extend(["orch.heard 1", "step_start", "text", "step_finish", "orch.rest"]);
    // Aborted while it waited to ask again, and while a command ran, which ends after the turn.
    expected.extend(["orch.heard 2", "orch.retry", "orch.rest"]);
    expected.extend(["orch.heard 3", "step_start", "text", "error", "tool_use", "orch.rest"]);
    assert_eq!(kinds(&steps), expected);
    assert_eq!(asks(&steps).len(), 3, "each message is posted once");

    let mut reader = Live::new(&Value::Null);
    let mut heard = Vec::new();
    for step in &steps {
        let Step::Print(line) = step else { continue };
        heard.extend(reader.line(line).into_iter().filter(|event| matches!(event, AgentEvent::Heard { .. })));
    }
    assert_eq!(heard, [1, 2, 3].map(|message| AgentEvent::Heard { message: MessageId(message) }));
    assert!(reader.turn_ended());
    let ending = reader.finish(Exit { code: Some(1), signal: None }, "");
    assert_eq!(ending.session_id.as_deref(), Some(SESSION));
    assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::Killed), "its last turn was aborted");
    assert!(ending.usage.input.is_some_and(|tokens| tokens >= 200) && ending.cost.is_some());
}

#[test]
fn a_message_is_read_when_an_answer_to_it_or_to_a_later_one_begins() {
    let mut conversation = working();
    conversation.handle_message(say(4), now());
    conversation.handle_message(say(5), now());
    let steps = conversation.take_steps();
    assert_eq!(asks(&steps).len(), 1, "one after the other, so that their order stays");
    store(&mut conversation, &json!(4));
    store(&mut conversation, &json!(5));
    answer_begins(&mut conversation, "msg_prompt");
    assert_eq!(kinds(&conversation.take_steps()), [] as [String; 0], "that is the answer to the prompt still");
    answer_begins(&mut conversation, "msg_5");
    answer_begins(&mut conversation, "msg_5");
    assert_eq!(kinds(&conversation.take_steps()), ["orch.heard 4", "orch.heard 5"]);
}

#[test]
fn a_message_that_came_as_the_turn_ended_is_posted_again_as_the_same_one() {
    let mut conversation = working();
    conversation.handle_message(say(4), now());
    conversation.take_steps();
    store(&mut conversation, &json!(4));
    status(&mut conversation, "idle");
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    assert!(!conversation.is_idle());
    conversation.handle_answer(Purpose::Post(1), Some((200, json!({}))), now());
    let steps = conversation.take_steps();
    let body = asks(&steps)[0].body.clone().expect("a body");
    assert_eq!((&body["messageID"], &body["parts"][0]["id"]), (&json!("msg_4"), &json!("prt_of_msg_4")));
    assert!(!conversation.is_idle(), "{steps:?}");
    status(&mut conversation, "busy");
    answer_begins(&mut conversation, "msg_4");
    status(&mut conversation, "idle");
    conversation.handle_answer(Purpose::Post(1), Some((200, json!({}))), now());
    assert_eq!(kinds(&conversation.take_steps()), ["orch.heard 4", "orch.rest"]);
}

#[test]
fn a_message_that_the_server_does_not_process_is_given_up_and_blocks_nothing() {
    let mut conversation = working();
    conversation.handle_message(say(4), now());
    store(&mut conversation, &json!(4));
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    let mut posts = 0;
    while !conversation.is_idle() {
        posts += asks(&conversation.take_steps()).len();
        assert!(posts <= 3);
        status(&mut conversation, "busy");
        status(&mut conversation, "idle");
        conversation.handle_answer(Purpose::Post(1), Some((200, json!({}))), now());
    }
    assert_eq!(
        (posts, kinds(&conversation.take_steps())),
        (3, vec!["orch.unsaid 4".to_owned(), "orch.rest".to_owned()])
    );
    assert!(!conversation.failed());
}

#[test]
fn a_refusal_is_reported_once_and_ends_the_turn() {
    let error = json!({ "name": "UnknownError", "data": { "message": "Unexpected server error." } });
    let refuse = |conversation: &mut Conversation| {
        conversation.handle_answer(Purpose::Post(0), Some((500, error.clone())), now());
    };
    // The answer alone.
    let mut conversation = opened();
    refuse(&mut conversation);
    assert_eq!(kinds(&conversation.take_steps()), ["error", "orch.rest"]);
    assert!(conversation.is_idle() && conversation.failed());
    // The server reports it as an event too, which has more details.
    let mut conversation = opened();
    store(&mut conversation, &json!("prompt"));
    status(&mut conversation, "busy");
    let details = json!({ "name": "UnknownError", "data": { "message": "Model not found: fake/nope." } });
    let properties = json!({ "sessionID": SESSION, "error": details });
    conversation.handle_event(&json!({ "type": "session.error", "properties": properties }), now());
    status(&mut conversation, "idle");
    refuse(&mut conversation);
    assert_eq!(kinds(&conversation.take_steps()), [OPENED, "error", IDLE]);
}

#[test]
fn an_interrupt_aborts_the_running_turn_and_a_later_one_and_posts_nothing_more() {
    let mut conversation = working();
    conversation.handle_message(say(4), now());
    conversation.take_steps();
    store(&mut conversation, &json!(4));
    conversation.handle_message(BridgeMessage::Interrupt, now());
    conversation.handle_message(say(5), now());
    status(&mut conversation, "busy");
    let steps = conversation.take_steps();
    let paths: Vec<&str> = asks(&steps).iter().map(|ask| ask.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["abort", "abort"]);
    status(&mut conversation, "idle");
    assert!(!conversation.is_idle(), "its commands end first");
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    conversation.handle_answer(Purpose::Post(1), Some((200, json!({}))), now());
    assert_eq!(kinds(&conversation.take_steps()), [IDLE]);
}

#[test]
fn a_resumed_conversation_deletes_unread_messages_before_it_posts_anything() {
    let mut conversation = Conversation::new("/w");
    conversation.handle_message(opening(Some("ses_1")), now());
    conversation.handle_answer(Purpose::Session, Some((200, json!({ "id": "ses_1", "directory": "/w" }))), now());
    let user = |id: &str, mark: Value| json!({ "info": { "id": id, "role": "user" }, "parts": [{ "metadata": { MARK: mark } }] });
    let assistant = json!({ "info": { "id": "msg_b", "role": "assistant" }, "parts": [] });
    let history = json!([user("msg_a", json!(1)), assistant, user("msg_c", json!("prompt")), user("msg_d", json!(2))]);
    conversation.take_steps();
    conversation.handle_answer(Purpose::History, Some((200, history)), now());
    let steps = conversation.take_steps();
    let asked: Vec<(&str, &str)> = asks(&steps).iter().map(|ask| (ask.method, ask.path.as_str())).collect();
    assert_eq!(asked, [("DELETE", "/session/ses_1/message/msg_d")]);
    conversation.handle_answer(Purpose::Delete, None, now());
    let steps = conversation.take_steps();
    assert_eq!(asks(&steps)[0].purpose, Purpose::Post(0));
}

#[test]
fn a_conversation_that_is_unknown_or_of_another_place_is_lost() {
    for answer in
        [(404, json!({ "name": "NotFoundError" })), (200, json!({ "id": "ses_1", "directory": "/elsewhere" }))]
    {
        let mut conversation = Conversation::new("/w");
        conversation.handle_message(opening(Some("ses_1")), now());
        conversation.take_steps();
        conversation.handle_answer(Purpose::Session, Some(answer), now());
        let steps = conversation.take_steps();
        let [Step::Exit(why)] = steps.as_slice() else { panic!("{steps:?}") };
        let ending = Live::new(&Value::Null).finish(Exit { code: Some(1), signal: None }, why);
        assert_eq!(ending.failure.map(|failure| failure.class), Some(FailureClass::SessionLost), "{why}");
    }
}

#[test]
fn permissions_and_questions_are_rejected_and_events_of_subagents_are_ignored() {
    let mut conversation = working();
    let asked = |kind: &str| json!({ "type": kind, "properties": { "id": "x_1", "sessionID": "ses_of_a_subagent" } });
    conversation.handle_event(&asked("permission.asked"), now());
    conversation.handle_event(&asked("question.asked"), now());
    let steps = conversation.take_steps();
    let paths: Vec<&str> = asks(&steps).iter().map(|ask| ask.path.as_str()).collect();
    assert_eq!(paths, ["/permission/x_1/reply", "/question/x_1/reject"]);
    assert_eq!(asks(&steps)[0].body, Some(json!({ "reply": "reject" })));
    let part = json!({ "type": "step-start", "sessionID": "ses_of_a_subagent" });
    let properties = json!({ "sessionID": "ses_of_a_subagent", "part": part });
    conversation.handle_event(&json!({ "type": "message.part.updated", "properties": properties }), now());
    assert_eq!(conversation.take_steps(), []);
}

#[test]
fn a_part_that_is_updated_after_the_end_is_not_printed_again_and_stalls_nothing() {
    let (mut conversation, mut steps) = idle();
    part(&mut conversation, call("prt_2", None));
    part(&mut conversation, call("prt_2", Some(2)));
    part(&mut conversation, call("prt_of_an_earlier_run", Some(2)));
    assert_eq!(conversation.take_steps(), []);
    // A new one is printed, followed by another report that the turn is over.
    part(&mut conversation, call("prt_4", None));
    steps.extend(conversation.take_steps());
    assert_eq!(kinds(&steps[4..]), ["tool_use", IDLE]);
    let (mut live, _) = read(&steps);
    assert!(conversation.is_idle() && live.turn_ended());
    assert_eq!(live.finish(Exit { code: Some(0), signal: None }, "").failure, None);
}

#[test]
fn an_error_after_the_end_is_printed_and_neither_stalls_nor_fails_what_is_finished() {
    let (mut conversation, mut steps) = idle();
    let (_, before) = read(&steps);
    error(&mut conversation, "the cache cannot be written");
    steps.extend(conversation.take_steps());
    assert_eq!(kinds(&steps[4..]), [ERROR, IDLE]);
    let (mut live, events) = read(&steps);
    assert_eq!(events, before + 1);
    assert!(conversation.is_idle() && live.turn_ended() && !conversation.failed());
    assert_eq!(live.finish(Exit { code: Some(0), signal: None }, "").failure, None);
}

#[test]
fn an_error_that_comes_after_a_turn_that_never_ended_well_is_its_failure() {
    let mut conversation = working();
    status(&mut conversation, "idle");
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    error(&mut conversation, "Model not found: fake/nope.");
    let (mut live, _) = read(&conversation.take_steps());
    assert!(live.turn_ended());
    let failure = live.finish(Exit { code: Some(0), signal: None }, "").failure;
    assert_eq!(failure.map(|failure| failure.class), Some(FailureClass::ModelNotFound));
}

#[test]
fn a_message_after_an_interrupt_is_followed_by_the_report_that_the_turn_is_over() {
    let (mut conversation, _) = idle();
    conversation.handle_message(BridgeMessage::Interrupt, now());
    conversation.take_steps();
    conversation.handle_message(say(4), now());
    assert_eq!(kinds(&conversation.take_steps()), [IDLE]);
    assert!(conversation.is_idle());
}

#[test]
fn a_message_behind_one_that_is_given_up_is_still_posted() {
    let mut conversation = working();
    for message in [4, 5] {
        conversation.handle_message(say(message), now());
        store(&mut conversation, &json!(message));
    }
    status(&mut conversation, "idle");
    (0..3).for_each(|index| conversation.handle_answer(Purpose::Post(index), Some((200, json!({}))), now()));
    for _ in 0..2 {
        status(&mut conversation, "idle");
        conversation.handle_answer(Purpose::Post(1), Some((200, json!({}))), now());
    }
    let steps = conversation.take_steps();
    assert_eq!(kinds(&steps)[0], "orch.unsaid 4");
    assert_eq!(asks(&steps).last().map(|ask| ask.purpose), Some(Purpose::Post(2)));
    assert!(!conversation.is_idle());
}

#[test]
fn a_message_that_the_server_refuses_does_not_fail_the_turn_that_ends_well() {
    let body = json!({ "name": "BadRequest", "data": { "message": "agent not found" } });
    // While the turn runs.
    let mut conversation = working();
    conversation.handle_message(say(4), now());
    conversation.take_steps();
    conversation.handle_answer(Purpose::Post(1), Some((400, body.clone())), now());
    part(&mut conversation, json!({ "type": "step-finish", "id": "prt_3", "reason": "stop" }));
    status(&mut conversation, "idle");
    conversation.handle_answer(Purpose::Post(0), Some((200, json!({}))), now());
    let steps = conversation.take_steps();
    assert_eq!(kinds(&steps), ["orch.unsaid 4", "step_finish", IDLE]);
    assert!(conversation.is_idle() && !conversation.failed());
    assert_eq!(read(&steps).0.finish(Exit { code: Some(0), signal: None }, "").failure, None);
    // After the turn, and reported as an event too.
    let (mut conversation, mut steps) = idle();
    conversation.handle_message(say(4), now());
    error(&mut conversation, "agent not found");
    conversation.handle_answer(Purpose::Post(1), Some((500, body)), now());
    steps.extend(conversation.take_steps());
    assert_eq!(kinds(&steps)[4..], [ERROR, "orch.unsaid 4", IDLE]);
    assert!(conversation.is_idle() && !conversation.failed());
    assert_eq!(read(&steps).0.finish(Exit { code: Some(0), signal: None }, "").failure, None);
}

#[test]
fn an_error_for_a_message_that_was_read_fails_its_turn() {
    let (mut conversation, _) = idle();
    conversation.handle_message(say(4), now());
    store(&mut conversation, &json!(4));
    status(&mut conversation, "busy");
    answer_begins(&mut conversation, "msg_4");
    status(&mut conversation, "idle");
    let body = json!({ "name": "UnknownError", "data": { "message": "Unexpected server error." } });
    conversation.handle_answer(Purpose::Post(1), Some((500, body)), now());
    assert_eq!(kinds(&conversation.take_steps()), ["orch.heard 4", "error", IDLE]);
    assert!(conversation.failed());
}
