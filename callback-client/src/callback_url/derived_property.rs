//! Which characters IDNA 2008 allows in a label: the derived property of RFC 5892, computed from Unicode's own.

use icu_properties::props::{
    ChangesWhenNfkcCasefolded, DefaultIgnorableCodePoint, GeneralCategory, NoncharacterCodePoint, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The classes of RFC 5892 section 2; unassigned code points count as disallowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DerivedProperty {
    Valid,
    /// Allowed in the contexts of appendix A.1 and A.2.
    Joiner,
    /// Allowed in the contexts of appendix A.3 to A.9.
    OtherContext,
    Disallowed,
}

pub(super) fn derived_property(c: char) -> DerivedProperty {
    match c {
        '-'
        | '0'..='9'
        | 'a'..='z'
        | '\u{DF}'
        | '\u{3C2}'
        | '\u{6FD}'
        | '\u{6FE}'
        | '\u{F0B}'
        | '\u{3007}' => DerivedProperty::Valid,
        '\u{200C}' | '\u{200D}' => DerivedProperty::Joiner,
        '\u{B7}'
        | '\u{375}'
        | '\u{5F3}'
        | '\u{5F4}'
        | '\u{660}'..='\u{669}'
        | '\u{6F0}'..='\u{6F9}'
        | '\u{30FB}' => DerivedProperty::OtherContext,
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => {
            DerivedProperty::Disallowed
        }
        _ if is_old_hangul_jamo(c) || is_unstable(c) || is_ignorable(c) => DerivedProperty::Disallowed,
        _ if is_letter_or_digit(c) => DerivedProperty::Valid,
        _ => DerivedProperty::Disallowed,
    }
}

fn is_old_hangul_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97F}' | '\u{D7B0}'..='\u{D7FF}')
}

fn is_unstable(c: char) -> bool {
    CodePointSetData::new::<ChangesWhenNfkcCasefolded>().contains(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<WhiteSpace>().contains(c)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
        || matches!(c, '\u{20D0}'..='\u{20FF}' | '\u{1D100}'..='\u{1D1FF}' | '\u{1D200}'..='\u{1D24F}')
}

fn is_letter_or_digit(c: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, LowercaseLetter, ModifierLetter, NonspacingMark, OtherLetter, SpacingMark,
        UppercaseLetter,
    };
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        LowercaseLetter
            | UppercaseLetter
            | OtherLetter
            | DecimalNumber
            | ModifierLetter
            | NonspacingMark
            | SpacingMark
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (c, expected) in [
            ('a', DerivedProperty::Valid),
            ('A', DerivedProperty::Disallowed),
            ('ß', DerivedProperty::Valid),
            ('中', DerivedProperty::Valid),
            ('☃', DerivedProperty::Disallowed),
            ('\u{200D}', DerivedProperty::Joiner),
            ('·', DerivedProperty::OtherContext),
            ('ﬁ', DerivedProperty::Disallowed),
            ('\u{E000}', DerivedProperty::Disallowed),
        ] {
            assert_eq!(derived_property(c), expected, "{c}");
        }
    }
}
