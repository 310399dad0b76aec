//! How notices are worded, for one message. PURE; escaping is the channel's.

use super::{Notice, NoticeKind};
use crate::operations::channel::{Block, ChatMessage, Span};

/// So many are listed in one message; the rest is counted.
const LISTED: usize = 25;

/// One message for these notices, the oldest first. `dropped`: so many more are reported nowhere.
pub fn render_message(notices: &[&Notice], dropped: u64) -> ChatMessage {
    let mut content = match notices {
        [] => ChatMessage::default(),
        [first, ..] if notices.iter().all(|notice| notice.kind == NoticeKind::Stranger) => strangers(first, notices),
        [only] => single(only, 1),
        [.., last] if notices.iter().all(|notice| notice.key() == last.key() && notice.task() == last.task()) => {
            single(last, notices.len())
        }
        [first, ..] if notices.iter().all(|notice| notice.key() == first.key()) => shared(first, notices),
        [..] => digest(notices),
    };
    if dropped > 0 {
        let text = format!("{dropped} older notices were dropped while this channel could not be reached: orch events");
        content.blocks.push(Block::plain(text));
    }
    content
}

fn single(notice: &Notice, times: usize) -> ChatMessage {
    let mut blocks = vec![headline(notice)];
    blocks.extend(notice.text.lines().map(|line| match line.strip_prefix("  orch ") {
        Some(command) => Block::Line(vec![Span::Code(format!("orch {command}"))]),
        None => Block::plain(line),
    }));
    if times > 1 {
        blocks.push(Block::plain(format!("({times} times since the last message)")));
    }
    ChatMessage {
        blocks,
        buttons: notice.buttons.clone(),
        document: None,
        task: notice.task(),
        is_urgent: notice.is_urgent(),
    }
}

/// Several tasks met the same.
fn shared(first: &Notice, notices: &[&Notice]) -> ChatMessage {
    let count = notices.len();
    let head = format!("{count} tasks: {}", title(first.kind));
    let mut blocks = vec![Block::Line(vec![Span::Bold(head)])];
    blocks.extend(first.text.lines().map(Block::plain));
    blocks.extend(notices.iter().filter(|notice| notice.about.is_some()).take(LISTED).map(|notice| headline(notice)));
    if count > LISTED {
        blocks.push(Block::plain(format!("and {} more", count - LISTED)));
    }
    ChatMessage { blocks, is_urgent: notices.iter().any(|notice| notice.is_urgent()), ..ChatMessage::default() }
}

/// Those who are not on the list, a line each.
fn strangers(first: &Notice, notices: &[&Notice]) -> ChatMessage {
    let count = notices.len();
    let head = if count == 1 { title(first.kind).to_owned() } else { format!("{count} strangers spoke to the bot") };
    let mut blocks = vec![Block::Line(vec![Span::Bold(head)])];
    blocks.extend(notices.iter().take(LISTED).map(|notice| Block::plain(notice.text.clone())));
    if count > LISTED {
        blocks.push(Block::plain(format!("and {} more: orch events", count - LISTED)));
    }
    blocks.push(Block::plain("Not on the list: nothing was done, and nothing answered."));
    ChatMessage { blocks, is_urgent: first.is_urgent(), ..ChatMessage::default() }
}

fn digest(notices: &[&Notice]) -> ChatMessage {
    let count = notices.len();
    let mut blocks = vec![Block::Line(vec![Span::Bold(format!("{count} notices"))])];
    // What waits for the person comes first.
    let (asking, rest): (Vec<&&Notice>, Vec<&&Notice>) = notices.iter().partition(|notice| notice.is_error());
    for notice in asking.into_iter().chain(rest).take(LISTED) {
        let Block::Line(mut spans) = headline(notice) else { continue };
        let text: String = notice.text.lines().next().unwrap_or_default().chars().take(160).collect();
        spans.push(Span::Plain(format!(": {text}")));
        blocks.push(Block::Line(spans));
    }
    if count > LISTED {
        blocks.push(Block::plain(format!("and {} more: orch events", count - LISTED)));
    }
    ChatMessage { blocks, is_urgent: notices.iter().any(|notice| notice.is_urgent()), ..ChatMessage::default() }
}

fn headline(notice: &Notice) -> Block {
    let Some(about) = &notice.about else { return Block::Line(vec![Span::Bold(title(notice.kind).to_owned())]) };
    let mut spans = vec![Span::Bold(format!("#{} {}", about.task, about.title))];
    let project = about.project.as_ref().map(|project| format!(" ({project})")).unwrap_or_default();
    spans.push(Span::Plain(format!("{project} {}", of_task(notice.kind))));
    Block::Line(spans)
}

fn title(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Question => "A question",
        NoticeKind::Approval => "Work waits for your yes",
        NoticeKind::Failed => "It failed",
        NoticeKind::Finished => "Done",
        NoticeKind::Batch => "A batch is over",
        NoticeKind::Budget => "Money",
        NoticeKind::Login => "The provider refuses the login",
        NoticeKind::Limit => "Parked by the provider's limit",
        NoticeKind::Trouble => "orch is in trouble",
        NoticeKind::Stranger => "A stranger spoke to the bot",
        NoticeKind::Note => "Note",
        NoticeKind::Summary => "The last day",
    }
}

fn of_task(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Question => "asks",
        NoticeKind::Approval => "waits for your yes",
        NoticeKind::Failed => "needs you: it failed",
        NoticeKind::Finished => "is done",
        NoticeKind::Login => "met a login that the provider refuses",
        NoticeKind::Limit => "is parked by the provider's limit",
        NoticeKind::Budget => "has no money left",
        NoticeKind::Batch | NoticeKind::Trouble | NoticeKind::Stranger | NoticeKind::Note | NoticeKind::Summary => "",
    }
}
