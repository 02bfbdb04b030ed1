//! IDNA 2003 `ToASCII` (RFC 3490) as Python's `idna` codec does it: Unicode 3.2, unassigned code points allowed, no
//! STD3 rules (behaviour 1.7).

use std::borrow::Cow;

use super::nameprep::nameprep;

/// Returns the ASCII form of a host, or `None` if it has none.
///
/// An ASCII host stays as it is; only the sizes of its labels are checked.
pub(super) fn to_ascii(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        let (labels, last) = host
            .rsplit_once('.')
            .map_or((None, host), |(labels, last)| (Some(labels), last));
        let fits = labels.is_none_or(|labels| labels.split('.').all(is_of_size)) && last.len() < 64;
        return fits.then_some(Cow::Borrowed(host));
    }
    let mut labels: Vec<&str> = host.split(['.', '\u{3002}', '\u{FF0E}', '\u{FF61}']).collect();
    let has_trailing_dot = labels.pop_if(|label| label.is_empty()).is_some();
    let mut ascii = labels
        .into_iter()
        .map(label_to_ascii)
        .collect::<Option<Vec<_>>>()?
        .join(".");
    if has_trailing_dot {
        ascii.push('.');
    }
    Some(Cow::Owned(ascii))
}

fn label_to_ascii(label: &str) -> Option<Cow<'_, str>> {
    let ascii = if label.is_ascii() {
        Cow::Borrowed(label)
    } else {
        let prepared = nameprep(label)?;
        if prepared.is_ascii() {
            Cow::Owned(prepared)
        } else if prepared.starts_with("xn--") {
            return None;
        } else {
            Cow::Owned(format!("xn--{}", idna::punycode::encode_str(&prepared)?))
        }
    };
    is_of_size(&ascii).then_some(ascii)
}

fn is_of_size(label: &str) -> bool {
    (1..64).contains(&label.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: Option<&str>) {
        assert_eq!(to_ascii(host).as_deref(), expected, "{host}");
    }

    #[test]
    fn ascii_is_kept_as_it_is() {
        check("XN--a.B_c", Some("XN--a.B_c"));
        check("a.", Some("a."));
        check("", Some(""));
        check(".a", None);
        check("a..b", None);
    }

    #[test]
    fn other_labels_are_prepared_and_encoded() {
        check("Bücher.de", Some("xn--bcher-kva.de"));
        check("straße。DE．", Some("strasse.DE."));
        check("ｅｘ.com", Some("ex.com"));
        check("\u{AD}.com", None);
        check("é..com", None);
        check("ｘn--é.com", None);
    }

    #[test]
    fn unassigned_code_points_are_allowed() {
        check("\u{1F600}.com", Some("xn--e28h.com"));
        check("a\u{E000}b.com", None);
    }
}
