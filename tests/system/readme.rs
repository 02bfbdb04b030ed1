//! README lists the environment variables that the programs read.

use service_kit::env::Variable;

use crate::documents::read;

const TABLE: &str = "| Variable | Used by | Default | Meaning |\n| --- | --- | --- | --- |\n";

#[test]
fn the_configuration_table_equals_the_code() {
    let readme = read("README.md");
    let (_, written) = readme
        .split_once(TABLE)
        .expect("README.md has the configuration table");
    let written: Vec<&str> = written.lines().take_while(|line| line.starts_with('|')).collect();
    let expected = rows();
    assert!(
        written == expected,
        "README.md should have this table:\n{TABLE}{}\n",
        expected.join("\n")
    );
}

/// One row per variable, default and meaning, sorted by name. Programs that read the same variable share a
/// row.
fn rows() -> Vec<String> {
    let programs = [
        ("public-api", public_api::VARIABLES.to_vec()),
        ("acl-service", acl_service::VARIABLES.to_vec()),
        ("worker", worker::variables()),
        ("standalone", standalone::variables()),
    ];
    let mut used_by: Vec<(Variable, Vec<&str>)> = Vec::new();
    for (program, variables) in programs {
        assert!(!variables.is_empty());
        for variable in variables {
            match used_by.iter_mut().find(|(known, _)| *known == variable) {
                Some((_, programs)) => programs.push(program),
                None => used_by.push((variable, vec![program])),
            }
        }
    }
    used_by.sort_by_key(|(variable, _)| variable.name);
    let row = |(
        Variable {
            name,
            default,
            meaning,
        },
        programs,
    ): &(Variable, Vec<&str>)| {
        let default = default.map_or("–".to_owned(), |default| format!("`{default}`"));
        format!("| `{name}` | {} | {default} | {meaning} |", programs.join(", "))
    };
    used_by.iter().map(row).collect()
}
