//! Placeholders for dates in titles and bodies: `Report of {{date}}` becomes `Report of 2026-11-20`. The date is that
//! of the job's time in its zone.

use super::JobId;
use crate::base::nearest::nearest;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The placeholders and their `strftime` formats.
const NAMES: [(&str, &str); 9] = [
    ("date", "%Y-%m-%d"),
    ("time", "%H:%M"),
    ("datetime", "%Y-%m-%d %H:%M"),
    ("year", "%Y"),
    ("month", "%m"),
    ("day", "%d"),
    ("weekday", "%A"),
    ("week", "%G-W%V"),
    ("job", ""),
];

/// Checks the placeholders of a title. An error has a message and a hint.
///
/// # Errors
/// The title contains an unknown placeholder.
pub fn check(title: &str) -> Result<(), (String, String)> {
    for (name, _) in placeholders(title) {
        if !NAMES.iter().any(|(known, _)| *known == name) {
            let known = NAMES.map(|(known, _)| known);
            let hint = match nearest(name, known) {
                Some(meant) => format!("did you mean {{{{{meant}}}}}?"),
                None => format!("there are {}", known.map(|known| format!("{{{{{known}}}}}")).join(", ")),
            };
            return Err((format!("{{{{{name}}}}} stands for nothing"), hint));
        }
    }
    Ok(())
}

/// Fills in the placeholders. Unknown ones stay as they are.
pub fn fill(template: &str, job: &JobId, due: Timestamp, zone: &TimeZone) -> String {
    let due = due.to_zoned(zone.clone());
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    for (name, whole) in placeholders(template) {
        let Some(at) = rest.find(whole) else { continue };
        text.push_str(&rest[..at]);
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some(("job", _)) => text.push_str(job.as_str()),
            Some((_, format)) => text.push_str(&due.strftime(format).to_string()),
            None => text.push_str(whole),
        }
        rest = &rest[at + whole.len()..];
    }
    text.push_str(rest);
    text
}

/// Returns the names between double braces, each with its braces, in order.
fn placeholders(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let inner = &rest[open + 2..];
        let Some(close) = inner.find("}}") else { break };
        let name = inner[..close].trim();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            found.push((name, &rest[open..open + 2 + close + 2]));
            rest = &inner[close + 2..];
        } else {
            rest = inner;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> String {
        let due = "2027-01-01T03:30:00Z".parse().expect("a time");
        let zone = TimeZone::get("America/New_York").expect("a zone");
        fill(template, &JobId::of_title("Nightly"), due, &zone)
    }

    #[test]
    fn dates_are_those_of_the_jobs_zone() {
        assert_eq!(filled("Report of {{date}} ({{ weekday }})"), "Report of 2026-12-31 (Thursday)");
        assert_eq!(
            filled("{{datetime}} {{time}} {{year}}/{{month}}/{{day}} {{week}}"),
            "2026-12-31 22:30 22:30 2026/12/31 2026-W53"
        );
        assert_eq!(filled("{{job}}: {{job}}"), "nightly: nightly");
    }

    #[test]
    fn what_no_name_stands_for_stays_as_it_is() {
        for text in ["${{ github.sha }}", "{{}}", "{{ date", "{{{", "{{dat}} and }}", "a {b} c", ""] {
            assert_eq!(filled(text), text);
        }
        assert_eq!(filled("{{ x.y }} {{date}}"), "{{ x.y }} 2026-12-31");
    }

    #[test]
    fn a_slip_in_a_title_is_told() {
        assert_eq!(check("All of {{date}} and {{ week }}"), Ok(()));
        assert_eq!(check("All of {{dates}}").expect_err("a slip").1, "did you mean {{date}}?");
        assert!(check("All of {{user}}").expect_err("no such name").1.starts_with("there are {{date}}, {{time}}"));
    }
}
