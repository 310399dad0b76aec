//! Mutates valid input in ways that are difficult for parsers. Reproducible from a seed.

use super::dice::Dice;

/// Fragments for which parsers of text, YAML, JSON, HTTP and terminals have special cases.
const PIECES: [&[u8]; 48] = [
    b"\0",
    b"\r\n",
    b"\n",
    b"\r",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b": ",
    b",",
    b"- ",
    b"#",
    b"&a",
    b"*a",
    b"<<: *a",
    b"!!binary ",
    b"!tag ",
    b"|",
    b">-\n",
    b"---\n",
    b"...\n",
    b"%YAML 1.2\n",
    b"~",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"NaN",
    b"\xff",
    b"\xc3",
    b"\xf0\x9f\x92",
    "\u{feff}".as_bytes(),
    "\u{202e}".as_bytes(),
    "e\u{301}\u{301}\u{301}".as_bytes(),
    b"\x1b[",
    b"\x1b]0;",
    b"\x1b[999999999;1H",
    b"\x1b[38;5;",
    b"\x9b",
    b"\x1bP",
];

/// Returns random text of at most `most` characters.
pub fn noise(dice: &mut Dice, most: usize) -> String {
    let length = dice.at(most);
    let character = |dice: &mut Dice| match dice.below(8) {
        0 => char::from_u32(u32::try_from(dice.below(0x11_0000)).unwrap_or(0)).unwrap_or('\u{fffd}'),
        1 => char::from(u8::try_from(dice.below(32)).unwrap_or(0)),
        _ => char::from(u8::try_from(32 + dice.below(95)).unwrap_or(b' ')),
    };
    (0..length).map(|_| character(dice)).collect()
}

/// Returns valid input with a few mutations.
pub fn spoilt(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=dice.below(6) {
        spoil(&mut bytes, dice);
    }
    bytes
}

fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let (one, other) = (dice.at(bytes.len() + 1), dice.at(bytes.len() + 1));
    let (from, to) = (one.min(other), one.max(other));
    match dice.below(12) {
        0 => bytes.truncate(one),
        1 => drop(bytes.drain(from..to)),
        // Repeats a part elsewhere, or many times.
        2 => {
            let part = bytes[from..to].to_vec();
            bytes.splice(one..one, part);
        }
        3 => {
            let part = bytes[from..to.min(from + 40)].to_vec();
            let many = part.repeat(dice.at(200));
            bytes.splice(from..from, many);
        }
        4 => {
            let part: Vec<u8> = bytes.drain(from..to).collect();
            let at = dice.at(bytes.len() + 1);
            bytes.splice(at..at, part);
        }
        5 | 6 => {
            if let Some(byte) = bytes.get_mut(one) {
                *byte ^= 1 << dice.below(8);
            }
        }
        7 => {
            // Nests deeply, or repeats.
            let piece = dice.pick(&PIECES).repeat(dice.pick(&[2, 20, 300, 5000]));
            bytes.splice(one..one, piece);
        }
        // Removes or indents a line.
        8 => {
            let start = bytes[..one].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let end = bytes[one..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| one + at + 1);
            if dice.below(2) == 0 {
                bytes.drain(start..end);
            } else {
                let indent = vec![b' '; dice.at(9)];
                bytes.splice(start..start, indent);
            }
        }
        _ => {
            let piece = dice.pick(&PIECES);
            let end = if dice.below(2) == 0 { one } else { to };
            bytes.splice(one..end.max(one), piece.iter().copied());
        }
    }
}
