//! The times of the headers `eta` and `expires`, read as Celery reads them (contract A.5).

use jiff::civil;

use crate::iso_time::IsoTime;

/// Why a text is no time; the text is Python's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IsoError(String);

/// Reads a time as `dateutil.parser.isoparse` does: basic and extended form, date only, week and ordinal dates, any
/// one character between date and time, `Z`, comma or point before the fraction (`reference-iso8601`).
///
/// # Errors
/// The text of the `ValueError` that Python raises.
pub fn parse(text: &str) -> Result<IsoTime, IsoError> {
    if !text.is_ascii() {
        return Err(error("ISO-8601 strings should contain only ASCII characters"));
    }
    let bytes = text.as_bytes();
    let (date, length) = common_date(bytes).or_else(|_| uncommon_date(bytes))?;
    let (time, offset) = match bytes.get(length + 1..) {
        Some(time) => iso_time(time)?,
        None if bytes.len() > length => return Err(error("ISO time too short")),
        None => ([0; 4], None),
    };
    let [hour, ..] = time;
    let midnight_after = hour == 24;
    let time = if midnight_after { [0; 4] } else { time };
    let mut civil = datetime(date, time)?;
    if midnight_after {
        civil = civil
            .tomorrow()
            .ok()
            .filter(|day| day.year() <= 9999)
            .ok_or_else(|| error("date value out of range"))?;
    }
    Ok(IsoTime { civil, offset })
}

fn error(text: impl Into<String>) -> IsoError {
    IsoError(text.into())
}

/// Python's `int(bytes)`: blanks around it, a sign and single underscores inside are fine.
fn int(bytes: &[u8]) -> Result<i32, IsoError> {
    let refused = || {
        error(format!(
            "invalid literal for int() with base 10: {}",
            crate::python_text::bytes_repr(bytes)
        ))
    };
    let digits = bytes.trim_ascii();
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, digits),
    };
    let mut number: i32 = 0;
    let mut after_digit = false;
    for byte in digits {
        match byte {
            b'0'..=b'9' => number = number * 10 + i32::from(byte - b'0'),
            b'_' if after_digit => {}
            _ => return Err(refused()),
        }
        after_digit = *byte != b'_';
    }
    if !after_digit {
        return Err(refused());
    }
    Ok(if negative { -number } else { number })
}

fn slice(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(bytes.len());
    bytes.get(from.min(to)..to).unwrap_or_default()
}

type Date = [i32; 3];

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, `YYYYMMDD`; and how many bytes that took.
fn common_date(bytes: &[u8]) -> Result<(Date, usize), IsoError> {
    if bytes.len() < 4 {
        return Err(error("ISO string too short"));
    }
    let year = int(slice(bytes, 0, 4))?;
    if bytes.len() == 4 {
        return Ok(([year, 1, 1], 4));
    }
    let has_separator = bytes.get(4) == Some(&b'-');
    let mut pos = 4 + usize::from(has_separator);
    if bytes.len() < pos + 2 {
        return Err(error("Invalid common month"));
    }
    let month = int(slice(bytes, pos, pos + 2))?;
    pos += 2;
    if pos >= bytes.len() {
        return if has_separator {
            Ok(([year, month, 1], pos))
        } else {
            Err(error("Invalid ISO format"))
        };
    }
    if has_separator {
        if bytes.get(pos) != Some(&b'-') {
            return Err(error("Invalid separator in ISO string"));
        }
        pos += 1;
    }
    if bytes.len() < pos + 2 {
        return Err(error("Invalid common day"));
    }
    Ok(([year, month, int(slice(bytes, pos, pos + 2))?], pos + 2))
}

/// `YYYY-Www`, `YYYYWww`, `YYYY-Www-D`, `YYYYWwwD`, `YYYY-DDD`, `YYYYDDD`.
fn uncommon_date(bytes: &[u8]) -> Result<(Date, usize), IsoError> {
    if bytes.len() < 4 {
        return Err(error("ISO string too short"));
    }
    let year = int(slice(bytes, 0, 4))?;
    let has_separator = bytes.get(4) == Some(&b'-');
    let mut pos = 4 + usize::from(has_separator);
    let first_day = |year: i32, day: i8| -> Result<civil::Date, IsoError> {
        i16::try_from(year)
            .ok()
            .filter(|year| (1..=9999).contains(year))
            .and_then(|year| civil::Date::new(year, 1, day).ok())
            .ok_or_else(|| error(format!("year {year} is out of range")))
    };
    let date = if bytes.get(pos) == Some(&b'W') {
        pos += 1;
        let week = int(slice(bytes, pos, pos + 2))?;
        pos += 2;
        let mut day = 1;
        if bytes.len() > pos {
            if (bytes.get(pos) == Some(&b'-')) != has_separator {
                return Err(error("Inconsistent use of dash separator"));
            }
            pos += usize::from(has_separator);
            day = int(slice(bytes, pos, pos + 1))?;
            pos += 1;
        }
        if !(1..54).contains(&week) {
            return Err(error(format!("Invalid week: {week}")));
        }
        if !(1..8).contains(&day) {
            return Err(error(format!("Invalid weekday: {day}")));
        }
        let jan_4 = first_day(year, 4)?;
        let to_monday = i32::from(jan_4.weekday().to_monday_zero_offset());
        jan_4.checked_add(jiff::Span::new().days((week - 1) * 7 + (day - 1) - to_monday))
    } else {
        if bytes.len() < pos + 3 {
            return Err(error("Invalid ordinal day"));
        }
        let ordinal = int(slice(bytes, pos, pos + 3))?;
        pos += 3;
        let days = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) {
            366
        } else {
            365
        };
        if !(1..=days).contains(&ordinal) {
            return Err(error(format!("Invalid ordinal day {ordinal} for year {year}")));
        }
        first_day(year, 1)?.checked_add(jiff::Span::new().days(ordinal - 1))
    };
    let date = date
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| error("date value out of range"))?;
    Ok(([date.year().into(), date.month().into(), date.day().into()], pos))
}

/// Hour, minute, second, microsecond, and the offset in microseconds.
fn iso_time(bytes: &[u8]) -> Result<([i32; 4], Option<i64>), IsoError> {
    if bytes.len() < 2 {
        return Err(error("ISO time too short"));
    }
    let mut components = [0; 4];
    let (mut offset, mut pos, mut has_separator) = (None, 0, false);
    for index in 0..6 {
        let Some(&byte) = bytes.get(pos) else { break };
        if matches!(byte, b'-' | b'+' | b'Z' | b'z') {
            offset = Some(zone(slice(bytes, pos, bytes.len()))?);
            pos = bytes.len();
            break;
        }
        if index == 1 && byte == b':' {
            has_separator = true;
            pos += 1;
        } else if index == 2 && has_separator {
            if byte != b':' {
                return Err(error("Inconsistent use of colon separator"));
            }
            pos += 1;
        }
        match components.get_mut(index) {
            Some(component) if index < 3 => {
                *component = int(slice(bytes, pos, pos + 2))?;
                pos += 2;
            }
            Some(component) => {
                if let Some((microsecond, length)) = fraction(slice(bytes, pos, bytes.len())) {
                    *component = microsecond;
                    pos += length;
                }
            }
            None => {}
        }
    }
    if pos < bytes.len() {
        return Err(error("Unused components in ISO string"));
    }
    if let [24, rest @ ..] = components
        && rest != [0; 3]
    {
        return Err(error("Hour may only be 24 at 24:00:00.000"));
    }
    Ok((components, offset))
}

/// `.5` or `,5`: microseconds, and the bytes read.
fn fraction(bytes: &[u8]) -> Option<(i32, usize)> {
    let [b'.' | b',', digits @ ..] = bytes else {
        return None;
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let microsecond = (0..6).fold(0, |sum, i| {
        sum * 10
            + digits
                .get(i)
                .filter(|_| i < length)
                .map_or(0, |digit| i32::from(digit - b'0'))
    });
    Some((microsecond, length + 1))
}

fn zone(bytes: &[u8]) -> Result<i64, IsoError> {
    if matches!(bytes, b"Z" | b"z") {
        return Ok(0);
    }
    if !matches!(bytes.len(), 3 | 5 | 6) {
        return Err(error("Time zone offset must be 1, 3, 5 or 6 characters"));
    }
    let sign = match bytes.first() {
        Some(b'-') => -1,
        Some(b'+') => 1,
        _ => return Err(error("Time zone offset requires sign")),
    };
    let hours = int(slice(bytes, 1, 3))?;
    let minutes = match bytes.get(3) {
        None => 0,
        Some(b':') => int(slice(bytes, 4, 6))?,
        Some(_) => int(slice(bytes, 3, 6))?,
    };
    if minutes > 59 {
        return Err(error("Invalid minutes in time zone offset"));
    }
    if hours > 23 {
        return Err(error("Invalid hours in time zone offset"));
    }
    Ok(i64::from(sign * (hours * 60 + minutes)) * 60_000_000)
}

/// With the range checks, and their texts, of Python's `datetime()`.
pub(crate) fn datetime(
    [year, month, day]: Date,
    [hour, minute, second, microsecond]: [i32; 4],
) -> Result<civil::DateTime, IsoError> {
    if !(1..=9999).contains(&year) {
        return Err(error(format!("year {year} is out of range")));
    }
    if !(1..=12).contains(&month) {
        return Err(error("month must be in 1..12"));
    }
    if !(0..24).contains(&hour) && valid_day(year, month, day) {
        return Err(error("hour must be in 0..23"));
    }
    if !(0..60).contains(&minute) && valid_day(year, month, day) {
        return Err(error("minute must be in 0..59"));
    }
    if !(0..60).contains(&second) && valid_day(year, month, day) {
        return Err(error("second must be in 0..59"));
    }
    let small = |number: i32| i8::try_from(number).unwrap_or(-1);
    civil::DateTime::new(
        i16::try_from(year).unwrap_or_default(),
        small(month),
        small(day),
        small(hour),
        small(minute),
        small(second),
        microsecond * 1000,
    )
    .map_err(|_| error("day is out of range for month"))
}

fn valid_day(year: i32, month: i32, day: i32) -> bool {
    let (Ok(year), Ok(month), Ok(day)) = (i16::try_from(year), i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    civil::Date::new(year, month, day).is_ok()
}
