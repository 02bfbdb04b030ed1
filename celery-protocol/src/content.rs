//! From a message to the value in its body: compression, content type, JSON (`kombu/message.py`, `kombu/serialization.py`,
//! contract A.7).

use std::borrow::Cow;

use crate::compression::{Compression, CompressionError};
use crate::decode_error::DecodeError;
use crate::field::{FieldTable, FieldValue};
use crate::json;
use crate::message::{Message, Properties};
use crate::python_text::str_repr;
use crate::value::Value;

/// Why there is no value.
pub(crate) enum NoContent {
    /// Python's exception, as `repr()` shows it.
    Undecodable(String),
    /// Python's refusal of the content type.
    Disallowed(String),
}

/// The body without its compression; an empty or null header means none.
pub(crate) fn uncompressed(message: &Message) -> Result<Cow<'_, [u8]>, DecodeError> {
    let undecodable = |exception| DecodeError::Undecodable { exception, context: context(&message.properties) };
    let header = message.properties.headers.get("compression").map_or(Value::None, Value::from);
    if !header.is_truthy() {
        return Ok(Cow::Borrowed(&message.body));
    }
    let Some(compression) = header.as_str().and_then(Compression::from_header) else {
        return Err(undecodable(format!("KeyError({})", header.py_repr())));
    };
    match compression.decompress(&message.body) {
        Ok(body) => Ok(Cow::Owned(body)),
        Err(error) => Err(undecodable(exception(compression, &error))),
    }
}

fn exception(compression: Compression, error: &CompressionError) -> String {
    let text = match error {
        CompressionError::Corrupt { source, .. } => source.to_string(),
        CompressionError::Unknown(_) | CompressionError::TooLarge => return format!("MemoryError({})", str_repr(&error.to_string())),
    };
    match compression {
        Compression::Zlib => "error('Error -3 while decompressing data: incorrect header check')".to_owned(),
        Compression::Bzip2 => format!("OSError({})", str_repr(&text)),
        Compression::Lzma => format!("LZMAError({})", str_repr(&text)),
        Compression::Brotli => format!("error({})", str_repr(&text)),
        Compression::Zstd => format!("ZstdError({})", str_repr(&text)),
    }
}

/// The value in a body without compression. Only JSON is accepted, as in a default worker; `application/data` passes as
/// it is, for kombu trusts it.
pub(crate) fn decode(body: &[u8], properties: &Properties) -> Result<Value, NoContent> {
    let content_type = properties.content_type.as_deref().filter(|name| !name.is_empty()).unwrap_or("application/data");
    let trusted = matches!(content_type, "application/data" | "application/text");
    if content_type != "application/json" && !trusted {
        let name = match content_type {
            "application/x-yaml" => "yaml",
            "application/x-msgpack" => "msgpack",
            "application/x-python-serialize" => "pickle",
            other => other,
        };
        return Err(NoContent::Disallowed(format!(
            "Refusing to deserialize untrusted content of type {name} ({content_type})"
        )));
    }
    if body.is_empty() {
        return Ok(Value::Bytes(Vec::new()));
    }
    if trusted {
        return charset(body, properties.content_encoding.as_deref());
    }
    json::parse(body).map_err(|error| NoContent::Undecodable(format!("DecodeError({})", error.py_repr())))
}

/// `codecs.decode(body, encoding)`, for the character sets one meets.
fn charset(body: &[u8], encoding: Option<&str>) -> Result<Value, NoContent> {
    let encoding = encoding.filter(|name| !name.is_empty()).unwrap_or("utf-8").to_lowercase();
    match encoding.as_str() {
        "binary" | "ascii-8bit" => Ok(Value::Bytes(body.to_vec())),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => Ok(Value::from(body.iter().copied().map(char::from).collect::<String>())),
        "utf-8" | "utf8" | "us-ascii" | "ascii" => match std::str::from_utf8(body) {
            Ok(text) if text.is_ascii() || encoding.starts_with("utf") => Ok(Value::from(text)),
            _ => Err(NoContent::Undecodable(format!("DecodeError(UnicodeDecodeError('{encoding}', b'...'))"))),
        },
        _ => Err(NoContent::Undecodable(format!("DecodeError(LookupError({}))", str_repr(&format!("unknown encoding: {encoding}"))))),
    }
}

/// What Celery says of a message it cannot decode: `type:'…' encoding:'…' headers:{…}`. The representations of the
/// arguments are left out, for they may be secret.
pub(crate) fn context(properties: &Properties) -> String {
    let shown = |text: &Option<String>| text.as_deref().map_or("None".to_owned(), str_repr);
    let headers: FieldTable = properties
        .headers
        .iter()
        .map(|(name, value)| {
            let secret = matches!(name, "argsrepr" | "kwargsrepr");
            (name, if secret { FieldValue::from("...") } else { value.clone() })
        })
        .collect();
    format!(
        "type:{} encoding:{} headers:{}",
        shown(&properties.content_type),
        shown(&properties.content_encoding),
        Value::from(&FieldValue::Table(headers)).py_repr()
    )
}
