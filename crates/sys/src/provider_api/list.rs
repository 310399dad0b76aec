//! Parses the providers' lists of models and error responses. PURE. Every provider names the same facts differently;
//! missing or implausible values count as unknown.

use orch_core::base::money::Usd;
use orch_core::models::availability::Body;
use orch_core::models::catalog::{Capability, Facts, ModelRef, words};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most models that are read of a list.
const MOST: usize = 2_000;
/// The longest model name, in bytes.
const LONGEST: usize = 200;
/// The largest plausible number of tokens.
const MOST_TOKENS: u64 = 1_000_000_000;
/// Words in the names of models that are no chat models.
const NO_TALKERS: [&str; 29] = [
    "aqa",
    "audio",
    "babbage",
    "dall",
    "davinci",
    "embed",
    "embedding",
    "embeddings",
    "guard",
    "image",
    "imagen",
    "lyria",
    "moderation",
    "moderations",
    "ocr",
    "realtime",
    "rerank",
    "reranker",
    "search",
    "sora",
    "speech",
    "transcribe",
    "transcription",
    "translate",
    "tts",
    "veo",
    "voice",
    "whisper",
    "safeguard",
];

/// A parsed list of models.
#[derive(Debug, PartialEq)]
pub(super) struct List {
    /// The number of all models in the list.
    pub count: usize,
    /// The chat models.
    pub models: Vec<(ModelRef, Facts)>,
}

/// Parses a list; `None` when it is malformed. Values that repeat the key are skipped.
pub(super) fn read(provider: &str, body: &[u8], key: Option<&str>) -> Option<List> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let entries =
        body.as_array().or_else(|| body.get("data")?.as_array()).or_else(|| body.get("models")?.as_array())?;
    let named: Vec<(&str, &Value)> = entries.iter().filter_map(|entry| Some((id(entry)?, entry))).collect();
    if named.is_empty() && !entries.is_empty() {
        return None;
    }
    let is_fit = |(id, entry): &&(&str, &Value)| !key.is_some_and(|key| id.contains(key)) && is_chat_model(id, entry);
    let models: BTreeMap<ModelRef, Facts> = named
        .iter()
        .filter(is_fit)
        .take(MOST)
        .map(|(id, entry)| (ModelRef::new(provider, *id), facts(entry, key)))
        .collect();
    Some(List { count: named.len(), models: models.into_iter().collect() })
}

fn id(entry: &Value) -> Option<&str> {
    let id = entry.get("id").or_else(|| entry.get("name"))?.as_str()?;
    let id = id.strip_prefix("models/").unwrap_or(id);
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    (!id.is_empty() && id.len() <= LONGEST && id.chars().all(is_plain)).then_some(id)
}

/// Returns whether a model answers in text, as far as the list or its name tells.
fn is_chat_model(id: &str, entry: &Value) -> bool {
    let has = |list: &Value, word: &str| list.as_array().map(|list| list.iter().any(|item| item == word));
    let said = [
        entry.pointer("/capabilities/completion_chat").and_then(Value::as_bool),
        entry.pointer("/architecture/output_modalities").and_then(|list| has(list, "text")),
        entry.get("supportedGenerationMethods").and_then(|list| has(list, "generateContent")),
        entry.get("active").and_then(Value::as_bool),
    ];
    !said.contains(&Some(false)) && !words(id).iter().any(|word| NO_TALKERS.contains(&word.as_str()))
}

fn facts(entry: &Value, key: Option<&str>) -> Facts {
    let tokens = |names: &[&str]| {
        let known = names.iter().find_map(|name| entry.pointer(name)?.as_u64());
        known.filter(|count| (1..=MOST_TOKENS).contains(count))
    };
    let name = ["display_name", "displayName"].iter().find_map(|name| entry.get(name)?.as_str());
    let is_told = |name: &&str| name.len() <= LONGEST && !key.is_some_and(|key| name.contains(key));
    Facts {
        name: name.filter(is_told).map(|name| name.chars().filter(|c| !c.is_control()).collect()),
        released: entry.get("created_at").and_then(Value::as_str).and_then(day),
        deprecated: entry.get("deprecation").and_then(Value::as_str).map(|_| true),
        tier: None,
        capabilities: capabilities(entry),
        context_window: tokens(&[
            "/context_window",
            "/context_length",
            "/max_context_length",
            "/max_model_len",
            "/max_input_tokens",
            "/inputTokenLimit",
        ]),
        max_output_tokens: tokens(&[
            "/max_output_tokens",
            "/max_completion_tokens",
            "/top_provider/max_completion_tokens",
            "/max_tokens",
            "/outputTokenLimit",
        ]),
        input_price: entry.pointer("/pricing/prompt").and_then(per_million),
        cached_price: entry.pointer("/pricing/input_cache_read").and_then(per_million),
        output_price: entry.pointer("/pricing/completion").and_then(per_million),
        ..Facts::default()
    }
}

/// Converts a timestamp to its day; the beginning of 1970 means unknown.
fn day(text: &str) -> Option<String> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at.as_second() > 0).then(|| at.strftime("%Y-%m-%d").to_string())
}

/// Parses dollars per token; zero and less mean free or unknown.
fn per_million(price: &Value) -> Option<Usd> {
    let dollars = price.as_str()?.parse::<f64>().ok().filter(|price| *price > 0.0)?;
    Usd::from_dollars(dollars * 1e6)
}

fn capabilities(entry: &Value) -> BTreeMap<Capability, bool> {
    let flag = |path: &str| entry.pointer(path).and_then(Value::as_bool);
    let among = |path: &str, word: &str| {
        let list = entry.pointer(path)?.as_array()?;
        Some(list.iter().any(|item| item == word))
    };
    let said = [
        (Capability::Vision, flag("/capabilities/vision")),
        (Capability::Vision, flag("/capabilities/image_input/supported")),
        (Capability::Vision, flag("/supports_image_in")),
        (Capability::Vision, among("/architecture/input_modalities", "image")),
        (Capability::Tools, flag("/capabilities/function_calling")),
        (Capability::Tools, among("/supported_parameters", "tools")),
        (Capability::Reasoning, flag("/capabilities/thinking/supported")),
        (Capability::Reasoning, flag("/supports_reasoning")),
        (Capability::Reasoning, flag("/thinking")),
        (Capability::Reasoning, among("/supported_parameters", "reasoning")),
        (Capability::Pdf, flag("/capabilities/pdf_input/supported")),
        (Capability::Pdf, among("/architecture/input_modalities", "file")),
        (Capability::CodeExecution, flag("/capabilities/code_execution/supported")),
    ];
    said.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

/// Extracts what an error response says beyond its status. Only known words count: a provider may repeat what it was
/// sent.
pub(super) fn refusal(body: &[u8]) -> Body {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Body::Other };
    let body = body.get(0).unwrap_or(&body);
    let error = body.get("error").unwrap_or(body);
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reasons = details.iter().filter_map(|detail| detail.get("reason")?.as_str());
    let codes = ["code", "type", "status"].iter().filter_map(|name| error.get(name)?.as_str());
    let known = |word: &str| match word {
        "API_KEY_INVALID" | "invalid_api_key" | "authentication_error" | "UNAUTHENTICATED" => Some(Body::BadKey),
        "insufficient_quota" | "insufficient_balance" | "exceeded_current_quota_error" | "billing_error" => {
            Some(Body::NoCredit)
        }
        _ => None,
    };
    codes.chain(reasons).find_map(known).unwrap_or(Body::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(body: &str) -> Option<(usize, Vec<String>)> {
        let list = read("p", body.as_bytes(), Some("sk-secret"))?;
        Some((list.count, list.models.into_iter().map(|(id, _)| id.model).collect()))
    }

    fn only(body: &str) -> Facts {
        read("p", body.as_bytes(), None).expect("a list").models.into_iter().next().expect("a model").1
    }

    #[test]
    fn lists_of_all_apis_are_read() {
        let some = |count, ids: &[&str]| Some((count, ids.iter().map(|id| (*id).to_owned()).collect()));
        assert_eq!(ids(r#"{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"a"}]}"#), some(3, &["a", "b"]));
        assert_eq!(ids(r#"{"models":[{"name":"models/gemini-9"}]}"#), some(1, &["gemini-9"]));
        assert_eq!(ids(r#"[{"id":"x/y"}]"#), some(1, &["x/y"]));
        assert_eq!(ids(r#"{"data":[]}"#), some(0, &[]));
        assert_eq!(ids(r#"{"data":[{"id":"two words"},{"id":"ok"},{"id":7},{}]}"#), some(1, &["ok"]));
        for none in [r#"{"data":[{"x":1}]}"#, r#"{"error":"no"}"#, "<html>", "", "null", "7", r#"{"data":{"id":"a"}}"#]
        {
            assert_eq!(ids(none), None, "{none}");
        }
    }

    #[test]
    fn what_one_cannot_talk_with_and_what_repeats_the_key_is_left_out() {
        let body = r#"{"data":[{"id":"gpt-9"},{"id":"text-embedding-3-small"},{"id":"whisper-1"},{"id":"gpt-image-1"},
            {"id":"of-sk-secret"},{"id":"off","active":false},{"id":"e","capabilities":{"completion_chat":false}},
            {"id":"draws","architecture":{"output_modalities":["image"]}},
            {"id":"counts","supportedGenerationMethods":["countTokens"]}]}"#;
        assert_eq!(ids(body), Some((9, vec!["gpt-9".to_owned()])));
    }

    #[test]
    fn the_same_facts_are_found_under_every_name() {
        let anthropic = only(
            r#"{"data":[{"id":"c","display_name":"Claude C","created_at":"2026-02-17T00:00:00Z","max_input_tokens":200000,
            "max_tokens":64000,"capabilities":{"image_input":{"supported":true},"pdf_input":{"supported":false}}}]}"#,
        );
        assert_eq!((anthropic.name.as_deref(), anthropic.released.as_deref()), (Some("Claude C"), Some("2026-02-17")));
        assert_eq!((anthropic.context_window, anthropic.max_output_tokens), (Some(200_000), Some(64_000)));
        assert_eq!(anthropic.capabilities, [(Capability::Vision, true), (Capability::Pdf, false)].into());
        let mistral = only(
            r#"{"data":[{"id":"m","max_context_length":32768,"deprecation":"2026-01-01T00:00:00Z",
            "capabilities":{"completion_chat":true,"function_calling":true,"vision":false}}]}"#,
        );
        assert_eq!((mistral.context_window, mistral.deprecated), (Some(32_768), Some(true)));
        assert_eq!(mistral.capabilities, [(Capability::Vision, false), (Capability::Tools, true)].into());
        let router = only(
            r#"{"data":[{"id":"r","context_length":1000,"pricing":{"prompt":"0.000003","completion":"0"},
            "architecture":{"input_modalities":["text","image"],"output_modalities":["text"]},
            "supported_parameters":["tools","reasoning"]}]}"#,
        );
        assert_eq!((router.input_price, router.output_price), (Some(Usd::from_micros(3_000_000)), None));
        assert_eq!(router.capabilities.len(), 4);
        let google =
            only(r#"{"models":[{"name":"models/g","inputTokenLimit":9,"outputTokenLimit":8,"thinking":true}]}"#);
        assert_eq!((google.context_window, google.max_output_tokens), (Some(9), Some(8)));
        let odd = only(
            r#"{"data":[{"id":"o","context_window":-5,"max_tokens":1e99,"created_at":"1970-01-01T00:00:00Z",
            "pricing":{"prompt":"NaN","completion":"-1"},"display_name":7,"capabilities":"all"}]}"#,
        );
        assert_eq!(odd, Facts::default());
    }

    #[test]
    fn only_known_words_of_a_refusal_count() {
        for (body, said) in [
            (
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                Body::BadKey,
            ),
            (r#"[{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}]"#, Body::BadKey),
            (r#"{"type":"error","error":{"type":"authentication_error"}}"#, Body::BadKey),
            (r#"{"error":{"type":"insufficient_quota","code":"x"}}"#, Body::NoCredit),
            (r#"{"error":{"message":"invalid_api_key"}}"#, Body::Other),
            (r#"{"error":"invalid_api_key"}"#, Body::Other),
            ("<html>", Body::Other),
        ] {
            assert_eq!(refusal(body.as_bytes()), said, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_none(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
            for body in [body.as_slice(), text.as_bytes()] {
                let count = read("p", body, None).map_or(0, |list| list.models.len());
                prop_assert!(count <= body.len());
                refusal(body);
            }
        }
    }
}
