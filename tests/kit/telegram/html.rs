//! Parses messages in HTML as Telegram does: what they show, and whether they are accepted.

/// Returns the text without markup.
///
/// # Errors
/// Telegram's error for invalid markup.
pub fn shown(html: &str) -> Result<String, String> {
    let (mut text, mut rest, mut open) = (String::new(), html, Vec::new());
    let bad = |what: &str| Err(format!("Bad Request: can't parse entities: {what}"));
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("</") {
            let Some((tag, after)) = after.split_once('>') else { return bad("Unclosed end tag") };
            if open.pop() != Some(tag) {
                return bad(&format!("Unmatched end tag {tag}"));
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let Some((tag, after)) = after.split_once('>') else { return bad("Unclosed start tag") };
            if !["b", "i", "u", "s", "code", "pre"].contains(&tag) {
                return bad(&format!("Unsupported start tag \"{tag}\""));
            }
            open.push(tag);
            rest = after;
        } else {
            let known = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')];
            // An unknown entity is text.
            let (entity, c) = known.into_iter().find(|(entity, _)| rest.starts_with(entity)).unwrap_or(("&", '&'));
            text.push(c);
            rest = &rest[entity.len()..];
        }
    }
    if !open.is_empty() {
        return bad("Can't find end tag");
    }
    Ok(text + rest)
}

#[test]
fn markup_is_taken_only_where_it_is_sound() {
    assert_eq!(shown("<b>a &lt; b</b> &amp; <pre>c</pre>").as_deref(), Ok("a < b & c"));
    for bad in ["<b>", "</b>", "<b></i>", "<script>x</script>", "a < b", "<pre><b></pre></b>"] {
        assert!(shown(bad).is_err(), "{bad}");
    }
}
