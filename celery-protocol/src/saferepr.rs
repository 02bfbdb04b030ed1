//! The short `repr()` of arguments that is sent in `argsrepr` and `kwargsrepr` (`celery/utils/saferepr.py`, contract
//! A.8).

use crate::dict::Dict;
use crate::text::Text;
use crate::value::Value;

/// Celery's maximum length of `argsrepr` and `kwargsrepr`, in characters.
pub const MAX_LEN: usize = 1024;

/// Celery's maximum number of levels of lists and dicts in them.
pub const MAX_LEVELS: usize = 3;

/// Celery's `saferepr(value, maxlen, maxlevels)`. The result may be longer than `max_len` by an ellipsis and the
/// closing brackets. If `max_levels` is 0, the levels are not limited.
pub fn saferepr(value: &Value, max_len: Option<usize>, max_levels: usize) -> Text {
    write(Node::Value(value), max_len, max_levels)
}

/// Formats a tuple of these items with Celery's limits: what a producer sends as `argsrepr`.
pub(crate) fn of_arguments(arguments: &[Value]) -> Text {
    write(Node::Tuple(arguments), Some(MAX_LEN), MAX_LEVELS)
}

/// Formats a dict with Celery's limits: what a producer sends as `kwargsrepr`.
pub(crate) fn of_keywords(keywords: &Dict) -> Text {
    write(Node::Dict(keywords), Some(MAX_LEN), MAX_LEVELS)
}

/// Celery's `celery.utils.text.truncate`: a text of `max_len` characters or more is cut there, then at the last space
/// of the rest, and gets `...`. 0 means no limit.
pub fn truncate(text: &Text, max_len: usize) -> Text {
    if max_len == 0 || text.char_count() < max_len {
        return text.clone();
    }
    let kept = text.prefix(max_len);
    let bytes = kept.as_wtf8();
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b' ')
        .unwrap_or(bytes.len());
    let mut cut = Text::from_wtf8(bytes.get(..end).unwrap_or_default().to_vec()).unwrap_or_default();
    cut.push_str("...");
    cut
}

#[derive(Clone, Copy)]
enum Node<'a> {
    Value(&'a Value),
    Tuple(&'a [Value]),
    Dict(&'a Dict),
}

/// A container that is being written.
struct Open<'a> {
    items: Items<'a>,
    position: usize,
    stage: Stage,
    end: &'static str,
}

enum Items<'a> {
    List(&'a [Value]),
    Dict(&'a Dict),
}

#[derive(Clone, Copy)]
enum Stage {
    Key,
    Colon,
    Value,
    Comma,
}

/// A token of Celery's `reprstream`.
enum Token<'a> {
    /// An opening bracket, for which an `Open` has been pushed.
    Start(&'static str),
    End(&'static str),
    Literal(&'static str),
    Scalar(&'a Value),
    Key(&'a Text),
}

fn write(root: Node<'_>, max_len: Option<usize>, max_levels: usize) -> Text {
    let mut out = Text::new();
    let mut left = max_len;
    let mut stack: Vec<Open<'_>> = Vec::new();
    let mut pending = Some(root);
    while let Some(token) = next_token(&mut stack, &mut pending, max_levels) {
        if left == Some(0) {
            if let Token::End(end) = token {
                // Nothing was left out of this container: close it.
                out.push_str(end);
                continue;
            }
            out.push_str(", ...");
            if matches!(token, Token::Start(_)) {
                stack.pop();
            }
            for open in stack.iter().rev() {
                out.push_str(open.end);
            }
            break;
        }
        let shown = match token {
            Token::Start(text) | Token::End(text) | Token::Literal(text) => Text::from(text),
            Token::Key(key) => quoted(key, left),
            Token::Scalar(value) => scalar(value, left),
        };
        left = left.map(|left| left.saturating_sub(shown.char_count()));
        out.push_text(&shown);
    }
    out
}

fn next_token<'a>(
    stack: &mut Vec<Open<'a>>,
    pending: &mut Option<Node<'a>>,
    max_levels: usize,
) -> Option<Token<'a>> {
    if let Some(root) = pending.take() {
        return Some(enter(root, stack, max_levels));
    }
    let open = stack.last_mut()?;
    let count = match &open.items {
        Items::List(items) => items.len(),
        Items::Dict(dict) => dict.len(),
    };
    if open.position == count {
        let end = open.end;
        stack.pop();
        return Some(Token::End(end));
    }
    match (open.stage, &open.items) {
        (Stage::Comma, Items::List(_)) => {
            open.stage = Stage::Value;
            Some(Token::Literal(", "))
        }
        (Stage::Comma, Items::Dict(_)) => {
            open.stage = Stage::Key;
            Some(Token::Literal(", "))
        }
        (Stage::Colon, _) => {
            open.stage = Stage::Value;
            Some(Token::Literal(": "))
        }
        (Stage::Key, Items::Dict(dict)) => {
            open.stage = Stage::Colon;
            dict.iter().nth(open.position).map(|(key, _)| Token::Key(key))
        }
        (_, items) => {
            let value = match items {
                Items::List(items) => items.get(open.position),
                Items::Dict(dict) => dict.iter().nth(open.position).map(|(_, value)| value),
            }?;
            open.stage = Stage::Comma;
            open.position += 1;
            Some(enter(Node::Value(value), stack, max_levels))
        }
    }
}

fn enter<'a>(node: Node<'a>, stack: &mut Vec<Open<'a>>, max_levels: usize) -> Token<'a> {
    let (start, hidden, items, end) = match node {
        Node::Value(Value::List(items)) => ("[", "[...]", Items::List(items), "]"),
        Node::Value(Value::Tuple(items)) => tuple(items),
        Node::Tuple(items) => tuple(items),
        Node::Value(Value::Dict(dict)) | Node::Dict(dict) => ("{", "{...}", Items::Dict(dict), "}"),
        Node::Value(value) => return Token::Scalar(value),
    };
    if max_levels > 0 && stack.len() >= max_levels {
        return Token::Literal(hidden);
    }
    let stage = if matches!(items, Items::Dict(_)) {
        Stage::Key
    } else {
        Stage::Value
    };
    stack.push(Open {
        items,
        position: 0,
        stage,
        end,
    });
    Token::Start(start)
}

fn tuple(items: &[Value]) -> (&'static str, &'static str, Items<'_>, &'static str) {
    if items.len() == 1 {
        ("(", "(...,)", Items::List(items), ",)")
    } else {
        ("(", "(...)", Items::List(items), ")")
    }
}

fn quoted(text: &Text, left: Option<usize>) -> Text {
    let shown = truncate(text, left.unwrap_or(0));
    let mut out = Text::from("'");
    for code_point in shown.code_points() {
        if code_point == u32::from('\'') {
            out.push_str("\\");
        }
        out.push_code_point(code_point);
    }
    out.push_str("'");
    out
}

fn scalar(value: &Value, left: Option<usize>) -> Text {
    match value {
        Value::Text(text) => quoted(text, left),
        Value::Bytes(bytes) => {
            let (shown, more) = match left.and_then(|left| bytes.get(..left)) {
                Some(cut) if cut.len() < bytes.len() => (cut, "..."),
                _ => (bytes.as_slice(), ""),
            };
            let shown = std::str::from_utf8(shown).map_or_else(|_| hex(shown), str::to_owned);
            Text::from(format!("b'{shown}{more}'"))
        }
        _ => truncate(&Text::from(value.py_repr()), left.unwrap_or(0)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| {
        char::from(if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        })
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
