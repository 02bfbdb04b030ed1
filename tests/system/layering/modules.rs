//! Resolution of the paths in a crate's modules.

use std::collections::BTreeMap;

use super::module::{self, Import, Module};

/// How many re-exports are followed in a row. A longer chain is a circle of its own.
const RE_EXPORTS: usize = 16;

/// The modules of a crate without its tests, by their paths. The crate itself has the empty path.
pub(super) struct Modules(BTreeMap<Vec<String>, Module>);

/// The target of a path: a module of the crate, or an item in one.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) module: Vec<String>,
    pub(super) is_item: bool,
}

impl Modules {
    /// Reads a crate, starting at its root file. Every file that it declares must be among `sources`.
    pub(super) fn read(sources: &BTreeMap<String, String>, root: &str) -> Self {
        Self(module::read(sources, root))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[String], &Module)> {
        self.0.iter().map(|(path, module)| (path.as_slice(), module))
    }

    pub(super) fn file_of(&self, module: &[String]) -> &str {
        &self.0[module].file
    }

    /// Resolves a path through every re-export on the way. Returns `None` for a path of another crate.
    /// `import` is the import that contains the path; it does not import itself.
    pub(super) fn resolve(&self, from: &[String], path: &[String], import: Option<&Import>) -> Option<Place> {
        self.resolve_within(from, path, import, RE_EXPORTS)
    }

    fn resolve_within(
        &self,
        from: &[String],
        path: &[String],
        import: Option<&Import>,
        left: usize,
    ) -> Option<Place> {
        let left = left.checked_sub(1)?;
        let mut module = from.to_vec();
        let mut path = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                path = &path[1..];
            }
            "self" => path = &path[1..],
            "super" => {
                while path.first().is_some_and(|segment| segment == "super") {
                    module.pop();
                    path = &path[1..];
                }
            }
            first => {
                let here = &self.0[from];
                if !here.children.contains(first) && here.import(first, import).is_none() {
                    return None;
                }
            }
        }
        while let [name, rest @ ..] = path {
            let here = &self.0[&module];
            let found = here.import(name, import);
            if here.children.contains(name) && (found.is_none() || !rest.is_empty()) {
                module.push(name.clone());
                path = rest;
                continue;
            }
            if let Some(found) = found {
                let onwards = [found.path.as_slice(), rest].concat();
                return self.resolve_within(&module, &onwards, Some(found), left);
            }
            let through = here
                .imports
                .iter()
                .filter(|found| found.name == "*" && !found.is(import))
                .filter_map(|found| self.resolve_within(&module, &found.path, Some(found), left))
                .find(|place| !place.is_item && self.0[&place.module].items.contains(name));
            return Some(Place {
                module: through.map_or(module, |place| place.module),
                is_item: true,
            });
        }
        Some(Place {
            module,
            is_item: false,
        })
    }
}
