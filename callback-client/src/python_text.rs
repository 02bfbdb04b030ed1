//! Python's `repr()` of a text, which the texts of its exceptions contain.

use std::fmt::Write as _;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// Returns the text as formatted by CPython 3.11's `repr()`: in single quotes, or in double quotes if it contains a
/// single quote and no double quote.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push(quote);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if c == quote || c == '\\' => {
                shown.push('\\');
                shown.push(c);
            }
            _ if is_printable(c) => shown.push(c),
            _ => {
                // Writing to a String cannot fail.
                let _ = match u32::from(c) {
                    code @ 0..=0xFF => write!(shown, "\\x{code:02x}"),
                    code @ 0x100..=0xFFFF => write!(shown, "\\u{code:04x}"),
                    code => write!(shown, "\\U{code:08x}"),
                };
            }
        }
    }
    shown.push(quote);
    shown
}

/// Returns `str.isprintable()` of CPython 3.11, which has the characters of Unicode 14.
fn is_printable(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    if c.is_ascii() {
        return c.is_ascii_graphic() || c == ' ';
    }
    let is_unprintable = matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        Control
            | Format
            | LineSeparator
            | ParagraphSeparator
            | PrivateUse
            | SpaceSeparator
            | Surrogate
            | Unassigned
    );
    !is_unprintable && !is_newer_than_unicode_14(c)
}

fn is_newer_than_unicode_14(c: char) -> bool {
    let code = u32::from(c);
    let next = SINCE_UNICODE_14.partition_point(|&(_, last)| last < code);
    SINCE_UNICODE_14
        .get(next)
        .is_some_and(|&(first, _)| first <= code)
}

/// Ranges, with both ends included, of code points that are not printable in Unicode 14, although some became printable
/// later.
#[rustfmt::skip]
const SINCE_UNICODE_14: [(u32, u32); 85] = [
    (0x558, 0x558), (0x58B, 0x58C), (0x5C8, 0x5C9), (0x88F, 0x897), (0xB53, 0xB54), (0xC5C, 0xC5C), (0xCDC, 0xCDC),
    (0xCF3, 0xCF3), (0xECE, 0xECE), (0x1ACF, 0x1AF0), (0x1B4E, 0x1B4F), (0x1B7F, 0x1B7F), (0x1C89, 0x1C8A),
    (0x208F, 0x208F), (0x209D, 0x209F), (0x20C1, 0x20C4), (0x2427, 0x2429), (0x2B96, 0x2B96), (0x2E60, 0x2E63),
    (0x2FFC, 0x2FFF), (0x31E4, 0x31EF), (0xA7CB, 0xA7CF), (0xA7D2, 0xA7D2), (0xA7D4, 0xA7D4), (0xA7DA, 0xA7F1),
    (0xAB6C, 0xAB6D), (0xFBC3, 0xFBD2), (0xFD90, 0xFD91), (0xFDC8, 0xFDCE), (0x105C0, 0x105F3), (0x107BB, 0x107BF),
    (0x10940, 0x10959), (0x10D40, 0x10D8F), (0x10EC2, 0x10EFF), (0x1123F, 0x11241), (0x11380, 0x113E2),
    (0x116D0, 0x116E3), (0x11B00, 0x11BF9), (0x11DB0, 0x11DF1), (0x11F00, 0x11F5A), (0x1246F, 0x1246F),
    (0x12475, 0x1247F), (0x12550, 0x12686), (0x1342F, 0x143FA), (0x16100, 0x16139), (0x16D40, 0x16D79),
    (0x16EA0, 0x16ED3), (0x16FF2, 0x16FF6), (0x187F8, 0x187FF), (0x18CD6, 0x18CFF), (0x18D09, 0x191D2),
    (0x1B123, 0x1B132), (0x1B155, 0x1B155), (0x1B168, 0x1B168), (0x1CC00, 0x1CEFD), (0x1D127, 0x1D128),
    (0x1D1EB, 0x1D1FF), (0x1D250, 0x1D2D3), (0x1D6A6, 0x1D6A6), (0x1DB00, 0x1DB1C), (0x1DF1F, 0x1DFFF),
    (0x1E030, 0x1E08F), (0x1E4D0, 0x1E6FF), (0x1F1AE, 0x1F1AE), (0x1F6D8, 0x1F6DC), (0x1F774, 0x1F77F),
    (0x1F7D9, 0x1F7DB), (0x1F7F1, 0x1F7FF), (0x1F8B2, 0x1F8D8), (0x1FA54, 0x1FA57), (0x1FA75, 0x1FA77),
    (0x1FA87, 0x1FA8F), (0x1FAAD, 0x1FAAF), (0x1FABB, 0x1FABF), (0x1FAC6, 0x1FACF), (0x1FADA, 0x1FADF),
    (0x1FAE8, 0x1FAEF), (0x1FAF7, 0x1FAFA), (0x1FBCB, 0x1FBEF), (0x1FBFA, 0x1FBFA), (0x2B739, 0x2B73F),
    (0x2B81E, 0x2B81E), (0x2CEA2, 0x2CEAD), (0x2EBF0, 0x2EE5D), (0x31350, 0x3FC3F),
];

#[cfg(test)]
mod tests {
    use super::*;
    use ring::digest::{SHA256, digest};

    #[test]
    fn texts_are_shown_as_python_shows_them() {
        for (text, shown) in [
            ("", "''"),
            ("it's", "\"it's\""),
            ("it's \"it\"", "'it\\'s \"it\"'"),
            ("a\\b\n\r\t\u{1}", r"'a\\b\n\r\t\x01'"),
            ("\u{7f}\u{a0}é☃", r"'\x7f\xa0é☃'"),
            ("\u{200b}\u{1f600}\u{e0001}", "'\\u200b\u{1f600}\\U000e0001'"),
        ] {
            assert_eq!(repr(text), shown);
        }
    }

    /// `hashlib.sha256(bytes(chr(c).isprintable() for c in range(0x110000))).hexdigest()` in CPython 3.11.
    #[test]
    fn every_code_point_is_printable_if_it_is_in_python() {
        let printable: Vec<u8> = (0..0x11_0000)
            .map(|code| char::from_u32(code).is_some_and(is_printable).into())
            .collect();
        // `Debug` shows the algorithm and hexadecimal digits.
        assert_eq!(
            format!("{:?}", digest(&SHA256, &printable)),
            "SHA256:8a3c3a3d69c6e08239dab306dcf53a58ec670792bac351388902bb0a4c818343"
        );
    }
}
