//! Builds a call that a producer may make from a fuzzer's bytes: every option, every kind of value.

use arbitrary::{Result, Unstructured};
use celery_protocol::{BigInt, Compression, Dict, Embed, IsoTime, Sender, Signature, TaskCall, Text, Value};
use jiff::Timestamp;
use uuid::Uuid;

/// The maximum depth of nested values.
const LEVELS: u8 = 5;

/// Returns a call whose message decodes to the same values: it contains no tuples, because JSON turns them into lists,
/// and no numbers that do not equal themselves.
pub fn call(u: &mut Unstructured<'_>) -> Result<TaskCall> {
    let sender = Sender {
        origin: "gen1@host".to_owned(),
        reply_to: Uuid::nil().to_string(),
    };
    let compressions = [
        Compression::Zlib,
        Compression::Bzip2,
        Compression::Lzma,
        Compression::Brotli,
        Compression::Zstd,
    ];
    // Packing takes a hundred times as long as everything else.
    let compression = if u.ratio(499_u16, 500_u16)? {
        None
    } else {
        Some(*u.choose(&compressions)?)
    };
    Ok(TaskCall {
        args: values(u)?,
        kwargs: dict(u, LEVELS)?,
        embed: embed(u)?,
        shadow: shown(u)?,
        eta: time(u)?,
        expires: time(u)?,
        group: shown(u)?,
        group_index: u.arbitrary()?,
        retries: u.arbitrary()?,
        timelimit: (limit(u)?, limit(u)?),
        parent_id: u.arbitrary()?,
        ignore_result: u.arbitrary()?,
        replaced_task_nesting: u.arbitrary()?,
        stamped_headers: u.arbitrary()?,
        priority: u.arbitrary()?,
        compression,
        ..TaskCall::new(u.arbitrary()?, u.arbitrary::<String>()?, &sender)
    })
}

/// Returns any value that JSON preserves.
pub fn value(u: &mut Unstructured<'_>, levels: u8) -> Result<Value> {
    let kinds = if levels == 0 { 12 } else { 14 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::None,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::Int(u.arbitrary()?),
        3 => Value::from(u.arbitrary::<i128>()?),
        4 => digits(u)?,
        5 => Value::Float(number(u)?),
        6 => Value::Text(text(u)?),
        7 => Value::Bytes(u.arbitrary()?),
        8 => Value::Uuid(Uuid::from_u128(u.arbitrary()?)),
        9 => Value::DateTime(moment(u)?),
        10 => Value::Date(moment(u)?[..10].to_owned()),
        11 => Value::Time(moment(u)?[11..].to_owned()),
        12 => Value::Decimal(format!(
            "{}.{}",
            u.int_in_range(1..=i32::MAX)?,
            u.arbitrary::<u32>()?
        )),
        13 => Value::List(
            (0..u.int_in_range(0..=4)?)
                .map(|_| value(u, levels - 1))
                .collect::<Result<_>>()?,
        ),
        _ => Value::Dict(dict(u, levels - 1)?),
    })
}

fn values(u: &mut Unstructured<'_>) -> Result<Vec<Value>> {
    (0..u.int_in_range(0..=5)?).map(|_| value(u, LEVELS)).collect()
}

fn dict(u: &mut Unstructured<'_>, levels: u8) -> Result<Dict> {
    let mut dict = Dict::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let key = text(u)?;
        // An object with this key and one more could be read as a typed value.
        if key.as_str() != Some("__type__") {
            dict.insert(key, value(u, levels)?);
        }
    }
    Ok(dict)
}

fn embed(u: &mut Unstructured<'_>) -> Result<Embed> {
    let mut list = || -> Result<Option<Vec<Signature>>> {
        match u.int_in_range(0..=3)? {
            0 => Ok(None),
            length => (1..length).map(|_| signature(u)).collect::<Result<_>>().map(Some),
        }
    };
    Ok(Embed {
        callbacks: list()?,
        errbacks: list()?,
        chain: list()?,
        chord: if u.arbitrary()? { Some(signature(u)?) } else { None },
    })
}

fn signature(u: &mut Unstructured<'_>) -> Result<Signature> {
    Ok(Signature::new(u.arbitrary()?, vec![value(u, 1)?], dict(u, 1)?))
}

/// Returns code points including surrogates, but no high one in front of a low one, because JSON joins those.
fn text(u: &mut Unstructured<'_>) -> Result<Text> {
    let mut text = Text::new();
    let mut after_high = false;
    for _ in 0..u.int_in_range(0..=12)? {
        let code_point = match u.int_in_range(0..=9)? {
            0 => u.int_in_range(0xD800..=0xDFFF)?,
            1..=4 => u32::from(u.arbitrary::<char>()?),
            _ => u.int_in_range(0..=0x7F)?,
        };
        if !(after_high && (0xDC00..0xE000).contains(&code_point)) {
            text.push_code_point(code_point);
            after_high = (0xD800..0xDC00).contains(&code_point);
        }
    }
    Ok(text)
}

fn digits(u: &mut Unstructured<'_>) -> Result<Value> {
    let digits: String = (0..u.int_in_range(1..=60)?)
        .map(|_| u.int_in_range(b'0'..=b'9').map(char::from))
        .collect::<Result<_>>()?;
    let sign = if u.arbitrary()? { "-" } else { "" };
    Ok(BigInt::parse(&(sign.to_owned() + &digits)).unwrap_or(Value::None))
}

fn number(u: &mut Unstructured<'_>) -> Result<f64> {
    let number: f64 = u.arbitrary()?;
    Ok(if number.is_nan() { 0.5 } else { number })
}

/// Returns a limit other than zero, which counts as none.
fn limit(u: &mut Unstructured<'_>) -> Result<Option<f64>> {
    let limit: Option<u32> = u.arbitrary()?;
    Ok(limit
        .filter(|&limit| limit != 0)
        .map(|limit| f64::from(limit) / 8.0))
}

fn moment(u: &mut Unstructured<'_>) -> Result<String> {
    let second = u.int_in_range(-62_135_596_800_i64..=253_402_207_199)?;
    let nanosecond = u.int_in_range(0..=999_999_999)?;
    let timestamp = Timestamp::new(second, nanosecond).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(IsoTime::from(timestamp).isoformat())
}

fn time(u: &mut Unstructured<'_>) -> Result<Option<String>> {
    if u.arbitrary()? {
        moment(u).map(Some)
    } else {
        Ok(None)
    }
}

/// Returns a text that is not empty, because an empty one counts as none.
fn shown(u: &mut Unstructured<'_>) -> Result<Option<String>> {
    Ok(u.arbitrary::<Option<String>>()?.filter(|text| !text.is_empty()))
}
