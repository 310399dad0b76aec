//! The forms in which a value may appear in output: plain, and as common tools encode it.

use std::fmt::Write;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Returns every form of `value` to search for. The caller drops short ones.
pub(super) fn forms(value: &str) -> Vec<String> {
    let json = in_json(value);
    let mut forms = vec![value.to_owned(), value.chars().rev().collect(), in_json(&json), in_ascii_json(value)];
    forms.push(json.replace('/', "\\/"));
    forms.push(json);
    // Strict and lenient percent encoders with digits of either case, and HTML forms.
    for plain in ["-._~", "-_.!~*'()", "-._~/"] {
        let percent = percent(value, plain);
        forms.push(percent.replace("%20", "+"));
        forms.push(lower_escapes(&percent));
        forms.push(percent);
    }
    forms.push(value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
    for upper in [false, true] {
        forms.push(hex(value, upper));
    }
    for shift in 0..3 {
        forms.push(base64_inside(value.as_bytes(), shift, STANDARD));
        forms.push(base64_inside(value.as_bytes(), shift, URL_SAFE));
    }
    forms
}

fn in_json(value: &str) -> String {
    serde_json::Value::from(value).to_string().trim_matches('"').to_owned()
}

/// Encodes as ASCII-only JSON.
fn in_ascii_json(value: &str) -> String {
    in_json(value).chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    })
}

/// Converts `%2F` to `%2f`.
fn lower_escapes(percent: &str) -> String {
    let mut parts = percent.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        let _ = write!(text, "%{}{rest}", digits.to_ascii_lowercase());
    }
    text
}

/// Percent-encodes everything but letters, digits and `plain`.
fn percent(value: &str, plain: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn hex(value: &str, upper: bool) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
        text
    })
}

/// Returns the part of a base64 text that depends on `value` alone when it follows `shift` bytes (modulo 3).
fn base64_inside(value: &[u8], shift: usize, alphabet: &[u8; 64]) -> String {
    let mut bits = vec![0_u8; shift];
    bits.extend_from_slice(value);
    let whole = bits.len() * 8 / 6;
    let first = (shift * 8).div_ceil(6);
    let digit = |index: usize| {
        let bit = index * 6;
        let high = u16::from(bits[bit / 8]) << 8;
        let low = u16::from(bits.get(bit / 8 + 1).copied().unwrap_or(0));
        char::from(alphabet[usize::from((high | low) >> (10 - bit % 8)) & 63])
    };
    (first..whole).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_the_value_stands_in_the_encoded_text() {
        // "user:" + value, "a" + value and value itself, as printed by `base64`.
        let value = b"hunter2-hunter2";
        assert!("aHVudGVyMi1odW50ZXIy".contains(&base64_inside(value, 0, STANDARD)));
        assert!("YWh1bnRlcjItaHVudGVyMg==".contains(&base64_inside(value, 1, STANDARD)));
        assert!("dXNlcjpodW50ZXIyLWh1bnRlcjI=".contains(&base64_inside(value, 2, STANDARD)));
    }

    #[test]
    fn other_forms_are_as_usual_tools_write_them() {
        assert_eq!(percent("a b/ü", "-._~"), "a%20b%2F%C3%BC");
        assert_eq!(hex("az", false), "617a");
        assert_eq!(in_json("a\"b\\c"), "a\\\"b\\\\c");
    }
}
