//! Extracts the value from the body of a message: compression, content type, JSON (`kombu/message.py`, `kombu/serialization.py`,
//! contract A.7).

use crate::compression::{Compression, CompressionError};
use crate::decode_error::DecodeError;
use crate::field::{FieldTable, FieldValue};
use crate::json;
use crate::literal::str_repr;
use crate::message::{Message, Properties};
use crate::value::Value;

/// The reason why there is no value.
pub(crate) enum NoContent {
    /// Python's exception, as `repr()` shows it.
    Undecodable(String),
    /// Python's refusal of the content type.
    Disallowed(String),
}

/// The bytes of a body.
pub(crate) enum Body<'a> {
    /// The bytes as received.
    Plain(&'a [u8]),
    /// The decompressed bytes.
    Unpacked(Vec<u8>),
}

/// Returns the body without its compression. An empty or null header means no compression.
pub(crate) fn unpack(message: &Message) -> Result<Body<'_>, DecodeError> {
    let undecodable = |exception| DecodeError::Undecodable {
        exception,
        context: context(&message.properties),
    };
    let header = message
        .properties
        .headers
        .get("compression")
        .map_or(Value::None, Value::from);
    if !header.is_truthy() {
        return Ok(Body::Plain(&message.body));
    }
    let Some(compression) = header.as_str().and_then(Compression::from_header) else {
        return Err(undecodable(match header {
            Value::List(_) | Value::Dict(_) => {
                format!("TypeError(\"unhashable type: '{}'\")", header.type_name())
            }
            _ => format!("KeyError({})", header.py_repr()),
        }));
    };
    if message
        .properties
        .content_encoding
        .as_deref()
        .is_some_and(is_latin_1)
    {
        // py-amqp has decoded it to a string.
        return Err(undecodable(
            "TypeError(\"a bytes-like object is required, not 'str'\")".to_owned(),
        ));
    }
    match compression.decompress(&message.body) {
        Ok(body) => Ok(Body::Unpacked(body)),
        Err(error) => Err(undecodable(exception(&error))),
    }
}

/// Returns Python's exception if its text is stable, else the same class with our decoder's text.
fn exception(error: &CompressionError) -> String {
    let CompressionError::Corrupt { compression, source } = error else {
        return format!("MemoryError({})", str_repr(&error.to_string()));
    };
    let (class, text) = match compression {
        Compression::Zlib if source.kind() == std::io::ErrorKind::UnexpectedEof => (
            "error",
            "Error -5 while decompressing data: incomplete or truncated stream".to_owned(),
        ),
        Compression::Zlib => (
            "error",
            "Error -3 while decompressing data: incorrect header check".to_owned(),
        ),
        Compression::Bzip2 => ("OSError", source.to_string()),
        Compression::Lzma => ("LZMAError", source.to_string()),
        Compression::Brotli => ("error", source.to_string()),
        Compression::Zstd => ("ZstdError", source.to_string()),
    };
    format!("{class}({})", str_repr(&text))
}

/// Decodes a body, which may have been unpacked. Only JSON is accepted, as in a default worker; `application/data`
/// passes unchanged, because kombu trusts it.
///
/// JSON is UTF-8, but py-amqp decodes a body by its content encoding if it can, before kombu sees it; so a body that
/// was not compressed may be Latin-1 (`amqp/abstract_channel.py: dispatch_method`, golden case `v2-latin1-encoding`).
pub(crate) fn decode(body: &Body<'_>, properties: &Properties) -> Result<Value, NoContent> {
    let content_type = properties
        .content_type
        .as_deref()
        .filter(|name| !name.is_empty())
        .unwrap_or("application/data");
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
    let bytes = match body {
        Body::Plain(bytes) => bytes,
        Body::Unpacked(bytes) => bytes.as_slice(),
    };
    if bytes.is_empty() {
        return Ok(Value::Bytes(Vec::new()));
    }
    let encoding = properties.content_encoding.as_deref();
    if trusted {
        return charset(bytes, encoding);
    }
    let value = match body {
        Body::Plain(bytes) if encoding.is_some_and(is_latin_1) => json::parse_text(&from_latin_1(bytes)),
        _ => json::parse(bytes),
    };
    value.map_err(|error| NoContent::Undecodable(format!("DecodeError({})", error.py_repr())))
}

/// Decodes like `codecs.decode(body, encoding)`, for the common character sets.
fn charset(body: &[u8], encoding: Option<&str>) -> Result<Value, NoContent> {
    let encoding = encoding
        .filter(|name| !name.is_empty())
        .unwrap_or("utf-8")
        .to_lowercase();
    match encoding.as_str() {
        "binary" | "ascii-8bit" => Ok(Value::Bytes(body.to_vec())),
        latin_1 if is_latin_1(latin_1) => Ok(Value::from(from_latin_1(body))),
        "utf-8" | "utf8" | "us-ascii" | "ascii" => match std::str::from_utf8(body) {
            Ok(text) if text.is_ascii() || encoding.starts_with("utf") => Ok(Value::from(text)),
            _ => Err(NoContent::Undecodable(format!(
                "DecodeError(UnicodeDecodeError('{encoding}', b'...'))"
            ))),
        },
        _ => Err(NoContent::Undecodable(format!(
            "DecodeError(LookupError({}))",
            str_repr(&format!("unknown encoding: {encoding}"))
        ))),
    }
}

/// Returns whether this is one of Python's common names of Latin-1.
fn is_latin_1(encoding: &str) -> bool {
    let name = encoding.to_ascii_lowercase().replace(['_', ' '], "-");
    matches!(
        name.as_str(),
        "latin-1" | "latin1" | "latin" | "l1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819"
    )
}

fn from_latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Returns what Celery logs about a message that it cannot decode: `type:'…' encoding:'…' headers:{…}`. The
/// representations of the arguments are left out, because they may be secret.
pub(crate) fn context(properties: &Properties) -> String {
    let shown = |text: &Option<String>| text.as_deref().map_or("None".to_owned(), str_repr);
    let headers: FieldTable = properties
        .headers
        .iter()
        .map(|(name, value)| {
            let secret = matches!(name, "argsrepr" | "kwargsrepr");
            (
                name,
                if secret {
                    FieldValue::from("...")
                } else {
                    value.clone()
                },
            )
        })
        .collect();
    format!(
        "type:{} encoding:{} headers:{}",
        shown(&properties.content_type),
        shown(&properties.content_encoding),
        Value::from(&FieldValue::Table(headers)).py_repr()
    )
}
