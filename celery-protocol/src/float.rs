//! The text of a Python `float`.

/// Returns the `repr()` of a Python float: the shortest text that reads back to the same number, `1e+16`, `1e-07`,
/// `nan`, `inf` (contract A.8, `reference-float-repr`).
pub fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = shortest(value);
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    plain(mantissa, exponent)
}

/// Returns the shortest digits that read back to the same number, as `d.ddde±x`. If two candidates are equally near,
/// Python takes the even one, Rust the upper.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest
        .bytes()
        .take_while(|byte| *byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    let even = format!("{value:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(value) { even } else { shortest }
}

/// Formats without an exponent and with at least one digit after the point.
fn plain(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let point = exponent + 1;
    if let Ok(before) = usize::try_from(point)
        && before > 0
    {
        let padded = format!("{digits:0<width$}", width = before + 1);
        let (whole, fraction) = padded.split_at(before);
        return format!("{sign}{whole}.{fraction}");
    }
    format!(
        "{sign}0.{}{digits}",
        "0".repeat(usize::try_from(-point).unwrap_or_default())
    )
}

/// Formats a float for JSON as Python does: like [`repr`], but `NaN`, `Infinity`, `-Infinity` (contract A.8).
pub fn json(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        repr(value)
    }
}
