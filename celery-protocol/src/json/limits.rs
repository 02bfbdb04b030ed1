//! The limits of the reader.

/// The maximum depth of nested arrays and objects. Python's limit is 1,000 nested calls, including those of the worker
/// itself, so it gives up a little earlier; such a body is undecodable there too.
pub const MAX_DEPTH: usize = 1000;

/// Python's limit on the digits of an integer (`sys.get_int_max_str_digits()`).
pub const MAX_INT_DIGITS: usize = 4300;
