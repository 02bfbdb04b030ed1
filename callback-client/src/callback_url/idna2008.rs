//! IDNA 2008 labels (RFC 5891), as checked for urllib3 by Python's `idna` package: the labels that `requests` can dial.

use icu_properties::props::{BidiClass, GeneralCategory, JoiningType, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use idna::punycode;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::is_nfc;

use super::derived_property::{DerivedProperty, derived_property};

const VIRAMA: u8 = 9;

/// Returns the A-label of a label that is not ASCII before it is converted to lower case; `None` if it is not a valid
/// label.
pub(super) fn to_a_label(label: &str) -> Option<String> {
    let label = label.to_lowercase();
    let (a_label, u_label) = match label.strip_prefix("xn--").filter(|_| label.is_ascii()) {
        Some(code) => {
            let u_label =
                punycode::decode_to_string(code).filter(|_| !code.is_empty() && !code.ends_with('-'))?;
            (format!("xn--{}", punycode::encode_str(&u_label)?), u_label)
        }
        None if label.is_ascii() => (label.clone(), label.clone()),
        None => (format!("xn--{}", punycode::encode_str(&label)?), label.clone()),
    };
    let is_canonical = !label.is_ascii() || a_label == label;
    (is_canonical && is_valid(&u_label) && a_label.len() < 64).then_some(a_label)
}

fn is_valid(label: &str) -> bool {
    let characters: Vec<char> = label.chars().collect();
    let has_hyphens_at_3_and_4 = characters.get(2..4) == Some(&['-', '-']);
    is_nfc(label)
        && !has_hyphens_at_3_and_4
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !characters.first().is_some_and(|&c| is_mark(c))
        && (0..characters.len()).all(|at| is_allowed(&characters, at))
        && keeps_bidi_rule(&characters)
}

fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    matches!(
        general_category().get(c),
        NonspacingMark | SpacingMark | EnclosingMark
    )
}

fn is_allowed(label: &[char], at: usize) -> bool {
    match derived_property(label[at]) {
        DerivedProperty::Valid => true,
        DerivedProperty::Joiner => is_joiner_in_place(label, at),
        DerivedProperty::OtherContext => is_in_context(label, at),
        DerivedProperty::Disallowed => false,
    }
}

/// Applies RFC 5892 appendix A.1 and A.2.
fn is_joiner_in_place(label: &[char], at: usize) -> bool {
    const NON_JOINER: char = '\u{200C}';
    let (before, after) = (&label[..at], &label[at + 1..]);
    if before
        .last()
        .is_some_and(|&c| canonical_combining_class(c) == VIRAMA)
    {
        return true;
    }
    let type_of = |&c: &char| CodePointMapData::<JoiningType>::new().get(c);
    let is_seen = |joining: &JoiningType| *joining != JoiningType::Transparent;
    let joins_before = before.iter().rev().map(type_of).find(is_seen);
    let joins_after = after.iter().map(type_of).find(is_seen);
    label[at] == NON_JOINER
        && matches!(
            joins_before,
            Some(JoiningType::LeftJoining | JoiningType::DualJoining)
        )
        && matches!(
            joins_after,
            Some(JoiningType::RightJoining | JoiningType::DualJoining)
        )
}

/// Applies RFC 5892 appendix A.3 to A.9.
fn is_in_context(label: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|at| label[at]);
    let after = label.get(at + 1).copied();
    let script = |c: char| CodePointMapData::<Script>::new().get(c);
    match label[at] {
        '\u{B7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => after.is_some_and(|c| script(c) == Script::Greek),
        '\u{5F3}' | '\u{5F4}' => before.is_some_and(|c| script(c) == Script::Hebrew),
        '\u{30FB}' => label
            .iter()
            .any(|&c| matches!(script(c), Script::Hiragana | Script::Katakana | Script::Han)),
        '\u{660}'..='\u{669}' => !label.iter().any(|c| matches!(c, '\u{6F0}'..='\u{6F9}')),
        '\u{6F0}'..='\u{6F9}' => !label.iter().any(|c| matches!(c, '\u{660}'..='\u{669}')),
        _ => false,
    }
}

/// Applies RFC 5893 section 2, for labels that contain a right-to-left character.
fn keeps_bidi_rule(label: &[char]) -> bool {
    let class = |&c: &char| CodePointMapData::<BidiClass>::new().get(c);
    let classes: Vec<BidiClass> = label.iter().map(class).collect();
    let is_rtl = |&class: &BidiClass| matches!(class, BidiClass::RightToLeft | BidiClass::ArabicLetter);
    if !classes
        .iter()
        .any(|class| is_rtl(class) || *class == BidiClass::ArabicNumber)
    {
        return true;
    }
    let Some(last) = classes.iter().rfind(|&&class| class != BidiClass::NonspacingMark) else {
        return false;
    };
    if classes.first() == Some(&BidiClass::LeftToRight) {
        classes
            .iter()
            .all(|&class| class == BidiClass::LeftToRight || is_neutral(class))
            && matches!(*last, BidiClass::LeftToRight | BidiClass::EuropeanNumber)
    } else {
        let has = |class| classes.contains(&class);
        classes.first().is_some_and(is_rtl)
            && classes
                .iter()
                .all(|class| is_rtl(class) || *class == BidiClass::ArabicNumber || is_neutral(*class))
            && (is_rtl(last) || matches!(*last, BidiClass::EuropeanNumber | BidiClass::ArabicNumber))
            && !(has(BidiClass::EuropeanNumber) && has(BidiClass::ArabicNumber))
    }
}

/// Returns whether the class is allowed in labels of either direction.
fn is_neutral(class: BidiClass) -> bool {
    matches!(
        class,
        BidiClass::EuropeanNumber
            | BidiClass::EuropeanSeparator
            | BidiClass::CommonSeparator
            | BidiClass::EuropeanTerminator
            | BidiClass::OtherNeutral
            | BidiClass::BoundaryNeutral
            | BidiClass::NonspacingMark
    )
}

fn general_category() -> CodePointMapDataBorrowed<'static, GeneralCategory> {
    CodePointMapData::<GeneralCategory>::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (label, expected) in [
            ("Bücher", Some("xn--bcher-kva")),
            ("straße", Some("xn--strae-oqa")),
            ("ΒΌΛΟΣ", Some("xn--nxasmm1c")),
            ("l·l", Some("xn--ll-0ea")),
            ("カ・", Some("xn--lckyi")),
            ("क्\u{200D}ष", Some("xn--11b2ezcw70k")),
            ("ﬁ", None),
            ("☃", None),
            ("·", None),
            ("・", None),
            ("a\u{200D}b", None),
            ("\u{301}", None),
            ("e\u{301}", None),
            ("-é", None),
            ("ab--é", None),
            ("١۲", None),
            ("אa", None),
        ] {
            assert_eq!(to_a_label(label).as_deref(), expected, "{label}");
        }
    }

    #[test]
    fn labels_have_at_most_63_characters() {
        assert!(to_a_label(&"é".repeat(50)).is_some());
        assert!(to_a_label(&"é".repeat(70)).is_none());
    }
}
