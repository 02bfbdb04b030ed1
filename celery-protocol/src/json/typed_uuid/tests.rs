//! Every way to pass a number to `uuid.UUID()`.

use crate::json::parse;

/// Compares with the value of `uuid.UUID(**value)` in CPython 3.11.7, or with its exception.
fn check(value: &str, expected: &str) {
    let typed = format!(r#"{{"__type__": "uuid", "__value__": {value}}}"#);
    let seen = match parse(typed.as_bytes()) {
        Ok(uuid) => uuid.py_str(),
        Err(error) => error.py_repr(),
    };
    assert_eq!(seen, expected, "{value}");
}

const HEX: &str = r#""hex": "5e3a0000000040008000000000000084""#;

#[test]
fn a_version_beside_the_number_is_set() {
    let check = |rest: &str, expected: &str| check(&format!("{{{HEX}, {rest}}}"), expected);
    check(r#""version": 1"#, "5e3a0000-0000-1000-8000-000000000084");
    check(r#""version": 5"#, "5e3a0000-0000-5000-8000-000000000084");
    check(r#""version": true"#, "5e3a0000-0000-1000-8000-000000000084");
    check(r#""version": null"#, "5e3a0000-0000-4000-8000-000000000084");
    for illegal in ["0", "6", "-1"] {
        let illegal = format!(r#""version": {illegal}"#);
        check(&illegal, "ValueError('illegal version number')");
    }
    check(
        r#""version": "4""#,
        r#"TypeError("'<=' not supported between instances of 'int' and 'str'")"#,
    );
    check(r#""is_safe": 5"#, "5e3a0000-0000-4000-8000-000000000084");
}

#[test]
fn exactly_one_number_is_given() {
    let one = "TypeError('one of the hex, bytes, bytes_le, fields, or int arguments must be given')";
    check("{}", one);
    check(r#"{"version": 4}"#, one);
    check(&format!(r#"{{{HEX}, "int": 5}}"#), one);
    check(
        &format!(r#"{{{HEX}, "int": null}}"#),
        "5e3a0000-0000-4000-8000-000000000084",
    );
    check(
        &format!(r#"{{{HEX}, "no": 5}}"#),
        r#"TypeError("UUID.__init__() got an unexpected keyword argument '...'")"#,
    );
    check(
        "[]",
        "TypeError('uuid.UUID() argument after ** must be a mapping, not list')",
    );
}

#[test]
fn hex() {
    let check = |hex: &str, expected: &str| check(&format!(r#"{{"hex": "{hex}"}}"#), expected);
    let ones = "1".repeat(32);
    let uuid = "11111111-1111-1111-1111-111111111111";
    check(&format!("{{{{urn:uuid:{ones}}}"), uuid);
    check(&format!("----{ones}"), uuid);
    check(
        &format!("0x{}", &ones[2..]),
        "00111111-1111-1111-1111-111111111111",
    );
    check(
        &format!("{}11", "1_".repeat(15)),
        "00000000-0000-0001-1111-111111111111",
    );
    check(
        &format!("{}1", " ".repeat(31)),
        "00000000-0000-0000-0000-000000000001",
    );
    check(
        &format!("{ones}1"),
        "ValueError('badly formed hexadecimal UUID string')",
    );
    check(
        &"g".repeat(32),
        r#"ValueError("invalid literal for int() with base 16: '...'")"#,
    );
}

#[test]
fn bytes() {
    let typed = r#"{"__type__": "base64", "__value__": "AAECAwQFBgcICQoLDA0ODw=="}"#;
    check(
        &format!(r#"{{"bytes": {typed}}}"#),
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
    );
    check(
        &format!(r#"{{"bytes_le": {typed}, "version": 4}}"#),
        "03020100-0504-4706-8809-0a0b0c0d0e0f",
    );
    check(r#"{"bytes": "0123456789abcdef"}"#, "AssertionError('...')");
    check(
        r#"{"bytes_le": "a"}"#,
        "ValueError('bytes_le is not a 16-char string')",
    );
    check(
        r#"{"bytes": 5}"#,
        r#"TypeError("object of type 'int' has no len()")"#,
    );
}

#[test]
fn fields_and_int() {
    check(
        r#"{"fields": [1, 2, 3, 4, 5, 6], "version": 3}"#,
        "00000001-0002-3003-8405-000000000006",
    );
    check(
        r#"{"fields": [1, 2, 3, 256, 5, 6]}"#,
        "ValueError('field 4 out of range (need an 8-bit value)')",
    );
    check(
        r#"{"fields": [-1, 2, 3, 4, 5, 6]}"#,
        "ValueError('field 1 out of range (need a 32-bit value)')",
    );
    check(
        r#"{"fields": [1, 2, 3, 4, 5]}"#,
        "ValueError('fields is not a 6-tuple')",
    );
    check(
        r#"{"fields": "abcdef"}"#,
        r#"TypeError("'<=' not supported between instances of 'int' and 'str'")"#,
    );
    check(
        r#"{"int": 340282366920938463463374607431768211455}"#,
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    );
    check(
        r#"{"int": true, "version": 4}"#,
        "00000000-0000-4000-8000-000000000001",
    );
    for outside in ["-1", "340282366920938463463374607431768211456"] {
        check(
            &format!(r#"{{"int": {outside}}}"#),
            "ValueError('int is out of range (need a 128-bit value)')",
        );
    }
}
