//! Reads a request of any of the three protocols into one shape, [`Asked`]. Pure: JSON in, data out.

use serde_json::Value;
use std::collections::BTreeMap;

/// The protocol that a request was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// OpenAI Responses, `POST /v1/responses`.
    Responses,
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    Chat,
}

/// The result of a tool call, as the model gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The name of the tool, if the conversation still contains the call.
    pub tool: Option<String>,
    /// The output; for Claude Code also messages to the agent while it worked.
    pub text: String,
    /// Whether the CLI marked it as an error (Messages only).
    pub failed: bool,
}

/// One request to the model.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The protocol.
    pub protocol: Protocol,
    /// The model's name.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The names of the offered tools.
    pub tools: Vec<String>,
    /// The user's messages, oldest first, without those that the CLI adds in the user's name.
    pub turns: Vec<String>,
    /// Tool results after the newest user message.
    pub results: Vec<ToolResult>,
    /// The whole body.
    pub body: Value,
}

/// The names of the CLIs' shell tools, with the key of the command line in their input.
const SHELLS: [(&str, &str); 3] = [("Bash", "command"), ("bash", "command"), ("exec_command", "cmd")];

/// The beginnings of texts that a CLI, not the user, puts into a user message.
const INSERTED: [&str; 8] = [
    "<system-reminder>",
    "[structured-output-enforce]",
    "<environment_context>",
    "<user_instructions>",
    "<permissions",
    "<turn_aborted>",
    "<skills_instructions>",
    "# AGENTS.md instructions",
];

impl Asked {
    /// Reads `body`; a body without messages gives a request without turns.
    pub fn read(protocol: Protocol, body: Value) -> Self {
        let mut conversation = Conversation::default();
        match protocol {
            Protocol::Messages => items(&body["messages"]).for_each(|m| conversation.message(m)),
            Protocol::Chat => items(&body["messages"]).for_each(|m| conversation.chat_message(m)),
            Protocol::Responses => match body["input"].as_str() {
                Some(text) => conversation.user(vec![text]),
                None => items(&body["input"]).for_each(|item| conversation.item(item)),
            },
        }
        Self {
            protocol,
            model: text_of(&body["model"]).to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tools: items(&body["tools"]).map(|tool| tool_name(tool).to_owned()).collect(),
            turns: conversation.turns,
            results: conversation.results,
            body,
        }
    }

    /// Returns the user's last message.
    pub fn newest(&self) -> &str {
        self.turns.last().map_or("", String::as_str)
    }

    /// Returns the name of the offered shell tool, and the key of the command line in its input.
    pub fn shell(&self) -> Option<(&'static str, &'static str)> {
        SHELLS.into_iter().find(|(name, _)| self.tools.iter().any(|tool| tool == name))
    }

    /// Returns whether `tool` is offered.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|offered| offered == tool)
    }
}

/// The state of reading a conversation from its oldest message to its newest.
#[derive(Default)]
struct Conversation {
    turns: Vec<String>,
    results: Vec<ToolResult>,
    calls: BTreeMap<String, String>,
}

impl Conversation {
    fn user(&mut self, texts: Vec<&str>) {
        let said: Vec<&str> = texts.into_iter().filter(|text| !is_inserted(text)).collect();
        if !said.is_empty() {
            self.turns.push(said.join("\n"));
            self.results.clear();
        }
    }

    fn call(&mut self, id: &Value, name: &Value) {
        self.calls.insert(text_of(id).to_owned(), text_of(name).to_owned());
    }

    fn result(&mut self, id: &Value, output: &Value, failed: bool) {
        let tool = self.calls.get(text_of(id)).cloned();
        self.results.push(ToolResult { tool, text: texts(output).join("\n"), failed });
    }

    /// Reads a message of Anthropic Messages.
    fn message(&mut self, message: &Value) {
        let content = &message["content"];
        if message["role"] == "assistant" {
            items(content).filter(|b| b["type"] == "tool_use").for_each(|b| self.call(&b["id"], &b["name"]));
            return;
        }
        let results: Vec<&Value> = items(content).filter(|b| b["type"] == "tool_result").collect();
        if results.is_empty() && message["role"] == "user" {
            return self.user(texts(content));
        }
        for block in &results {
            self.result(&block["tool_use_id"], &block["content"], block["is_error"] == true);
        }
        if let Some(last) = self.results.last_mut() {
            texts(content).into_iter().for_each(|beside| {
                last.text.push('\n');
                last.text.push_str(beside);
            });
        }
    }

    /// Reads a message of Chat Completions.
    fn chat_message(&mut self, message: &Value) {
        match text_of(&message["role"]) {
            "user" => self.user(texts(&message["content"])),
            "assistant" => {
                items(&message["tool_calls"]).for_each(|call| self.call(&call["id"], &call["function"]["name"]))
            }
            "tool" => self.result(&message["tool_call_id"], &message["content"], false),
            _ => {}
        }
    }

    /// Reads an input item of Responses.
    fn item(&mut self, item: &Value) {
        match text_of(&item["type"]) {
            "function_call" | "custom_tool_call" => self.call(&item["call_id"], &item["name"]),
            "function_call_output" | "custom_tool_call_output" => {
                self.result(&item["call_id"], &item["output"], false);
            }
            "message" | "" if item["role"] == "user" => self.user(texts(&item["content"])),
            _ => {}
        }
    }
}

fn is_inserted(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || INSERTED.iter().any(|opening| text.starts_with(opening))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns the texts of a content, which is a string or a list of blocks.
fn texts(content: &Value) -> Vec<&str> {
    match content.as_str() {
        Some(text) => vec![text],
        None => items(content).filter_map(|block| block["text"].as_str()).collect(),
    }
}

fn tool_name(tool: &Value) -> &str {
    [&tool["name"], &tool["function"]["name"], &tool["type"]].into_iter().find_map(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_three_protocols_tell_the_same_story() {
        let messages = json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "first"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "ok"}]},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "out"}]}]});
        let responses = json!({"model": "m", "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>x</environment_context>"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "first"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "second"}]},
            {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "out"}]});
        let chat = json!({"model": "m", "messages": [
            {"role": "system", "content": "rules"}, {"role": "user", "content": "first"},
            {"role": "user", "content": [{"type": "text", "text": "second"}]},
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "Bash", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "out"}]});
        let result = ToolResult { tool: Some("Bash".into()), text: "out".into(), failed: false };
        for (protocol, body) in
            [(Protocol::Messages, messages), (Protocol::Responses, responses), (Protocol::Chat, chat)]
        {
            let asked = Asked::read(protocol, body);
            assert_eq!(asked.turns, ["first", "second"], "{protocol:?}");
            assert_eq!(asked.results, std::slice::from_ref(&result), "{protocol:?}");
        }
    }

    #[test]
    fn what_is_said_to_a_working_agent_is_found_in_the_tool_result() {
        let asked = Asked::read(
            Protocol::Messages,
            json!({"messages": [{"role": "user", "content": "go"}, {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "out"}], "is_error": true},
                {"type": "text", "text": "stop that"}]}]}),
        );
        assert_eq!(asked.newest(), "go");
        assert_eq!(asked.results, [ToolResult { tool: None, text: "out\nstop that".into(), failed: true }]);
    }
}
