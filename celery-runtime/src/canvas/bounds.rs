//! Limits on the nesting and the size of the messages that follow a task (ADR 41). Anyone who can send a message
//! chooses both, and the shapes multiply: a chain of groups becomes chords within chords, and every task of a
//! header carries the body.

use celery_protocol::{Dict, Signature, TaskCall, Value};

use super::draft::Draft;
use super::error::CanvasError;
use super::options::list;
use super::signature::{Shape, Sig};

/// Maximum nesting of groups, chains and chords. The steps of a chain count as nested: a group that is followed by
/// a step becomes a chord around the rest of the chain.
pub(super) const MAX_NESTING: usize = 64;

/// Maximum nesting of objects and arrays in a received signature. When it is sent, each level of the shapes adds up
/// to five levels, and a sent message must stay below the depth at which it can no longer be read.
pub(super) const MAX_DEPTH: usize = celery_protocol::json::MAX_DEPTH / 2;

/// Maximum total weight of the messages that follow one task, roughly in bytes of memory.
pub(super) const MAX_WEIGHT: usize = 64 * 1024 * 1024;

/// Weight of a value in addition to its text.
const VALUE: usize = 64;

/// Weight of a message in addition to its arguments.
const MESSAGE: usize = 1024;

/// Reads a received signature with everything in it, within the limits.
pub(super) fn read(signature: &Signature) -> Result<Sig, CanvasError> {
    check_depth(signature.as_dict())?;
    let sig = Sig::read_dict(signature.as_dict())?;
    check(&sig)?;
    Ok(sig)
}

/// Checks, before anything else is done with it, that a received signature is not nested too deeply to be read.
fn check_depth(signature: &Dict) -> Result<(), CanvasError> {
    if depth_of_dict(signature) > MAX_DEPTH {
        return Err(CanvasError::TooDeep { levels: MAX_DEPTH });
    }
    Ok(())
}

/// Checks that a signature can be handled: each level of its shapes is copied with everything in it.
fn check(sig: &Sig) -> Result<(), CanvasError> {
    let levels = nesting(sig);
    if levels > MAX_NESTING {
        return Err(CanvasError::TooNested {
            levels,
            most: MAX_NESTING,
        });
    }
    fits(weight_of_sig(sig).saturating_mul(levels.max(1)))?;
    fits(errbacks_in_bodies(sig))
}

/// Checks that `times` copies of a value are not too large.
pub(super) fn check_copies(value: &Value, times: usize) -> Result<(), CanvasError> {
    fits(weight(value).saturating_mul(times))
}

fn fits(weight: usize) -> Result<(), CanvasError> {
    if weight > MAX_WEIGHT {
        return Err(CanvasError::TooLarge { most: MAX_WEIGHT });
    }
    Ok(())
}

impl Draft<'_> {
    /// Adds the weight of a message to the plan's.
    pub(super) fn add_weight(&mut self, call: &TaskCall) -> Result<(), CanvasError> {
        let embed = &call.embed;
        let signatures = [&embed.callbacks, &embed.errbacks, &embed.chain];
        let signatures = signatures.into_iter().flatten().flatten().chain(&embed.chord);
        let weights = [MESSAGE, weight_of_list(&call.args), weight_of_dict(&call.kwargs)];
        self.weight += weights.into_iter().sum::<usize>();
        self.weight += signatures
            .map(Signature::as_dict)
            .map(weight_of_dict)
            .sum::<usize>();
        fits(self.weight)
    }
}

/// Returns the nesting of the shapes, with the steps of chains counted as nested.
fn nesting(sig: &Sig) -> usize {
    let deepest = |tasks: &[Sig]| tasks.iter().map(nesting).max().unwrap_or(0);
    match &sig.shape {
        Shape::Task => 0,
        Shape::Group(tasks) => 1 + deepest(tasks),
        Shape::Chain(steps) => 1 + steps.iter().map(nesting).sum::<usize>(),
        Shape::Chord(chord) => 1 + deepest(&chord.header) + nesting(&chord.body),
    }
}

/// Returns the weight of the errbacks of bodies that are chains: each step of such a chain gets a copy.
fn errbacks_in_bodies(sig: &Sig) -> usize {
    match &sig.shape {
        Shape::Task => 0,
        Shape::Group(tasks) | Shape::Chain(tasks) => tasks.iter().map(errbacks_in_bodies).sum(),
        Shape::Chord(chord) => {
            let own = match &chord.body.shape {
                Shape::Chain(steps) => {
                    let errbacks = list(chord.body.options.get("link_error"));
                    weight_of_list(&errbacks).saturating_mul(steps.len())
                }
                _ => 0,
            };
            let header: usize = chord.header.iter().map(errbacks_in_bodies).sum();
            own.saturating_add(header)
                .saturating_add(errbacks_in_bodies(&chord.body))
        }
    }
}

fn weight_of_sig(sig: &Sig) -> usize {
    let own = weight_of_list(&sig.args.items)
        + weight_of_dict(&sig.kwargs)
        + weight_of_dict(&sig.options)
        + VALUE * 4;
    own + match &sig.shape {
        Shape::Task => 0,
        Shape::Group(tasks) | Shape::Chain(tasks) => tasks.iter().map(weight_of_sig).sum(),
        Shape::Chord(chord) => {
            let header: usize = chord.header.iter().map(weight_of_sig).sum();
            header + weight_of_sig(&chord.body) + weight_of_dict(&chord.kwargs)
        }
    }
}

fn weight(value: &Value) -> usize {
    VALUE
        + match value {
            Value::Text(text) => text.as_wtf8().len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) | Value::Tuple(items) => weight_of_list(items),
            Value::Dict(dict) => weight_of_dict(dict),
            Value::DateTime(text) | Value::Date(text) | Value::Time(text) | Value::Decimal(text) => {
                text.len()
            }
            Value::BigInt(_) => celery_protocol::json::MAX_INT_DIGITS,
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Uuid(_) => 0,
        }
}

fn weight_of_list(items: &[Value]) -> usize {
    items.iter().map(weight).sum()
}

fn weight_of_dict(dict: &Dict) -> usize {
    let fields = dict.iter();
    fields
        .map(|(name, value)| VALUE + name.as_wtf8().len() + weight(value))
        .sum()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) | Value::Tuple(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Dict(dict) => depth_of_dict(dict),
        _ => 0,
    }
}

fn depth_of_dict(dict: &Dict) -> usize {
    1 + dict.iter().map(|(_, value)| depth(value)).max().unwrap_or(0)
}
