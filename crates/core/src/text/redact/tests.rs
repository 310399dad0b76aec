//! Secrets in every disguise.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn redactor(value: &str) -> Redactor {
    Redactor::new([("MY_TOKEN", value)])
}

#[test]
fn names_decide_which_variables_are_secret() {
    for name in ["ANTHROPIC_API_KEY", "github_token", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["PATH", "HOME", "LANG", "TERM", "HTTPS_PROXY"] {
        assert!(!is_secret_name(name), "{name}");
    }
    let env = BTreeMap::from([
        ("API_KEY".to_owned(), "canary-value-1".to_owned()),
        ("EDITOR".to_owned(), "canary-value-2".to_owned()),
        ("PIN_TOKEN".to_owned(), "1234567".to_owned()),
    ]);
    let masked = Redactor::from_environment(&env);
    assert_eq!(
        masked.text("a canary-value-1 b canary-value-2 c 1234567"),
        "a [REDACTED:API_KEY] b canary-value-2 c 1234567"
    );
    assert!(!format!("{masked:?}").contains("canary"), "{masked:?}");
}

#[test]
fn a_value_is_masked_in_every_form_that_tools_print() {
    let value = "p@ss/w\"rd-ü+1 long";
    let redactor = redactor(value);
    let forms = [
        value.to_owned(),
        value.chars().rev().collect(),
        serde_json::Value::from(value).to_string(),
        "p%40ss%2Fw%22rd-%C3%BC%2B1%20long".to_owned(),
        "cEBzcy93InJkLcO8KzEgbG9uZw==".to_owned(),
        "dXNlcjpwQHNzL3cicmQtw7wrMSBsb25n".to_owned(),
        value.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for form in forms {
        let masked = redactor.text(&form).into_owned();
        assert!(masked.contains("[REDACTED:MY_TOKEN]") && masked.len() < form.len() + 24, "{form} → {masked}");
        assert!(!masked.contains(&form), "{masked}");
    }
}

#[test]
fn a_longer_secret_wins_over_one_that_it_begins_with() {
    let redactor = Redactor::new([("A_KEY", "abcdefgh"), ("B_KEY", "abcdefghijkl")]);
    assert_eq!(redactor.text("abcdefghijkl abcdefgh"), "[REDACTED:B_KEY] [REDACTED:A_KEY]");
}

#[test]
fn what_a_cut_left_of_a_secret_is_masked_too() {
    let redactor = redactor("canary-value-with-a-tail");
    assert_eq!(redactor.text("x canary-value-w"), "x [REDACTED:MY_TOKEN]");
    assert_eq!(redactor.text("x canary-value… [9 more bytes]"), "x [REDACTED:MY_TOKEN]… [9 more bytes]");
    assert_eq!(redactor.text("x canary-value of something else"), "x canary-value of something else");
}

#[test]
fn the_rest_of_a_value_is_masked_where_a_text_begins_with_it() {
    let redactor = redactor("canary-value-with-a-tail");
    assert_eq!(redactor.rest_of_text("lue-with-a-tail x"), "[REDACTED:MY_TOKEN] x");
    assert_eq!(redactor.rest_of_text("  canary-value-with-a-tail x"), "  [REDACTED:MY_TOKEN] x");
    assert_eq!(redactor.rest_of_text("a-tail of it"), "a-tail of it");
}

#[test]
fn a_value_is_masked_where_it_is_wrapped_or_interleaved() {
    let redactor = redactor("canary-value-1/2");
    for text in [
        "canary-v\nalue-1/2",
        "c\nanary-value-1/2",
        "canary-\r\n    value\n\t-1/2",
        "canary-\\nvalue-1/2",
        "can\u{1b}[1mary-\u{200b}val\0ue-1/2",
        "can\\u001b[1;32mary-value\\u200b-1/2",
        "can\\u{1b}[0mary-value-1/2",
    ] {
        let masked = redactor.text(text).into_owned();
        assert_eq!(masked, "[REDACTED:MY_TOKEN]", "{text:?}");
    }
    assert_eq!(redactor.text("canary-v\n\nalue"), "canary-v\n\nalue");
}

#[test]
fn a_value_behind_or_within_what_only_a_terminal_reads_is_masked() {
    let redactor = redactor("canary-value-1/2");
    let mask = "[REDACTED:MY_TOKEN]";
    for (begin, end) in [
        ("[1.2,\"o\",\"\\u001b]0;host\\u0007$ export K=", "\\r\\n\"]"),
        ("b'\\x1b]0;host\\x07$ export K=", "'"),
        ("\\033]0;host\\007$ ", " x"),
        ("\\x1b]0;host\\a$ ", " x"),
        ("\\u001b]8;;https://x/\\u001b\\\\ ", " x"),
        ("\\u001b]never ended ", " x"),
        ("\u{1b}]8;;https://x/?t=", "\u{7}link\u{1b}]8;;\u{7}"),
        ("\u{1b}]never ended ", " x"),
        ("\u{1b}]never ended ", ""),
        ("\\u001b]8;;https://x/?t=", "\\u0007link"),
    ] {
        for value in ["canary-value-1/2", "ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5"] {
            let masked = redactor.text(&format!("{begin}{value}{end}")).replace("github-pat", "MY_TOKEN");
            assert_eq!(masked, format!("{begin}{mask}{end}"));
        }
    }
    let colours = "\\u001b]0;host\\u0007$ K=canary-\\u001b[1mvalue-1/2 x";
    assert_eq!(redactor.text(colours), format!("\\u001b]0;host\\u0007$ K={mask} x"));
    let mut document = serde_json::json!({"output": "\u{1b}]8;;https://x/?t=canary-value-1/2\u{7}link"});
    redactor.json(&mut document);
    assert!(!document.to_string().contains("canary"), "{document}");
}

#[test]
fn what_a_person_names_is_masked_and_overlaps_become_one() {
    let patterns = [("ticket", "ACME-[0-9]{6}"), ("line", "(?m)^secret: .+$")];
    let patterns = patterns.map(|(name, regex)| Pattern::new(name, regex).expect("a pattern"));
    let redactor = redactor("canary-value-1").with_patterns(&patterns);
    assert_eq!(redactor.text("see ACME-123456."), "see [REDACTED:ticket].");
    assert_eq!(redactor.text("AC\u{1b}[1mME-123456"), "[REDACTED:ticket]");
    assert_eq!(redactor.text("x\nsecret: canary-value-1 ACME-123456 y\nz"), "x\n[REDACTED:line]\nz");
    for (name, regex) in [("a b", "x"), ("", "x"), ("x", "("), ("x", "a*"), ("x", r"(?=a)")] {
        assert!(Pattern::new(name, regex).is_err(), "{name} {regex}");
    }
    let text = serde_json::to_string(&patterns[0]).expect("serializable");
    assert_eq!(serde_json::from_str::<Pattern>(&text).expect("reads back"), patterns[0]);
    assert!(serde_json::from_str::<Pattern>(r#"{"name":"x","regex":"("}"#).is_err());
}

#[test]
fn each_line_of_a_value_with_several_lines_is_masked_by_itself() {
    let redactor = redactor("first-line-of-it\nok\nlast-line-of-it\n");
    assert_eq!(redactor.text("x first-line-of-it"), "x [REDACTED:MY_TOKEN]");
    assert_eq!(redactor.text("last-line-of-it ok"), "[REDACTED:MY_TOKEN] ok");
}

#[test]
fn well_known_tokens_are_masked_without_being_configured() {
    let body = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5h";
    let digits = "123456789";
    let tokens = [
        format!("sk-ant-api03-{body}"),
        format!("sk-proj-{body}"),
        format!("sk-{}", "0123456789abcdef0123456789abcdef"),
        format!("ghp_{body}"),
        format!("github_pat_{body}"),
        format!("glpat-{body}"),
        format!("xoxb-12345-{body}"),
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        format!("AIza{body}"),
        format!("npm_{body}"),
        format!("hf_{body}"),
        format!("{digits}:AA{body}"),
        format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{body}"),
        format!("Authorization: Bearer {body}"),
        format!("https://user:{body}@example.org/x"),
        format!("https://hooks.slack.com/services/T000/B000/{body}"),
    ];
    let redactor = Redactor::default();
    for token in tokens {
        for text in [token.clone(), format!("x=\"{token}\", y")] {
            let masked = redactor.text(&text);
            assert!(masked.contains("[REDACTED:") && !masked.contains(body), "{text} → {masked}");
            assert!(!masked.contains("0123456789abcdef") && !masked.contains("IOSFODNN"), "{text} → {masked}");
        }
    }
}

#[test]
fn ordinary_text_stays_as_it_is() {
    let redactor = Redactor::default();
    for text in [
        "",
        "x",
        "the keys they gave me: task-list sk-fading-circle sk-cube-grid-of-nine-cubes",
        "https://example.org/path?x=1@2 ssh://git@github.com/a/b",
        "commit 0123456789abcdef0123456789abcdef01234567 eyJust kidding",
        "at 12:34:56:AAB Bearer of bad news, hf_hub npm_config_registry",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "10:00 – naïve “quotes” 日本語 🙂 ://",
    ] {
        assert!(matches!(redactor.text(text), Cow::Borrowed(_)), "{} → {}", text, redactor.text(text));
    }
}

#[test]
fn a_private_key_is_masked_also_when_it_comes_in_pieces() {
    let redactor = Redactor::default();
    let key = "cat id\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\nafter";
    assert_eq!(redactor.text(key), "cat id\n[REDACTED:private-key]\nafter");
    let escaped = key.replace('\n', "\\n");
    assert_eq!(redactor.text(&escaped), "cat id\\n[REDACTED:private-key]\\nafter");
    let mut carry = Carry::default();
    let pieces: Vec<_> = key.lines().map(|line| redactor.next_text(&mut carry, line).into_owned()).collect();
    let mask = "[REDACTED:private-key]";
    assert_eq!(pieces, ["cat id", mask, mask, mask, mask, "after"]);
    assert_eq!(carry, Carry::default());
    redactor.next_text(&mut carry, "-----BEGIN RSA PRIVATE KEY-----");
    assert_eq!(redactor.next_text(&mut carry, "No key follows, only words."), "No key follows, only words.");
}

#[test]
fn a_private_key_is_masked_also_where_each_line_has_a_prefix() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEowIBAAKCAQEA\n+s8/Kx0secretbody\nAAAABG5vbmU=\n-----END RSA PRIVATE KEY-----";
    let prefixes: [&dyn Fn(usize) -> String; 12] = [
        &|number| format!("{number:6}→"),
        &|number| format!("{number:6}\t"),
        &|number| format!("{number}:"),
        &|number| format!("{number}-"),
        &|number| format!("{number:4} │ "),
        &|number| format!("{number:4}: "),
        &|number| format!("{number:6}→+"),
        &|_| "-".to_owned(),
        &|_| "+".to_owned(),
        &|_| "> ".to_owned(),
        &|_| "| ".to_owned(),
        &|_| "    ".to_owned(),
    ];
    let redactor = Redactor::default();
    for prefix in prefixes {
        let lines: Vec<String> =
            key.lines().enumerate().map(|(index, line)| format!("{}{line}", prefix(index + 9))).collect();
        let mask = "[REDACTED:private-key]";
        let expected = format!("{}{mask}\n-    let old = 1;\n+    let new = 2;", prefix(9));
        let text = format!("{}\n-    let old = 1;\n+    let new = 2;", lines.join("\n"));
        assert_eq!(redactor.text(&text), expected);
        let mut carry = Carry::default();
        for line in &lines {
            assert!(redactor.next_text(&mut carry, line).ends_with(mask), "{line}");
        }
        assert_eq!(redactor.next_text(&mut carry, "+one"), "+one");
        // A key that ends in the middle is followed by a diff.
        let open = format!("{}\n@@ -1,3 +1,3 @@\n-old\n+new", lines[..4].join("\n"));
        assert!(redactor.text(&open).ends_with("\n@@ -1,3 +1,3 @@\n-old\n+new"), "{open}");
    }
}

#[test]
fn json_is_masked_in_texts_and_keys() {
    let mut value = serde_json::json!({"a": ["x canary-value y", 1, null], "canary-value": true});
    redactor("canary-value").json(&mut value);
    assert_eq!(value, serde_json::json!({"a": ["x [REDACTED:MY_TOKEN] y", 1, null], "[REDACTED:MY_TOKEN]": true}));
}

/// With quadratic work most of these would take many minutes.
#[test]
fn a_long_line_is_read_in_time_whatever_is_repeated_in_it() {
    let redactor = Redactor::default();
    for unit in
        ["eyJhIjox", "-u x ", "-u curl", "password: \"a\", ", "secret_key=", "api_key=", ".eyJ", "://a@", "ghp_", "sk-"]
    {
        let line = unit.repeat((512 << 10) / unit.len());
        assert!(redactor.text(&line).len() <= line.len(), "{unit}");
    }
}

#[test]
fn what_is_looked_for_near_a_word_only_is_still_found() {
    let redactor = Redactor::default();
    let filler = "x".repeat(900);
    let curl = format!("curl {filler} -u me:pa55word https://example.org");
    assert_eq!(redactor.text(&curl), curl.replace("pa55word", "[REDACTED:curl-auth-user]"));
    let long = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1d".repeat(200);
    for token in [format!("sk-proj-{long}"), format!("hooks.slack.com/services/T{long}"), format!("dropbox=sl.{long}")]
    {
        let masked = redactor.text(&token).into_owned();
        assert!(masked.ends_with(']') && masked.len() < 60, "{masked}");
    }
    let header = format!("eyJ{}", "hbGciOiJSU0Et".repeat(80));
    let jwe = format!("x {header}.aB3dE5gH7jK9mN1pQ3sT.48V1_ALb6US04U3b.rest y");
    assert!(redactor.text(&jwe).starts_with("x [REDACTED:jwt]"), "{}", redactor.text(&jwe));
}

#[test]
fn of_very_many_values_none_is_forgotten() {
    let value = |number: u64| format!("{:016x}-value", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let redactor = Redactor::new((0..6000).map(|number| (format!("KEY_{number}"), value(number))));
    for number in 0..6000 {
        assert_eq!(redactor.text(&value(number)), format!("[REDACTED:KEY_{number}]"));
    }
}

proptest! {
    #[test]
    fn a_known_value_never_gets_through(value in "[ -~äß🙂]{8,40}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
        let value = value.trim();
        prop_assume!(value.len() >= SHORTEST && !"[REDACTED:MY_TOKEN]".contains(value));
        let masked = redactor(value).text(&format!("{before}{value}{after}")).into_owned();
        prop_assert!(masked.contains("[REDACTED:"), "{}", masked);
        prop_assert!(!before.is_empty() || !after.is_empty() || !masked.contains(value), "{}", masked);
    }

    #[test]
    fn any_text_is_masked_without_a_panic_and_twice_changes_nothing(text in "(\\PC|\n|-----BEGIN A PRIVATE KEY-----|://a:b@|sk-ant-){0,60}") {
        let redactor = redactor("some-secret-value");
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once).into_owned(), once.clone());
    }
}
