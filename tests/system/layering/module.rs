//! The imports and names in the modules of a crate, read from their sources.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{is_word, tokens};

/// The code of a module, without tests.
#[derive(Default)]
pub(super) struct Module {
    /// The file that contains it.
    pub(super) file: String,
    pub(super) imports: Vec<Import>,
    /// The paths in its code that have two segments or more.
    pub(super) paths: Vec<Vec<String>>,
    /// The words in its code that are not part of a path, and the first segments of paths.
    pub(super) words: BTreeSet<String>,
    /// The names of the modules that it declares.
    pub(super) children: BTreeSet<String>,
    /// The names of its items.
    pub(super) items: BTreeSet<String>,
}

/// One name that a `use` imports.
#[derive(Debug, PartialEq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name in this module, or `*` for everything.
    pub(super) name: String,
    pub(super) is_public: bool,
}

impl Module {
    /// The import with this name, other than `except`.
    pub(super) fn import(&self, name: &str, except: Option<&Import>) -> Option<&Import> {
        self.imports
            .iter()
            .find(|import| import.name == name && !import.is(except))
    }
}

impl Import {
    /// Whether both are the same value in memory.
    pub(super) fn is(&self, other: Option<&Import>) -> bool {
        other.is_some_and(|other| std::ptr::eq(self, other))
    }
}

/// Reads the modules of a crate without its tests, by their paths. The crate itself has the empty path.
pub(super) fn read(sources: &BTreeMap<String, String>, root: &str) -> BTreeMap<Vec<String>, Module> {
    let (folder, _) = root.rsplit_once('/').unwrap();
    let site = Site {
        file: root.to_owned(),
        folder: folder.to_owned(),
        module: Vec::new(),
    };
    let mut reader = Reader {
        sources,
        modules: BTreeMap::new(),
    };
    reader.file(&site);
    reader.modules
}

struct Reader<'s> {
    sources: &'s BTreeMap<String, String>,
    modules: BTreeMap<Vec<String>, Module>,
}

/// The place where a module is declared.
#[derive(Clone)]
struct Site {
    file: String,
    /// The folder that contains the files of its children.
    folder: String,
    module: Vec<String>,
}

impl Site {
    fn child(&self, name: &str, file: String) -> Self {
        let mut module = self.module.clone();
        module.push(name.to_owned());
        Self {
            file,
            folder: format!("{}/{name}", self.folder),
            module,
        }
    }
}

impl Reader<'_> {
    fn file(&mut self, site: &Site) {
        let source = self
            .sources
            .get(&site.file)
            .unwrap_or_else(|| panic!("{} is not there", site.file));
        self.module(&tokens(source), site);
    }

    fn module(&mut self, mut tokens: &[&str], site: &Site) {
        let mut module = Module {
            file: site.file.clone(),
            ..Module::default()
        };
        let (mut is_test, mut is_public, mut is_within_path) = (false, false, false);
        while let [first, rest @ ..] = tokens {
            let continues_path = std::mem::take(&mut is_within_path);
            match (*first, rest) {
                ("#", ["[", ..] | ["!", "[", ..]) => {
                    let (attribute, after) = group(rest.strip_prefix(&["!"]).unwrap_or(rest));
                    is_test |= is_for_tests(attribute);
                    tokens = after;
                    continue;
                }
                _ if is_test => {
                    tokens = after_item(tokens);
                    is_test = false;
                    continue;
                }
                ("pub", ["(", ..]) => {
                    tokens = group(rest).1;
                    is_public = true;
                    continue;
                }
                ("pub", _) => {
                    tokens = rest;
                    is_public = true;
                    continue;
                }
                ("use", next) if next.first() != Some(&"<") => {
                    let end = rest.iter().position(|token| *token == ";").unwrap();
                    import(&rest[..end], &[], is_public, &mut module.imports);
                    tokens = &rest[end..];
                }
                ("mod", [name, ";", ..]) => {
                    module.children.insert((*name).to_owned());
                    let file = format!("{}/{name}.rs", site.folder);
                    self.file(&site.child(name, file));
                    tokens = &rest[1..];
                }
                ("mod", [name, block @ ..]) if block.starts_with(&["{"]) => {
                    module.children.insert((*name).to_owned());
                    let (inside, after) = group(block);
                    self.module(inside, &site.child(name, site.file.clone()));
                    tokens = after;
                }
                ("fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static", [name, ..])
                    if is_word(name) =>
                {
                    module.items.insert((*name).to_owned());
                    tokens = rest;
                }
                ("::", _) => {
                    is_within_path = true;
                    tokens = rest;
                }
                (word, _) if is_word(word) && !continues_path => tokens = path(word, rest, &mut module),
                _ => tokens = rest,
            }
            is_public = false;
        }
        self.modules.insert(site.module.clone(), module);
    }
}

/// Notes the word, or the path that begins with it, and returns the remaining tokens.
fn path<'t, 's>(first: &'s str, mut rest: &'t [&'s str], module: &mut Module) -> &'t [&'s str] {
    let mut path = vec![first.to_owned()];
    while let ["::", name, after @ ..] = rest
        && is_word(name)
    {
        path.push((*name).to_owned());
        rest = after;
    }
    module.words.insert(first.to_owned());
    if path.len() > 1 {
        module.paths.push(path);
    }
    rest
}

/// Collects the names of a `use`, each with its path.
fn import(tree: &[&str], before: &[String], is_public: bool, found: &mut Vec<Import>) {
    for part in parts(tree) {
        let mut path = before.to_vec();
        let mut rest = part;
        let mut name = None;
        let mut is_group = false;
        while let [first, after @ ..] = rest {
            match *first {
                // This is a path of another crate, even if a module here has the same name.
                "::" if path.is_empty() => path.push("::".to_owned()),
                "::" => {}
                "{" => {
                    import(group(rest).0, &path, is_public, found);
                    is_group = true;
                    break;
                }
                "*" => name = Some("*"),
                "as" => {
                    name = after.first().copied();
                    break;
                }
                segment => path.push(segment.to_owned()),
            }
            rest = after;
        }
        if is_group {
            continue;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let Some(last) = path.last() else { continue };
        found.push(Import {
            name: name.unwrap_or(last).to_owned(),
            path,
            is_public,
        });
    }
}

/// Splits at the commas that are not inside brackets.
fn parts<'t, 's>(tokens: &'t [&'s str]) -> Vec<&'t [&'s str]> {
    let mut depth = 0;
    let at_commas = tokens.split(move |token| {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        *token == "," && depth == 0
    });
    at_commas.collect()
}

/// The contents of the brackets at the beginning, and the remaining tokens.
fn group<'t, 's>(tokens: &'t [&'s str]) -> (&'t [&'s str], &'t [&'s str]) {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&tokens[1..at], &tokens[at + 1..]);
        }
    }
    panic!(
        "a bracket without its other half: {:?}",
        &tokens[..tokens.len().min(20)]
    );
}

/// The tokens after the item at the beginning, which ends with a semicolon or a block.
fn after_item<'t, 's>(mut tokens: &'t [&'s str]) -> &'t [&'s str] {
    while let [first, rest @ ..] = tokens {
        match *first {
            ";" => return rest,
            "{" => return group(tokens).1,
            "(" | "[" => tokens = group(tokens).1,
            _ => tokens = rest,
        }
    }
    tokens
}

/// Whether the attribute is `cfg(test)`, possibly combined with further conditions.
fn is_for_tests(attribute: &[&str]) -> bool {
    attribute.first() == Some(&"cfg")
        && attribute.contains(&"test")
        && !attribute.contains(&"not")
        && !attribute.contains(&"any")
}
