//! Nameprep (RFC 3491) as Python's `encodings.idna.nameprep` does it: with the normalisation of Unicode 3.2, and lower
//! case for upper-case letters of any later version.

use stringprep::tables;
use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};

/// Returns the prepared label, or `None` if it contains a prohibited character or mixes directions.
pub(super) fn nameprep(label: &str) -> Option<String> {
    let folded = label
        .chars()
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .flat_map(char::to_lowercase)
        .flat_map(tables::case_fold_for_nfkc);
    let prepared = nfkc_of_unicode_3_2(folded);
    let is_allowed = !prepared.iter().copied().any(is_prohibited) && has_one_direction(&prepared);
    is_allowed.then(|| prepared.into_iter().collect())
}

fn is_prohibited(c: char) -> bool {
    !c.is_ascii()
        && (tables::non_ascii_space_character(c)
            || tables::non_ascii_control_character(c)
            || tables::private_use(c)
            || tables::non_character_code_point(c)
            || tables::inappropriate_for_plain_text(c)
            || tables::inappropriate_for_canonical_representation(c)
            || tables::change_display_properties_or_deprecated(c)
            || tables::tagging_character(c))
}

/// Applies RFC 3454 section 6: a label with right-to-left characters begins and ends with one and has no left-to-right
/// characters.
fn has_one_direction(label: &[char]) -> bool {
    let is_rtl = |&c: &char| !c.is_ascii() && tables::bidi_r_or_al(c) && !tables::unassigned_code_point(c);
    let is_ltr = |&c: &char| tables::bidi_l(c) && !tables::unassigned_code_point(c);
    !label.iter().any(is_rtl)
        || !label.iter().any(is_ltr) && label.first().is_some_and(is_rtl) && label.last().is_some_and(is_rtl)
}

/// Returns the NFKC form, in which code points that are not in Unicode 3.2 stay as they are.
fn nfkc_of_unicode_3_2(text: impl Iterator<Item = char>) -> Vec<char> {
    let mut decomposed = Vec::new();
    for c in text {
        if c.is_ascii() || tables::unassigned_code_point(c) {
            decomposed.push(c);
        } else {
            decompose_compatible(c, |part| decomposed.push(part));
        }
    }
    for run in decomposed.chunk_by_mut(|_, &next| canonical_combining_class(next) != 0) {
        let marks = usize::from(run.first().is_some_and(|&c| canonical_combining_class(c) == 0));
        run[marks..].sort_by_key(|&c| canonical_combining_class(c));
    }
    composed(&decomposed)
}

/// Applies canonical composition: every mark that is not blocked is combined with the starter before it (UAX 15, D117).
fn composed(decomposed: &[char]) -> Vec<char> {
    let mut composed: Vec<char> = Vec::with_capacity(decomposed.len());
    let mut starter = None;
    let mut last_class = 0;
    for &c in decomposed {
        let class = canonical_combining_class(c);
        if let Some(at) = starter
            && (at + 1 == composed.len() || last_class < class)
            && let Some(joined) = compose(composed[at], c)
        {
            composed[at] = joined;
            continue;
        }
        if class == 0 {
            starter = Some(composed.len());
        }
        last_class = class;
        composed.push(c);
    }
    composed
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn normalises_what_unicode_3_2_knew() {
        for text in [
            "e\u{301}\u{323}",
            "ﬁ①Å",
            "\u{1100}\u{1161}\u{11A8}",
            "\u{3B1}\u{345}\u{301}",
            "カ\u{3099}",
        ] {
            let expected: String = text.nfkc().collect();
            let ours: String = nfkc_of_unicode_3_2(text.chars()).into_iter().collect();
            assert_eq!(ours, expected, "{text}");
        }
    }

    #[test]
    fn leaves_later_characters_alone() {
        assert_eq!(nameprep("\u{1F150}").as_deref(), Some("\u{1F150}"));
        assert_eq!(nameprep("ẞꙀ").as_deref(), Some("ssꙁ"));
    }

    #[test]
    fn maps_folds_and_refuses() {
        assert_eq!(nameprep("Stra\u{AD}ßE").as_deref(), Some("strasse"));
        assert_eq!(nameprep("a\u{A0}").as_deref(), Some("a "));
        assert_eq!(nameprep("a\u{E000}"), None);
        assert_eq!(nameprep("\u{5D0}a"), None);
        assert_eq!(nameprep("\u{5D0}1"), None);
        assert_eq!(nameprep("\u{5D0}1\u{5D0}").as_deref(), Some("\u{5D0}1\u{5D0}"));
    }
}
