//! The user part of an authority (behaviour 1.8).

use percent_encoding::percent_decode_str;

/// The characters outside ASCII that ASCII letters match in a Python pattern that ignores case: İ, ı, ſ and the Kelvin
/// sign.
pub(super) const CASE_VARIANTS: [char; 4] = ['\u{130}', '\u{131}', '\u{17F}', '\u{212A}'];

/// Returns whether the text before the `@` is valid; an empty one is.
pub(super) fn is_valid(user_info: &str) -> bool {
    match user_info.matches(':').take(2).count() {
        0 => is_user(user_info),
        1 => {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            is_user(user) && !password.contains(['/', '?', '#', '@'])
        }
        _ => is_user(&decoded_in_runs(user_info)),
    }
}

/// Decodes escapes like Python's `unquote`: each run of ASCII is decoded by itself, and bytes that are not UTF-8 become
/// U+FFFD.
fn decoded_in_runs(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    for run in text.as_bytes().chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
        let run = str::from_utf8(run).unwrap_or_default();
        decoded.push_str(&percent_decode_str(run).decode_utf8_lossy());
    }
    decoded
}

fn is_user(text: &str) -> bool {
    text.starts_with(is_free_start) || is_dot_atom(text) || is_unquoted(text)
}

/// Returns whether the rest of the text is ignored after this first character: the pattern's first branch is not
/// anchored at the end.
fn is_free_start(c: char) -> bool {
    matches!(
        u32::from(c),
        0x49 | 0x53
            | 0x69
            | 0x73
            | 0xFF..=0x24F
            | 0x253
            | 0x254
            | 0x256
            | 0x257
            | 0x259
            | 0x25B
            | 0x260
            | 0x263
            | 0x268
            | 0x269
            | 0x26F
            | 0x272
            | 0x275
            | 0x280
            | 0x283
            | 0x288..=0x28C
            | 0x292
            | 0x2C65
            | 0x2C66
            | 0x2C7E
            | 0x2C7F
    )
}

fn is_dot_atom(text: &str) -> bool {
    let is_atom_character = |c: char| {
        c.is_ascii_alphanumeric() || "-!#$%&'*+/=?^_`{}|~".contains(c) || CASE_VARIANTS.contains(&c)
    };
    without_final_line_feed(text)
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_unquoted(text: &str) -> bool {
    let mut characters = without_final_line_feed(text).chars();
    while let Some(c) = characters.next() {
        let is_right = match c {
            '\\' => matches!(characters.next(), Some('\t' | '.')),
            '\u{1}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '!' | '#'..='\u{7F}' => true,
            _ => CASE_VARIANTS.contains(&c),
        };
        if !is_right {
            return false;
        }
    }
    true
}

/// Removes a final line feed, before which `$` in a Python pattern also matches.
fn without_final_line_feed(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        for good in [
            "",
            "user",
            "a.b",
            "s\"anything",
            "\u{17F}\u{17F}",
            "a..b",
            "\u{1}x\u{7F}",
            "ÿ\"",
        ] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in ["\"", "é", "a\"b", "a\u{9}b", "\u{0}", "u\u{FFFD}"] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn passwords_may_be_nearly_anything() {
        for good in [":", "u:", ":p", "u:\"é\u{0}"] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in ["é:p", "u:a/b", "u:?", "u:#"] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn with_two_colons_all_of_it_is_the_user_once_decoded() {
        for good in ["a:b:c", "a:b:%0A", "a:b:%5C.", "s:%22:"] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in ["a:b:%22", "a:b:é", "a:b:%FF", "a:b:%0A%0A", "a:%5C:x"] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
