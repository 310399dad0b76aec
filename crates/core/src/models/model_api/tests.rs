//! The APIs of the providers, by the examples in their references.

use super::*;
use proptest::prelude::*;

fn question<'a>(provider: &'a str, schema: &'a Value) -> Question<'a> {
    Question { provider, model: "m", prompt: "Which agent?", schema }
}

#[test]
fn a_question_has_the_shape_of_each_language() {
    let schema = json!({"type": "object"});
    let body = ModelApi::Messages.body(&question("anthropic", &schema), Shape::Enforced);
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Which agent?"}]));
    assert_eq!(body["tools"][0]["input_schema"], schema);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "answer"}));
    assert_eq!(body["max_tokens"], 8192);
    let body = ModelApi::Responses.body(&question("openai", &schema), Shape::Enforced);
    assert_eq!((&body["input"], &body["store"]), (&json!("Which agent?"), &json!(false)));
    assert_eq!(body["text"]["format"]["schema"], schema);
    let body = ModelApi::Chat.body(&question("local", &schema), Shape::Enforced);
    assert_eq!(body["response_format"]["json_schema"]["schema"], schema);
    assert_eq!((&body["max_tokens"], &body["max_completion_tokens"]), (&json!(8192), &Value::Null));
    let body = ModelApi::Chat.body(&question("openai", &schema), Shape::Described);
    assert_eq!((&body["max_completion_tokens"], &body["response_format"]), (&json!(8192), &Value::Null));
}

#[test]
fn an_answer_is_read_in_each_language() {
    let messages = json!({
        "type": "message", "model": "claude-haiku-4-5-20251001", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "I choose."}, {"type": "tool_use", "name": "answer", "input": {"a": 1}}],
        "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3},
    });
    let reply = read(ModelApi::Messages, &messages).expect("an answer");
    assert_eq!(reply.model.as_deref(), Some("claude-haiku-4-5-20251001"));
    assert_eq!((reply.text.as_deref(), &reply.structured), (Some("I choose."), &Some(json!({"a": 1}))));
    assert_eq!(reply.tokens, Tokens { input: Some(15), output: Some(3), cached: Some(7) });
    assert_eq!(reply.cut, None);

    let responses = json!({
        "model": "gpt-5.2", "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "{\"a\":1}"}]},
        ],
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3},
    });
    let reply = read(ModelApi::Responses, &responses).expect("an answer");
    assert_eq!((reply.structured, reply.cut), (Some(json!({"a": 1})), None));
    assert_eq!(reply.tokens, Tokens { input: Some(6), output: Some(3), cached: Some(4) });

    let chat = json!({
        "model": "local", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "{\"a\":1}"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3},
    });
    let reply = read(ModelApi::Chat, &chat).expect("an answer");
    assert_eq!(reply.structured, Some(json!({"a": 1})));
    assert_eq!(reply.tokens, Tokens { input: Some(10), output: Some(3), cached: None });
}

#[test]
fn an_answer_that_broke_off_says_why() {
    let messages = json!({"content": [{"type": "text", "text": "I ch"}], "stop_reason": "max_tokens"});
    assert_eq!(read(ModelApi::Messages, &messages).and_then(|reply| reply.cut).as_deref(), Some("max_tokens"));
    let responses =
        json!({"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_output_tokens"}});
    assert_eq!(read(ModelApi::Responses, &responses).and_then(|r| r.cut).as_deref(), Some("max_output_tokens"));
    let chat = json!({"choices": [{"finish_reason": "length", "message": {"content": "I ch"}}]});
    assert_eq!(read(ModelApi::Chat, &chat).and_then(|reply| reply.cut).as_deref(), Some("length"));
}

#[test]
fn what_is_no_answer_is_none() {
    for api in [ModelApi::Messages, ModelApi::Responses, ModelApi::Chat] {
        for body in [json!({}), json!([]), json!({"error": {"message": "no"}}), json!({"choices": []}), json!("hello")]
        {
            assert_eq!(read(api, &body), None, "{api:?} {body}");
        }
    }
}

#[test]
fn a_server_that_knows_no_shapes_is_told_from_one_that_refuses_the_question() {
    assert!(refuses_shape(400, "Unsupported parameter: 'response_format' of type 'json_schema'"));
    assert!(!refuses_shape(400, "unknown model"));
    assert!(!refuses_shape(429, "response_format"));
}

proptest! {
    #[test]
    fn no_body_is_too_strange(text in "\\PC{0,200}", key in "(content|output|choices|usage|message)") {
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let nested = json!({&key: [{"message": value, "content": value, "type": value}], "usage": value});
        for api in [ModelApi::Messages, ModelApi::Responses, ModelApi::Chat] {
            read(api, &value);
            read(api, &nested);
        }
    }
}
