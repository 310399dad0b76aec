//! Quoting for shell lines that a person types, and the files that an agent's shell line writes, as far as its words
//! show: redirections, and programs that write the files they name. Pure. Files that a script or an unknown variable
//! hides are not found: a result proves that something was written, its absence proves nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// Returns a path as one word of a shell line, quoted where needed.
pub fn word(path: impl AsRef<Path>) -> String {
    let shown = path.as_ref().to_string_lossy();
    // No path has a zero byte, the only byte that cannot be quoted.
    shlex::try_quote(&shown).map(Cow::into_owned).unwrap_or_default()
}

/// Programs that write every file that they name.
const WRITE_ALL: &[&str] = &["rmdir", "touch", "mkdir", "truncate", "chmod", "tee", "unlink", "shred", "patch"];
/// Programs that write the last file that they name or, if that is a directory, write the other files into it.
const WRITE_LAST: &[&str] = &["cp", "install", "ln", "mv", "rsync"];
/// Programs that remove what they name, recursively; for those with a target, all but the target.
const REMOVE: &[&str] = &["rm", "mv"];
/// Programs that write the files that they name if they work in place.
const WRITE_IN_PLACE: &[&str] = &["sed", "perl", "gsed"];
/// Words that may precede a program.
const BEFORE_PROGRAM: &[&str] =
    &["sudo", "env", "exec", "time", "nice", "nohup", "command", "!", "if", "then", "do", "else", "while", "{"];
/// Programs that run a line given as an argument.
const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash"];
/// The depth to which nested shells are followed.
const DEPTH: usize = 4;

/// Where a shell line runs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The working directory.
    pub dir: &'a str,
    /// The main checkout of the repository, which git reports when asked.
    pub main: &'a str,
}

/// The state while a line is followed.
#[derive(Debug, Clone)]
struct State<'a> {
    /// The directory; empty if unknown.
    dir: String,
    main: &'a str,
    variables: BTreeMap<String, String>,
}

/// A token of a line.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word with its quotes removed.
    Word(String),
    /// An output redirection: the next word is a file that is written.
    Into,
    /// An input redirection: the next word is a file that is read.
    From,
    /// The end of a command.
    End,
}

/// Returns the absolute paths that `line` writes. One that ends with `/` includes everything below it.
pub fn written(line: &str, place: Place<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let state = State { dir: place.dir.to_owned(), main: place.main, variables: BTreeMap::new() };
    // Codex reports a line as one quoted word.
    let whole = match tokens(line).as_slice() {
        [Token::Word(whole)] if whole.contains(' ') => Some(whole.clone()),
        [..] => None,
    };
    follow(whole.as_deref().unwrap_or(line), state, DEPTH, &mut found);
    found
}

fn follow(line: &str, mut state: State<'_>, depth: usize, found: &mut Vec<String>) {
    let mut words = Vec::new();
    let mut tokens = tokens(line).into_iter();
    loop {
        match tokens.next() {
            Some(Token::Word(word)) => words.push(word),
            Some(Token::Into) => {
                if let Some(Token::Word(file)) = tokens.next() {
                    found.extend(state.resolved(&file));
                }
            }
            Some(Token::From) => drop(tokens.next()),
            ended @ (Some(Token::End) | None) => {
                command(&std::mem::take(&mut words), &mut state, depth, found);
                if ended.is_none() {
                    return;
                }
            }
        }
    }
}

/// Follows one simple command.
fn command(words: &[String], state: &mut State<'_>, depth: usize, found: &mut Vec<String>) {
    let assigned = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let is_before = |word: &String| BEFORE_PROGRAM.contains(&word.as_str()) || word.contains('=');
    let start = words.iter().position(|word| !is_before(word)).unwrap_or(words.len());
    state.variables.extend(words[..start].iter().filter_map(assigned));
    if start == words.len() {
        return;
    }
    let (program, args) = (words[start].rsplit('/').next().unwrap_or_default(), &words[start + 1..]);
    let files = || args.iter().filter(|arg| !arg.starts_with('-'));
    let mut add = |file: &str| found.extend(state.resolved(file));
    if program == "cd" {
        // If the new directory is unknown, relative paths cannot be resolved from here on.
        state.dir = files().next().and_then(|to| state.resolved(to)).unwrap_or_default();
    } else if SHELLS.contains(&program) {
        let at = args.iter().position(|arg| arg.starts_with('-') && arg.ends_with('c'));
        if let (Some(script), Some(depth)) = (at.and_then(|at| args.get(at + 1)), depth.checked_sub(1)) {
            follow(script, state.clone(), depth, found);
        }
    } else if program == "dd" {
        args.iter().filter_map(|arg| arg.strip_prefix("of=")).for_each(add);
    } else {
        let in_place = WRITE_IN_PLACE.contains(&program) && args.iter().any(|arg| arg.starts_with("-i"));
        if WRITE_ALL.contains(&program) || in_place {
            files().for_each(|file| add(file.trim_end_matches('/')));
        }
        let has_target = WRITE_LAST.contains(&program) && files().count() > 1;
        let target = files().next_back().filter(|_| has_target);
        let named = files().take(files().count() - usize::from(has_target));
        if REMOVE.contains(&program) {
            named.clone().for_each(|file| add(&format!("{file}/")));
        }
        if let Some(target) = target {
            add(target.trim_end_matches('/'));
            let name = |file: &String| file.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
            named.filter_map(name).for_each(|name| add(&format!("{target}/{name}/")));
        }
    }
}

impl State<'_> {
    /// Returns an absolute path without `.` and `..`; `None` if the words do not show it.
    fn resolved(&self, file: &str) -> Option<String> {
        let file = self.expanded(file, DEPTH)?;
        if file.is_empty() || file.contains(['$', '`', '*', '?', '~']) || self.dir.is_empty() && !file.starts_with('/')
        {
            return None;
        }
        let whole = if file.starts_with('/') { file.clone() } else { format!("{}/{file}", self.dir) };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        let end = if file.ends_with('/') && !parts.is_empty() { "/" } else { "" };
        Some(format!("/{}{end}", parts.join("/")))
    }

    /// Expands the start of a word, where that is a known variable or a command substitution with git.
    fn expanded(&self, word: &str, depth: usize) -> Option<String> {
        let Some(rest) = word.strip_prefix('$') else { return Some(word.to_owned()) };
        let depth = depth.checked_sub(1)?;
        if rest.starts_with('(') {
            let end = closing(rest)?;
            return Some(format!("{}{}", self.answered(&rest[..end])?, &rest[end + 1..]));
        }
        let (name, after) = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        Some(format!("{}{after}", self.expanded(self.variables.get(name)?, depth)?))
    }

    /// Returns git's answer to a command that asks for the main checkout.
    fn answered(&self, command: &str) -> Option<String> {
        let main = self.main;
        if command.contains("--git-common-dir") {
            Some(if command.contains("dirname") { main.to_owned() } else { format!("{main}/.git") })
        } else {
            command.contains("worktree list").then(|| main.to_owned())
        }
    }
}

/// Returns the end of the parenthesis with which a text starts.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _other => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn tokens(line: &str) -> Vec<Token> {
    let (mut tokens, mut word) = (Vec::new(), None::<String>);
    let mut chars = line.char_indices().peekable();
    let end = |word: &mut Option<String>, tokens: &mut Vec<Token>| tokens.extend(word.take().map(Token::Word));
    let (mut in_quotes, mut inside) = (false, 0);
    while let Some((at, c)) = chars.next() {
        // The substitution is kept as it is.
        if at < inside {
            word.get_or_insert_default().push(c);
            continue;
        }
        let next = line[at + c.len_utf8()..].chars().next();
        match c {
            '$' if next == Some('(') && closing(&line[at + 1..]).is_some() => {
                inside = at + 1 + closing(&line[at + 1..]).map_or(0, |length| length + 1);
                word.get_or_insert_default().push(c);
            }
            '"' => {
                in_quotes = !in_quotes;
                word.get_or_insert_default();
            }
            '\\' => {
                let escapes = !in_quotes || next.is_some_and(|next| "\"\\$`".contains(next));
                let escaped = if escapes { chars.next().map(|(_, c)| c) } else { Some(c) };
                word.get_or_insert_default().extend(escaped.filter(|c| *c != '\n'));
            }
            c if in_quotes => word.get_or_insert_default().push(c),
            '\'' => {
                let text = word.get_or_insert_default();
                text.extend(chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '\''));
            }
            '>' => {
                // A number before a redirection selects the output.
                word = word.filter(|word| !word.chars().all(|c| c.is_ascii_digit()));
                end(&mut word, &mut tokens);
                while chars.next_if(|(_, c)| ['>', '|'].contains(c)).is_some() {}
                let is_copy = chars.next_if(|(_, c)| *c == '&').is_some();
                tokens.push(if is_copy { Token::From } else { Token::Into });
            }
            '<' => {
                end(&mut word, &mut tokens);
                while chars.next_if(|(_, c)| ['<', '-', '&'].contains(c)).is_some() {}
                tokens.push(Token::From);
            }
            '&' if next == Some('>') => {}
            ';' | '&' | '|' | '(' | ')' | '\n' => {
                end(&mut word, &mut tokens);
                tokens.push(Token::End);
            }
            c if c.is_whitespace() => end(&mut word, &mut tokens),
            c => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, &mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(
            ["/m/shop", "/m/my shop", "a'b", "$(x)"].map(word),
            ["/m/shop", "'/m/my shop'", "\"a'b\"", "'$(x)'"]
        );
    }
    use proptest::prelude::*;

    const PLACE: Place<'_> = Place { dir: "/w", main: "/m" };

    #[test]
    fn what_a_line_writes_is_found() {
        for (line, files) in [
            ("echo x > /m/a", &["/m/a"][..]),
            ("echo x >>\"/m/a b\" 2>&1; cat /m/c", &["/m/a b"]),
            ("cd /m && echo x > a", &["/m/a"]),
            ("cd ../m; sed -i 's/a/b/' ./f", &["/m/s/a/b", "/m/f"]),
            ("make 2>err | tee -a /m/log", &["/w/err", "/m/log"]),
            ("make &> /m/all", &["/m/all"]),
            ("FOO=1 sudo rm -rf /m/dir", &["/m/dir/"]),
            ("cp a x/b /m", &["/m", "/m/a/", "/m/b/"]),
            ("mv /m/a b", &["/m/a/", "/w/b", "/w/b/a/"]),
            ("mkdir -p /m", &["/m"]),
            ("dd if=/dev/zero of=/m/a", &["/m/a"]),
            ("bash -lc 'cd /m && touch a'", &["/m/a"]),
            (r#"'M=/m; printf '"'a\n' > \""'$M/a"'"#, &["/m/a"]),
            ("M=/m/x; echo 1 > \"$M/a\"; echo 2 > ${M}b", &["/m/x/a", "/m/xb"]),
            (
                "main=\"$(dirname \"$(git rev-parse --path-format=absolute --git-common-dir)\")\"; echo x > \"$main/a\"",
                &["/m/a"],
            ),
            ("cd $(git rev-parse --git-common-dir)/.. && rm a", &["/m/a/"]),
        ] {
            assert_eq!(written(line, PLACE), files, "{line}");
        }
    }

    #[test]
    fn what_a_line_reads_or_hides_is_not() {
        for line in [
            "cat /m/a",
            "grep x < /m/a",
            "sed 's/a/b/' /m/a",
            "echo '> /m/a'",
            "echo x > $HOME/a",
            "diff /m/a /m/b",
            "cp /m/a",
            "cd $X && rm a",
            "echo \"a > b\"",
        ] {
            assert_eq!(written(line, PLACE), [""; 0], "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_search(line in "[-a-z./ &|;<>()\"'`$={}\\\\\n]{0,60}") {
            prop_assert!(written(&line, PLACE).iter().all(|path| path.starts_with('/') && !path.contains("/../")));
        }
    }
}
