//! The text of a Python `Decimal`.

/// Returns `str(Decimal(text))`, or `None` if Python raises `InvalidOperation`.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let cleaned: String = text
        .trim_matches(is_python_space)
        .chars()
        .filter(|c| *c != '_')
        .collect();
    let (sign, number) = match cleaned.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", cleaned.strip_prefix('+').unwrap_or(&cleaned)),
    };
    let lower = number.to_ascii_lowercase();
    if matches!(lower.as_str(), "inf" | "infinity") {
        return Some(format!("{sign}Infinity"));
    }
    for (prefix, name) in [("snan", "sNaN"), ("nan", "NaN")] {
        if let Some(payload) = lower.strip_prefix(prefix) {
            let payload = payload.trim_start_matches('0');
            return payload
                .bytes()
                .all(|digit| digit.is_ascii_digit())
                .then(|| format!("{sign}{name}{payload}"));
        }
    }
    let (coefficient, exponent) = match lower.split_once('e') {
        Some((coefficient, exponent)) => (coefficient, parse_exponent(exponent)?),
        None => (lower.as_str(), 0),
    };
    let (whole, fraction) = coefficient.split_once('.').unwrap_or((coefficient, ""));
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    Some(format!("{sign}{}", scientific(digits, exponent)))
}

/// Returns `str(Decimal(number))`: the exact value of the binary number.
pub(crate) fn of_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // A double has at most 1,074 decimals, and Rust prints all of them.
    let exact = format!("{number:.1074}");
    let exact = exact.trim_end_matches('0').trim_end_matches('.');
    canonical(exact).unwrap_or_default()
}

/// Parses an exponent within Python's limits: `MAX_EMAX` is 999999999999999999.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>()
        .ok()
        .filter(|exponent| exponent.abs() <= 999_999_999_999_999_999)
}

/// Performs the to-scientific-string operation of the decimal specification.
fn scientific(digits: &str, exponent: i64) -> String {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = exponent.saturating_add(length - 1);
    if exponent <= 0 && adjusted >= -6 {
        let decimals = usize::try_from(-exponent).unwrap_or_default();
        if decimals == 0 {
            return digits.to_owned();
        }
        let padded = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = padded.split_at(padded.len() - decimals);
        return format!("{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}E{adjusted:+}")
}

/// Python's `str.isspace()`.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1C}'..='\u{1F}')
}
