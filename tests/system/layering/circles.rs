//! The modules of a crate do not import one another in a circle.
//!
//! A file uses another if its code names an item that is defined there, in a `use` or by a path. Re-exports
//! are followed, so a path leads to the file that defines the item. A file that only declares modules and
//! re-exports their items uses none of them: it is a facade through which its modules may be reached. A
//! parent that names its child in its own code uses it like any other file, so the child may not use anything
//! that the parent defines. Tests are excluded. The target of a method call is unknown without types, but
//! code that calls a method has usually named its type.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Modules;
use super::workspace::{roots, sources};

/// The circles that may stay, each with its reason.
const ALLOWED: &[(&[&str], &str)] = &[(
    &["celery-protocol/src/dict.rs", "celery-protocol/src/value.rs"],
    "a value may be a dict, whose values are values: one recursive type in two files",
)];

/// For each file, the files that it uses, each with a path that leads there.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn modules_import_one_another_in_one_direction() {
    let mut unseen: Vec<_> = ALLOWED.iter().map(|(files, _)| *files).collect();
    let mut found = Vec::new();
    for root in roots() {
        let (folder, _) = root.split_once("/src/").expect("a root is in a src");
        let uses = uses(&Modules::read(&sources(&format!("{folder}/src")), &root));
        for circle in circles(&uses) {
            match unseen.iter().position(|allowed| circle == *allowed) {
                Some(position) => {
                    unseen.remove(position);
                }
                None => found.push(shown(&circle, &uses)),
            }
        }
    }
    assert!(found.is_empty(), "modules in a circle:\n{}", found.join("\n"));
    assert!(unseen.is_empty(), "circles that are gone: {unseen:?}");
}

/// Collects for each file the files that it uses.
fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (path, module) in modules.iter() {
        let mut add = |to: &[String], through: &[String]| {
            let to = modules.file_of(to);
            if to != module.file {
                let onwards = uses.entry(module.file.clone()).or_default();
                onwards.entry(to.to_owned()).or_insert_with(|| through.join("::"));
            }
        };
        for import in &module.imports {
            let is_only_handed_on = import.is_public && !module.words.contains(&import.name);
            let Some(place) = modules.resolve(path, &import.path, Some(import)) else {
                continue;
            };
            // If a module is imported, only the items that the code takes from it count.
            if !is_only_handed_on && (place.is_item || import.name == "*") {
                add(&place.module, &import.path);
            }
        }
        for through in &module.paths {
            if let Some(place) = modules.resolve(path, through, None)
                && place.is_item
            {
                add(&place.module, through);
            }
        }
    }
    uses
}

/// The sets of files that can all reach one another.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        uses.keys().map(|file| (file, reached_from(file, uses))).collect();
    let mut circles = BTreeSet::new();
    for (file, reached_from_file) in &reached {
        let leads_back = |other: &&&String| reached.get(**other).is_some_and(|back| back.contains(file));
        let circle: Vec<String> = reached_from_file
            .iter()
            .filter(leads_back)
            .map(|file| (*file).clone())
            .collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached_from<'u>(file: &String, uses: &'u Uses) -> BTreeSet<&'u String> {
    let mut reached = BTreeSet::new();
    let mut left = vec![file];
    while let Some(file) = left.pop() {
        for used in uses.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(used) {
                left.push(used);
            }
        }
    }
    reached
}

/// Lists the files of a circle, each with the files of the circle that it uses.
fn shown(circle: &[String], uses: &Uses) -> String {
    let mut lines = Vec::new();
    for file in circle {
        for (used, through) in uses.get(file).into_iter().flatten() {
            if circle.contains(used) {
                lines.push(format!("  {file} → {used} ({through})"));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Planted sources: paths and texts.
type Files = &'static [(&'static str, &'static str)];

/// The files of each circle.
type Circles = &'static [&'static [&'static str]];

/// The circles in planted sources.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    circles(&uses(&Modules::read(&sources, "src/lib.rs")))
}

#[test]
fn a_circle_is_seen() {
    let cases: [(&str, Files, Circles); 8] = [
        (
            "one direction",
            &[
                ("src/lib.rs", "mod a; mod b; pub use a::A;"),
                ("src/a.rs", "use crate::b::B; pub struct A(B);"),
                ("src/b.rs", "pub struct B; // use crate::a::A;"),
            ],
            &[],
        ),
        (
            "imports of three",
            &[
                ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
                ("src/a.rs", "use crate::b::B; pub struct A(B);"),
                ("src/b.rs", "use crate::{c::{self, C}, d::D}; pub struct B(C, D);"),
                ("src/c.rs", "pub struct C; fn f() -> super::a::A { todo!() }"),
                ("src/d.rs", "pub struct D;"),
            ],
            &[&["src/a.rs", "src/b.rs", "src/c.rs"]],
        ),
        (
            "paths only",
            &[
                ("src/lib.rs", "mod a; mod b;"),
                ("src/a.rs", "pub fn f() { crate::b::f(); }"),
                ("src/b.rs", "use crate::a; pub fn f() { a::f(); }"),
            ],
            &[&["src/a.rs", "src/b.rs"]],
        ),
        (
            "through re-exports",
            &[
                ("src/lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
                ("src/a.rs", "use crate::B; pub struct A(B);"),
                ("src/b.rs", "pub struct B(crate::A);"),
            ],
            &[&["src/a.rs", "src/b.rs"]],
        ),
        (
            "a facade",
            &[
                ("src/lib.rs", "mod a;"),
                ("src/a.rs", "mod b; mod c; pub use self::{b::B, c::C};"),
                ("src/a/b.rs", "use super::C; pub struct B(C);"),
                ("src/a/c.rs", "pub struct C;"),
            ],
            &[],
        ),
        (
            "a parent that uses its child, which uses the parent",
            &[
                ("src/lib.rs", "mod a;"),
                ("src/a.rs", "mod b; pub use self::b::B; pub struct A(B);"),
                ("src/a/b.rs", "use super::*; pub struct B(Option<Box<A>>);"),
            ],
            &[&["src/a.rs", "src/a/b.rs"]],
        ),
        (
            "tests",
            &[
                ("src/lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
                ("src/a.rs", "use crate::b::B; pub struct A(B);"),
                (
                    "src/b.rs",
                    "pub struct B; #[cfg(all(test, unix))] mod tests { use crate::a::A; fn f(a: A) {} }",
                ),
            ],
            &[],
        ),
        (
            "modules within a file",
            &[
                ("src/lib.rs", "mod a; mod b;"),
                (
                    "src/a.rs",
                    "pub mod inner { pub fn f() { super::super::b::f(); } }",
                ),
                ("src/b.rs", "use crate::a::inner; pub fn f() { inner::f(); }"),
            ],
            &[&["src/a.rs", "src/b.rs"]],
        ),
    ];
    for (name, files, expected) in cases {
        assert_eq!(circles_of(files), expected, "{name}");
    }
    let others = "use redis::Client; fn f(c: Client) {}";
    assert!(circles_of(&[("src/lib.rs", others)]).is_empty());
}
