//! The times in the headers `eta` and `expires`, read as Celery reads them (contract A.5).

mod date;
mod digits;
mod error;

use jiff::civil;

use self::date::Date;
use self::digits::{int, slice};
use crate::iso_time::IsoTime;

pub use self::error::IsoError;

/// Reads a time as `dateutil.parser.isoparse` does: basic and extended form, date only, week and ordinal dates, any
/// single character between date and time, `Z`, a comma or point before the fraction (`reference-iso8601`).
///
/// # Errors
/// The text of the `ValueError` that Python raises.
pub fn parse(text: &str) -> Result<IsoTime, IsoError> {
    if !text.is_ascii() {
        return Err(IsoError::new(
            "ISO-8601 strings should contain only ASCII characters",
        ));
    }
    let bytes = text.as_bytes();
    let (date, length) = date::common(bytes).or_else(|_| date::uncommon(bytes))?;
    let (time, offset) = match bytes.get(length + 1..) {
        Some(time) => iso_time(time)?,
        None if bytes.len() > length => return Err(IsoError::new("ISO time too short")),
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
            .ok_or_else(|| IsoError::new("date value out of range"))?;
    }
    Ok(IsoTime { civil, offset })
}

/// Reads hour, minute, second and microsecond, and the offset in microseconds.
fn iso_time(bytes: &[u8]) -> Result<([i32; 4], Option<i64>), IsoError> {
    if bytes.len() < 2 {
        return Err(IsoError::new("ISO time too short"));
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
                return Err(IsoError::new("Inconsistent use of colon separator"));
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
        return Err(IsoError::new("Unused components in ISO string"));
    }
    if let [24, rest @ ..] = components
        && rest != [0; 3]
    {
        return Err(IsoError::new("Hour may only be 24 at 24:00:00.000"));
    }
    Ok((components, offset))
}

/// Reads a fraction such as `.5` or `,5`. Returns microseconds and the number of bytes read.
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
        return Err(IsoError::new("Time zone offset must be 1, 3, 5 or 6 characters"));
    }
    let sign = match bytes.first() {
        Some(b'-') => -1,
        Some(b'+') => 1,
        _ => return Err(IsoError::new("Time zone offset requires sign")),
    };
    let hours = int(slice(bytes, 1, 3))?;
    let minutes = match bytes.get(3) {
        None => 0,
        Some(b':') => int(slice(bytes, 4, 6))?,
        Some(_) => int(slice(bytes, 3, 6))?,
    };
    if minutes > 59 {
        return Err(IsoError::new("Invalid minutes in time zone offset"));
    }
    if hours > 23 {
        return Err(IsoError::new("Invalid hours in time zone offset"));
    }
    Ok(i64::from(sign * (hours * 60 + minutes)) * 60_000_000)
}

/// Checks the ranges in the order of Python's `datetime()`, with its error texts.
pub(crate) fn datetime(
    [year, month, day]: Date,
    [hour, minute, second, microsecond]: [i32; 4],
) -> Result<civil::DateTime, IsoError> {
    if !(1..=9999).contains(&year) {
        return Err(IsoError::new(format!("year {year} is out of range")));
    }
    if !(1..=12).contains(&month) {
        return Err(IsoError::new("month must be in 1..12"));
    }
    if !(0..24).contains(&hour) && valid_day(year, month, day) {
        return Err(IsoError::new("hour must be in 0..23"));
    }
    if !(0..60).contains(&minute) && valid_day(year, month, day) {
        return Err(IsoError::new("minute must be in 0..59"));
    }
    if !(0..60).contains(&second) && valid_day(year, month, day) {
        return Err(IsoError::new("second must be in 0..59"));
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
    .map_err(|_| IsoError::new("day is out of range for month"))
}

fn valid_day(year: i32, month: i32, day: i32) -> bool {
    let (Ok(year), Ok(month), Ok(day)) = (i16::try_from(year), i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    civil::Date::new(year, month, day).is_ok()
}
