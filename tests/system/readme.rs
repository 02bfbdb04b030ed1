//! README says what the programs read from their environment.

use std::collections::BTreeMap;

use service_kit::env::Variable;

use crate::documents::read;

const TABLE: &str = "| Variable | Used by | Default | Meaning |\n| --- | --- | --- | --- |\n";

#[test]
fn the_configuration_table_equals_the_code() {
    let readme = read("README.md");
    let (_, written) = readme.split_once(TABLE).expect("README.md has the configuration table");
    let written: Vec<&str> = written.lines().take_while(|line| line.starts_with('|')).collect();
    let expected = rows();
    assert_eq!(written, expected, "README.md should have this table:\n{TABLE}{}\n", expected.join("\n"));
}

/// One row per variable, default and meaning, by name; programs that read the same share a row.
fn rows() -> Vec<String> {
    let programs: [(&str, &[&[Variable]]); 4] = [
        ("public-api", &[public_api::VARIABLES]),
        ("acl-service", &[acl_service::VARIABLES]),
        ("worker", &[worker::VARIABLES]),
        ("standalone", &[standalone::VARIABLES]),
    ];
    let mut used_by: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for (program, variables) in programs {
        assert!(!variables.is_empty());
        for Variable { name, default, meaning } in variables.iter().copied().flatten() {
            used_by.entry((name, default.unwrap_or_default(), meaning)).or_default().push(program);
        }
    }
    let row = |((name, default, meaning), programs): (&(&str, &str, &str), &Vec<&str>)| {
        let default = if default.is_empty() { "–".to_owned() } else { format!("`{default}`") };
        format!("| `{name}` | {} | {default} | {meaning} |", programs.join(", "))
    };
    used_by.iter().map(row).collect()
}
