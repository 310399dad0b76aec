//! A strict template: text, `{{name}}` for a value, and `{{#name}}` … `{{/name}}` (each alone on its line) for lines
//! that appear only when the value is not empty. `\{{` stands for two literal braces. A value is inserted unchanged and
//! is never parsed as template text. This module knows no prompt and no placeholder by name.

use std::collections::BTreeMap;

/// The value of each placeholder.
pub type Values = BTreeMap<&'static str, String>;

/// A placeholder that a template may or must use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder {
    /// The name between the braces.
    pub name: &'static str,
    /// Whether a template without it is refused.
    pub required: bool,
}

/// Why a template is refused, with the line (from 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadTemplate {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: TemplateProblem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// The name is not a placeholder of this prompt.
    #[error("unknown placeholder {{{{{name}}}}}{}; this prompt has: {known}", did_you_mean(.suggestion))]
    Unknown {
        /// The name in the template.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All known names.
        known: String,
    },
    /// A required placeholder is missing.
    #[error("the template ends without {{{{{name}}}}}, which this prompt needs (outside of sections of other names)")]
    Missing {
        /// The name of the placeholder.
        name: &'static str,
    },
    /// Two opening braces are not closed.
    #[error("{{{{ is not closed on the same line; write \\{{{{ for two literal braces")]
    Unclosed,
    /// A section tag is not alone on its line.
    #[error("{{{{{tag}}}}} must stand alone on its line")]
    NotAlone {
        /// The tag in the template.
        tag: String,
    },
    /// A section starts within another one.
    #[error("{{{{#{inner}}}}} stands inside {{{{#{outer}}}}}: sections do not nest")]
    Nested {
        /// The outer section.
        outer: String,
        /// The inner section.
        inner: String,
    },
    /// A section ends that was not started.
    #[error("{{{{/{name}}}}} closes a section that is not open")]
    Stray {
        /// The name in the template.
        name: String,
    },
    /// A section does not end.
    #[error("{{{{#{name}}}}} is never closed by {{{{/{name}}}}}")]
    Open {
        /// The name in the template.
        name: String,
    },
    /// The first line could be taken for a command or an option by an agent CLI, or is left to a value.
    #[error(
        "the first line must be plain text of the template: it must not be blank or begin with '/', '-', '@', '$' or '{{{{'"
    )]
    FirstLine,
    /// The template is too long.
    #[error("the template has more than {max} characters")]
    TooLong {
        /// The limit in characters.
        max: usize,
    },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!(" (did you mean {{{{{name}}}}}?)")).unwrap_or_default()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(&'static str),
    Section { name: &'static str, parts: Vec<Part> },
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

const MAX_CHARS: usize = 100_000;

impl Template {
    /// Parses `text`, which may use the placeholders `known`. Returns the first error, with its line.
    pub fn parse(text: &str, known: &'static [Placeholder]) -> Result<Self, BadTemplate> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        if text.chars().count() > MAX_CHARS {
            return Err(at(1, TemplateProblem::TooLong { max: MAX_CHARS }));
        }
        let first = text.lines().next().unwrap_or_default();
        if first.trim().is_empty() || first.starts_with(['/', '-', '@', '$', ' ', '\t']) || first.starts_with("{{") {
            return Err(at(1, TemplateProblem::FirstLine));
        }
        let mut reader = Reader { known, parts: Vec::new(), section: None };
        let mut count = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            count = index + 1;
            reader.line(count, line).map_err(|problem| at(count, problem))?;
        }
        reader.finish(count)
    }

    /// Returns the text with all values inserted.
    pub fn render(&self, values: &Values) -> String {
        let mut out = String::new();
        render_parts(&self.parts, values, &mut out);
        let mut out = out.trim_end().to_owned();
        out.push('\n');
        out
    }

    fn shows(&self, name: &str) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Value(own) => *own == name,
            Part::Section { name: own, parts } => *own == name && parts.contains(&Part::Value(own)),
        })
    }
}

fn at(line: usize, problem: TemplateProblem) -> BadTemplate {
    BadTemplate { line, problem }
}

fn render_parts(parts: &[Part], values: &Values, out: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(name) => out.push_str(values.get(name).map_or("", String::as_str)),
            Part::Section { name, parts } => {
                if values.get(name).is_some_and(|value| !value.is_empty()) {
                    render_parts(parts, values, out);
                }
            }
        }
    }
}

struct OpenSection {
    name: &'static str,
    line: usize,
    parts: Vec<Part>,
}

struct Reader {
    known: &'static [Placeholder],
    parts: Vec<Part>,
    section: Option<OpenSection>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), TemplateProblem> {
        match alone(line) {
            Some(("#", name)) => self.open(number, name),
            Some(("/", name)) => self.close(name),
            Some(_) | None => self.inline(line),
        }
    }

    fn open(&mut self, number: usize, name: &str) -> Result<(), TemplateProblem> {
        let name = self.lookup(name)?;
        if let Some(outer) = &self.section {
            return Err(TemplateProblem::Nested { outer: outer.name.to_owned(), inner: name.to_owned() });
        }
        self.section = Some(OpenSection { name, line: number, parts: Vec::new() });
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), TemplateProblem> {
        match self.section.take() {
            Some(OpenSection { name: open, parts, .. }) if open == name => {
                self.parts.push(Part::Section { name: open, parts });
                Ok(())
            }
            Some(_) | None => Err(TemplateProblem::Stray { name: name.to_owned() }),
        }
    }

    fn inline(&mut self, line: &str) -> Result<(), TemplateProblem> {
        let mut rest = line;
        while let Some(start) = rest.find("{{") {
            let (before, tag) = (&rest[..start], &rest[start + 2..]);
            if let Some(before) = before.strip_suffix('\\') {
                self.text(before);
                self.text("{{");
                rest = tag;
                continue;
            }
            let end = tag.find("}}").ok_or(TemplateProblem::Unclosed)?;
            self.text(before);
            self.value(tag[..end].trim())?;
            rest = &tag[end + 2..];
        }
        self.text(rest);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let parts = self.current();
        match parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            Some(Part::Value(_) | Part::Section { .. }) | None => parts.push(Part::Text(text.to_owned())),
        }
    }

    fn value(&mut self, name: &str) -> Result<(), TemplateProblem> {
        if name.starts_with(['#', '/']) {
            return Err(TemplateProblem::NotAlone { tag: name.to_owned() });
        }
        let name = self.lookup(name)?;
        self.current().push(Part::Value(name));
        Ok(())
    }

    fn current(&mut self) -> &mut Vec<Part> {
        self.section.as_mut().map_or(&mut self.parts, |section| &mut section.parts)
    }

    fn lookup(&self, name: &str) -> Result<&'static str, TemplateProblem> {
        let names = || self.known.iter().map(|p| p.name);
        names().find(|known| *known == name).ok_or_else(|| TemplateProblem::Unknown {
            name: name.to_owned(),
            suggestion: crate::base::nearest::nearest(name, names()).map(str::to_owned),
            known: names().collect::<Vec<_>>().join(", "),
        })
    }

    fn finish(self, lines: usize) -> Result<Template, BadTemplate> {
        if let Some(section) = self.section {
            return Err(at(section.line, TemplateProblem::Open { name: section.name.to_owned() }));
        }
        let template = Template { parts: self.parts };
        match self.known.iter().find(|p| p.required && !template.shows(p.name)) {
            Some(missing) => Err(at(lines, TemplateProblem::Missing { name: missing.name })),
            None => Ok(template),
        }
    }
}

/// Returns the mark and the name of a section tag that fills its line.
fn alone(line: &str) -> Option<(&str, &str)> {
    let tag = line.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let (mark, name) = tag.split_at_checked(1)?;
    (matches!(mark, "#" | "/") && !name.contains(['{', '}'])).then_some((mark, name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: &[Placeholder] =
        &[Placeholder { name: "task", required: true }, Placeholder { name: "skills", required: false }];

    fn render(text: &str, task: &str, skills: &str) -> String {
        let values = Values::from([("task", task.to_owned()), ("skills", skills.to_owned())]);
        Template::parse(text, KNOWN).unwrap().render(&values)
    }

    fn error(text: &str) -> String {
        Template::parse(text, KNOWN).unwrap_err().to_string()
    }

    #[test]
    fn values_are_put_in_place_and_sections_without_a_value_vanish_with_their_lines() {
        let text = "Do {{ task }}!\n{{#skills}}\nSkills: {{skills}}\n{{/skills}}\nEnd \\{{task}}";
        assert_eq!(render(text, "it", "rust"), "Do it!\nSkills: rust\nEnd {{task}}\n");
        assert_eq!(render(text, "it", ""), "Do it!\nEnd {{task}}\n");
        assert_eq!(render("\u{feff}A {{task}}\r\nb", "x", ""), "A x\nb\n");
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let unknown = error("A\n{{tsak}}");
        assert!(unknown.starts_with("line 2: unknown placeholder {{tsak}} (did you mean {{task}}?)"), "{unknown}");
        assert!(error("A\n\nb").starts_with("line 3: the template ends without {{task}}"));
        assert!(error("A {{task").starts_with("line 1: {{ is not closed"));
        assert!(error("A\nx {{#task}}").starts_with("line 2: {{#task}} must stand alone"));
        assert!(error("A\n{{#task}}\n{{#skills}}").starts_with("line 3: {{#skills}} stands inside {{#task}}"));
        assert!(error("A\n{{/task}}").starts_with("line 2: {{/task}} closes"));
        assert!(error("A\n{{#task}}\nb").starts_with("line 2: {{#task}} is never closed"));
        assert!(error("A\n{{#skills}}\n{{task}}\n{{/skills}}").contains("ends without {{task}}"));
        assert!(error(&format!("A{}", " ".repeat(MAX_CHARS))).contains("more than"));
    }

    #[test]
    fn the_first_line_is_the_templates_own_and_no_command() {
        for first in ["", "  ", "/clear {{task}}", "--help {{task}}", "{{task}}", "{{#task}}", "@file", "\t{{task}}"] {
            assert!(error(&format!("{first}\n{{{{task}}}}")).contains("first line"), "{first:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_never_expanded_again(task in "(\\{\\{|\\}\\}|#|/|task|skills|\\\\|\n| ){0,20}", skills in "(\\{\\{task\\}\\}|x){1,4}") {
            let out = render("A\n<{{task}}>\n{{#skills}}\n[{{skills}}]\n{{/skills}}\nZ", &task, &skills);
            prop_assert_eq!(out, format!("A\n<{task}>\n[{skills}]\nZ\n"));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\{\\{|\\}\\}|#|/|task|skills|\\\\|\n| |é){0,40}") {
            let _ = Template::parse(&text, KNOWN);
        }
    }
}
