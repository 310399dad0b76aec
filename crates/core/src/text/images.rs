//! Whether a task's text refers to an image, so that its model must accept images. PURE. Judged by the form of
//! references, not by what the text says about them; a label states that no agent needs to see them.

/// File extensions of images. An SVG drawing is text.
const ENDINGS: [&str; 11] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif"];
/// Characters around a path or an address that are not part of it.
const SEPARATORS: &[char] =
    &['"', '\'', '`', '(', ')', '[', ']', '<', '>', '{', '}', ',', ';', '|', '“', '”', '‘', '’'];
/// Punctuation that may follow it.
const PUNCTUATION: &[char] = &['.', ':', '!', '?'];

/// Returns the first image that a text refers to: Markdown's `![…](…)`, an `<img`, or a path or address with an image
/// extension. Fenced code is ignored.
pub fn find_image(text: &str) -> Option<&str> {
    let mut fence: Option<&str> = None;
    text.lines().find_map(|line| {
        let begin = line.trim_start();
        match fence {
            Some(mark) if begin.starts_with(mark) => fence = None,
            Some(_) => {}
            None => {
                fence = ["```", "~~~"].into_iter().find(|mark| begin.starts_with(mark));
                if fence.is_none() {
                    return image_in_line(line);
                }
            }
        }
        None
    })
}

fn image_in_line(line: &str) -> Option<&str> {
    if !line.contains(['.', '!', '<']) {
        return None;
    }
    markdown_image(line)
        .or_else(|| html_image(line))
        .or_else(|| line.split(is_separator).map(trim_punctuation).find(|word| is_image(word)))
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || SEPARATORS.contains(&c)
}

fn trim_punctuation(word: &str) -> &str {
    word.trim_end_matches(PUNCTUATION)
}

/// Finds `![what](where)` and `![what][name]`, with any address but that of a drawing.
fn markdown_image(line: &str) -> Option<&str> {
    let places = line.match_indices("![").map(|(at, _)| &line[at..]);
    places.into_iter().find_map(|rest| {
        let (_, after) = rest.split_once(']')?;
        let close = match after.chars().next()? {
            '(' => ')',
            '[' => ']',
            _ => return None,
        };
        let (target, _) = after[1..].split_once(close)?;
        let target = target.split_whitespace().next()?.trim_matches(['<', '>']);
        (!ends_in(target, &["svg"])).then_some(target)
    })
}

fn html_image(line: &str) -> Option<&str> {
    let at = line.char_indices().map(|(at, _)| at).find(|at| {
        line.get(*at..*at + 5).is_some_and(|begin| begin.eq_ignore_ascii_case("<img ")) && !line[*at..].contains(".svg")
    })?;
    line[at..].split('>').next()
}

fn is_image(word: &str) -> bool {
    ends_in(word, &ENDINGS)
}

/// Returns whether a path or address has a name and one of these extensions. A pattern such as `*.png` names no file.
fn ends_in(word: &str, endings: &[&str]) -> bool {
    let path = word.split(['?', '#']).next().unwrap_or_default();
    let Some((before, ending)) = path.rsplit_once('.') else { return false };
    let stem = before.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_known = endings.iter().any(|known| known.eq_ignore_ascii_case(ending));
    is_known && !stem.is_empty() && !path.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_to_images_are_found_as_people_write_them() {
        for (text, image) in [
            ("![the error](shot.png)", "shot.png"),
            ("See ![it](<docs/my-shot.PNG> \"title\") please", "docs/my-shot.PNG"),
            ("![upload](https://example.org/assets/4711)", "https://example.org/assets/4711"),
            ("![shot][1]\n\n[1]: https://example.org/x", "1"),
            ("a sketch: data ![x](data:image/png;base64,AAAA)", "data:image/png;base64,AAAA"),
            ("The page looks like docs/bug.jpg.", "docs/bug.jpg"),
            ("Make it look like `design/home.webp`!", "design/home.webp"),
            ("\"C:\\pictures\\form.jpeg\", then", "C:\\pictures\\form.jpeg"),
            ("see /tmp/a.gif?", "/tmp/a.gif"),
            ("see https://example.org/a/b.png?raw=1#top now", "https://example.org/a/b.png?raw=1#top"),
            ("Attachments:\n- before.png\n- after.tiff", "before.png"),
            ("attachments: [notes.txt, photo.heic]", "photo.heic"),
            ("<img width=30 src='x'> is what users see", "<img width=30 src='x'"),
            ("[the mock-up](mock.bmp)", "mock.bmp"),
            ("```\ncode\n```\nlike shot.png", "shot.png"),
        ] {
            assert_eq!(find_image(text), Some(image), "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_none() {
        for text in [
            "",
            "Rename the config module",
            "Serve *.png with a long cache time",
            "the .png ending",
            "src/**/*.jpg are too large",
            "png and jpeg are supported",
            "an example.org/png page",
            "logo.svg and ![badge](https://img.example.org/build.svg)",
            "<img src='logo.svg'>",
            "see src/png.rs",
            "foo.pngx and a.png.rs",
            "```orch-script\nwrite shot.png x\n```",
            "~~~\n![x](y.png)\n~~~",
            "5 > 3 ! [x] (y)",
            "image/png as the content type",
        ] {
            assert_eq!(find_image(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_what_is_found_stands_in_it(text in "(\\PC|[!\\[\\]().<> \n`]){0,80}") {
            if let Some(found) = find_image(&text) {
                prop_assert!(text.contains(found));
            }
        }

        #[test]
        fn a_path_of_an_image_is_found_wherever_it_stands(
            before in "[a-zA-Z ,]{0,20}", name in "[a-z0-9_-]{1,12}", ending in 0usize..ENDINGS.len(),
        ) {
            let path = format!("{name}.{}", ENDINGS[ending]);
            let text = format!("{before} {path} and more");
            prop_assert_eq!(find_image(&text), Some(path.as_str()));
        }
    }
}
