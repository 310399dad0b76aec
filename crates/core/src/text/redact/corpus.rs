//! Tests every rule with texts generated from its own grammar, in typical surroundings.

use super::alphabet::entropy;
use super::index::RULES;
use super::notation::{Form, How, Part, Rule};
use super::*;

/// Reproducible random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }

    fn form(&mut self, form: &Form, skip: usize) -> String {
        let mut text = String::new();
        for part in &form.parts[skip..] {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Run { alphabet, least, most } => {
                    let count = least + self.below(most.map_or(*least, |most| most - least) + 1);
                    let bytes: Vec<u8> = (b'!'..=b'~').filter(|&byte| alphabet.has(byte)).collect();
                    let plain: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
                    for index in 0..count {
                        let edge = (index == 0 || index + 1 == count) && !plain.is_empty();
                        let from = if edge { &plain } else { &bytes };
                        text.push(char::from(from[self.below(from.len())]));
                    }
                }
            }
        }
        text
    }

    /// Returns a value of a rule, and texts that contain it.
    fn example(&mut self, rule: &Rule) -> Option<(String, Vec<String>)> {
        const RANDOM: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let random = |dice: &mut Self, count| -> String {
            (0..count).map(|_| char::from(RANDOM[dice.below(RANDOM.len())])).collect()
        };
        Some(match &rule.how {
            How::Token(form) => {
                let value = self.form(form, 0);
                let texts = alone(&value);
                (value, texts)
            }
            How::After(form) => {
                let (value, lead) = (self.form(form, 1), form.lead());
                let texts = vec![format!("{lead}{value}"), format!("'{}{value}'", lead.to_uppercase())];
                (value, texts)
            }
            How::Near(words, form) => {
                let value = self.form(form, 0);
                let texts = assigned(words[self.below(words.len())], &value);
                (value, texts)
            }
            How::Random(words, _) => {
                let value = random(self, 40);
                let texts = assigned(words[self.below(words.len())], &value);
                (value, texts)
            }
            How::Password(words) => {
                let value = format!("{}7x", random(self, 12));
                let texts = assigned(words[self.below(words.len())], &value);
                (value, texts)
            }
        })
        .filter(|(value, _)| entropy(value.as_bytes()) >= rule.entropy)
    }
}

fn alone(value: &str) -> Vec<String> {
    let texts =
        ["V", "x=\"V\", y", "{\"a\": \"V\"}", "TOKEN=V", "https://h/p?t=V&x=1", "\u{1b}[31mV\u{1b}[0m", "a\\nV\\nb"];
    texts.iter().map(|text| text.replacen('V', value, 1)).collect()
}

fn assigned(word: &str, value: &str) -> Vec<String> {
    let upper = word.to_uppercase();
    vec![
        format!("{word} = \"{value}\""),
        format!("\"{word}\": \"{value}\","),
        format!("export {upper}='{value}';"),
        format!("  {word}: {value}"),
        format!("{{\\\"{word}\\\": \\\"{value}\\\"}}"),
        format!("{upper}=\u{1b}[32m{value}\u{1b}[0m"),
    ]
}

#[test]
fn nearly_every_value_that_a_rule_describes_is_masked_wherever_it_stands() {
    let (redactor, mut dice) = (Redactor::default(), Dice(0x9E37_79B9_7F4A_7C15));
    let (mut all, mut missed) = (0, Vec::new());
    for rule in &RULES.rules {
        let examples: Vec<_> = (0..40).filter_map(|_| dice.example(rule)).take(12).collect();
        assert!(!examples.is_empty(), "{}: nothing that it describes is disordered enough", rule.name);
        for (value, texts) in examples {
            for text in texts {
                all += 1;
                let masked = redactor.text(&text);
                if masked.contains(&value) || !masked.contains("[REDACTED:") {
                    missed.push(format!("{}: {text} → {masked}", rule.name));
                }
            }
        }
    }
    assert!(all > 15_000, "{all}");
    assert!(missed.len() * 100 < all, "{} of {all}: {:#?}", missed.len(), &missed[..missed.len().min(40)]);
}
