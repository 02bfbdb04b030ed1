//! Where reading ends.

/// How deep arrays and objects may be nested. Python's limit are 1,000 nested calls, its worker's own included, so that it
/// gives up a little earlier; such a body is undecodable there too.
pub const MAX_DEPTH: usize = 1000;

/// Python's limit to the digits of an integer (`sys.get_int_max_str_digits()`).
pub const MAX_INT_DIGITS: usize = 4300;
