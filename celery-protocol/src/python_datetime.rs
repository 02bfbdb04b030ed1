//! `fromisoformat()` of CPython 3.11's `datetime`, `date` and `time`, which decode the typed values of contract A.8.
//!
//! Follows `Modules/_datetimemodule.c` step by step, because it accepts more than the documentation states.

use jiff::civil;

use crate::iso_time::IsoTime;
use crate::iso8601;

/// An error: Python does not accept the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotIsoFormat;

/// Python's `datetime.fromisoformat(text)`.
pub(crate) fn datetime(text: &str) -> Result<IsoTime, NotIsoFormat> {
    let bytes = text.as_bytes();
    if bytes.len() < 7 {
        return Err(NotIsoFormat);
    }
    let separator = find_separator(bytes).ok_or(NotIsoFormat)?;
    let date = parse_date(bytes, separator)?;
    let (time, offset) = if bytes.len() > separator {
        let width = match at(bytes, separator) {
            0x00..=0x7F => 1,
            lead => match lead & 0xF0 {
                0xE0 => 3,
                0xF0 => 4,
                _ => 2,
            },
        };
        parse_time(bytes.get(separator + width..).ok_or(NotIsoFormat)?)?
    } else {
        ([0; 4], None)
    };
    let civil = iso8601::datetime(date, time).map_err(|_| NotIsoFormat)?;
    Ok(IsoTime { civil, offset })
}

/// `datetime.fromisoformat(text).date()`, which kombu calls for a date.
pub(crate) fn date(text: &str) -> Result<civil::Date, NotIsoFormat> {
    datetime(text).map(|time| time.civil.date())
}

/// `time.fromisoformat(text)`: the time of day and the offset in microseconds.
pub(crate) fn time(text: &str) -> Result<(civil::Time, Option<i64>), NotIsoFormat> {
    let text = text.strip_prefix('T').unwrap_or(text);
    let (time, offset) = parse_time(text.as_bytes())?;
    let civil = iso8601::datetime([1, 1, 1], time).map_err(|_| NotIsoFormat)?;
    Ok((civil.time(), offset))
}

/// Returns the byte at the index, or 0 behind the end, as in the C string.
fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

fn find_separator(text: &[u8]) -> Option<usize> {
    if text.len() == 7 {
        return Some(7);
    }
    if at(text, 4) == b'-' {
        if at(text, 5) != b'W' {
            return Some(10);
        }
        if text.len() > 8 && at(text, 8) == b'-' {
            return match text.len() {
                9 => None,
                11.. if at(text, 10).is_ascii_digit() => Some(8),
                _ => Some(10),
            };
        }
        return Some(8);
    }
    if at(text, 4) != b'W' {
        return Some(8);
    }
    let digits_end = (7..text.len())
        .find(|&i| !at(text, i).is_ascii_digit())
        .unwrap_or(text.len());
    Some(match digits_end {
        0..9 => digits_end,
        end if end % 2 == 0 => 7,
        _ => 8,
    })
}

fn digits(text: &[u8], pos: &mut usize, count: usize) -> Result<i32, NotIsoFormat> {
    let mut number = 0;
    for _ in 0..count {
        let digit = at(text, *pos);
        if !digit.is_ascii_digit() {
            return Err(NotIsoFormat);
        }
        number = number * 10 + i32::from(digit - b'0');
        *pos += 1;
    }
    Ok(number)
}

fn parse_date(text: &[u8], length: usize) -> Result<[i32; 3], NotIsoFormat> {
    let mut pos = 0;
    let year = digits(text, &mut pos, 4)?;
    let has_separator = at(text, pos) == b'-';
    pos += usize::from(has_separator);
    if at(text, pos) == b'W' {
        pos += 1;
        let week = digits(text, &mut pos, 2)?;
        let mut day = 1;
        if pos < length {
            if has_separator {
                if at(text, pos) != b'-' {
                    return Err(NotIsoFormat);
                }
                pos += 1;
            }
            day = digits(text, &mut pos, 1)?;
        }
        return iso_week_date(year, week, day).ok_or(NotIsoFormat);
    }
    let month = digits(text, &mut pos, 2)?;
    if has_separator {
        if at(text, pos) != b'-' {
            return Err(NotIsoFormat);
        }
        pos += 1;
    }
    let day = digits(text, &mut pos, 2)?;
    if pos == length {
        Ok([year, month, day])
    } else {
        Err(NotIsoFormat)
    }
}

fn iso_week_date(year: i32, week: i32, day: i32) -> Option<[i32; 3]> {
    let weekday = civil::Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
    let date = civil::ISOWeekDate::new(i16::try_from(year).ok()?, i8::try_from(week).ok()?, weekday)
        .ok()?
        .date();
    (1..=9999)
        .contains(&year)
        .then_some([date.year().into(), date.month().into(), date.day().into()])
}

type TimeAndOffset = ([i32; 4], Option<i64>);

fn parse_time(text: &[u8]) -> Result<TimeAndOffset, NotIsoFormat> {
    let zone = (0..text.len().max(1))
        .find(|&i| matches!(at(text, i), b'+' | b'-' | b'Z'))
        .unwrap_or(text.len().max(1));
    let (time, unread) = clock(text, 0, zone)?;
    if zone >= text.len() {
        return if unread {
            Err(NotIsoFormat)
        } else {
            Ok((time, None))
        };
    }
    if at(text, zone) == b'Z' {
        return if at(text, zone + 1) == 0 {
            Ok((time, Some(0)))
        } else {
            Err(NotIsoFormat)
        };
    }
    let ([hours, minutes, seconds, microseconds], unread) = clock(text, zone + 1, text.len())?;
    let offset = match hours * 3600 + minutes * 60 + seconds {
        // This is UTC, whatever the microseconds.
        0 => 0,
        seconds => i64::from(seconds) * 1_000_000 + i64::from(microseconds),
    };
    if unread || offset >= 86_400_000_000 {
        return Err(NotIsoFormat);
    }
    Ok((time, Some(if at(text, zone) == b'-' { -offset } else { offset })))
}

/// `parse_hh_mm_ss_ff`: reads hour, minute, second and microsecond, and returns whether anything is left over.
fn clock(text: &[u8], start: usize, end: usize) -> Result<([i32; 4], bool), NotIsoFormat> {
    let mut parts = [0; 4];
    let mut pos = start;
    let mut has_separator = true;
    for (i, part) in parts.iter_mut().take(3).enumerate() {
        *part = digits(text, &mut pos, 2)?;
        let next = at(text, pos);
        pos += 1;
        if i == 0 {
            has_separator = next == b':';
        }
        if pos >= end {
            return Ok((parts, next != 0));
        } else if has_separator && next == b':' {
            continue;
        } else if matches!(next, b'.' | b',') {
            break;
        } else if has_separator {
            return Err(NotIsoFormat);
        }
        pos -= 1;
    }
    let length = (end - pos).min(6);
    let fraction = digits(text, &mut pos, length)?;
    if let Some(part) = parts.last_mut() {
        *part = fraction
            * [1_000_000, 100_000, 10_000, 1000, 100, 10, 1]
                .get(length)
                .copied()
                .unwrap_or(1);
    }
    while at(text, pos).is_ascii_digit() {
        pos += 1;
    }
    Ok((parts, at(text, pos) != 0))
}
