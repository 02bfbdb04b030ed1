//! Chords: a body that is called with the results of its header. The result backend counts the returns.

use celery_protocol::{Dict, Value};

use super::bounds;
use super::draft::Draft;
use super::error::CanvasError;
use super::freeze::Frozen;
use super::options::{list, merge, text};
use super::plan::new_id;
use super::signature::{Chord, Shape, Sig};
use crate::result_backend::Child;

impl Draft<'_> {
    /// Implements `chord.apply_async` and `chord.run`: the header is sent as a group whose tasks carry the body.
    pub(super) fn apply_chord(
        &mut self,
        sig: &Sig,
        chord: &Chord,
        args: &[Value],
        options: &Dict,
    ) -> Result<Option<Child>, CanvasError> {
        let args = sig.merged_args(args).items;
        let mut given = options.clone();
        let delay = [
            ("countdown", given.remove("countdown")),
            ("eta", given.remove("eta")),
        ];
        let (link, link_error) = (given.remove("link"), given.remove("link_error"));
        let mut body = chord.body.clone_with(&[]);
        body.options = body.merged_options(&without(&given, &["parent_id"]));
        let header_id = text(&chord.header_options, "task_id");
        let group_id = header_id
            .or_else(|| text(&sig.options, "task_id"))
            .unwrap_or_else(new_id);

        let mut merged = sig.options.clone();
        merge(&mut merged, &given);
        for (name, value) in [("link", link), ("link_error", link_error)] {
            if let Some(value) = value {
                merged.insert(name, value);
            }
        }
        let body_id = text(&merged, "task_id").unwrap_or_else(new_id);
        merged.remove("task_id");
        let mut header_options = Dict::new();
        for (name, value) in delay {
            let own = merged.remove(name);
            if let Some(value) = value.or(own).filter(|value| !value.is_none()) {
                header_options.insert(name, value);
            }
        }
        let (link, link_error) = (merged.remove("link"), merged.remove("link_error"));
        link_body(&mut body, link.as_ref(), link_error.as_ref());
        merge(&mut body.options, &without(&merged, &["parent_id"]));
        let root_id = text(&body.options, "root_id");
        if let Shape::Chain(steps) = &body.shape {
            body.shape = Shape::Chain(unroll_chords(steps));
        }
        let frozen = Frozen {
            id: Some(&body_id),
            group_id: Some(&group_id),
            root_id: root_id.as_deref(),
            ..Frozen::default()
        };
        self.freeze(&mut body, frozen);

        if chord.header.is_empty() {
            return self.apply(&body, &[Value::List(Vec::new())], &Dict::new(), &Dict::new());
        }
        let embedded = body.to_value();
        bounds::check_copies(&embedded, chord.header.iter().map(Sig::size).sum())?;
        let mut own_options = chord.header_options.clone();
        own_options.insert("task_id", group_id.as_str());
        let frozen = Frozen {
            chord: Some(&embedded),
            group_id: Some(&group_id),
            root_id: root_id.as_deref(),
            ..Frozen::default()
        };
        let (tasks, _) = self.freeze_group(&mut own_options, chord.header.clone(), frozen);
        let header = Sig::group(tasks, own_options);
        merge(
            &mut header_options,
            &without(&merged, &["chain", "chord", "task_id"]),
        );
        header_options.insert("task_id", group_id);
        self.apply(&header, &args, &chord.kwargs, &header_options)
    }
}

/// Implements `_add_body_callbacks`: callbacks and errbacks of a chord are linked to its body.
fn link_body(body: &mut Sig, link: Option<&Value>, link_error: Option<&Value>) {
    for callback in list(link) {
        body.link(callback);
    }
    for errback in list(link_error) {
        if matches!(body.shape, Shape::Group(_)) {
            body.link_error(&errback, true);
        } else {
            body.append_option("link_error", errback);
        }
    }
}

/// Implements `chain._unroll_chords` for a chain that is the body of a chord.
fn unroll_chords(steps: &[Sig]) -> Vec<Sig> {
    let mut unrolled = Vec::new();
    for step in steps {
        let mut step = step.clone();
        if let Shape::Chain(inner) = &step.shape {
            step.shape = Shape::Chain(unroll_chords(inner));
        }
        match step.unrolled_body() {
            Some(steps) => unrolled.extend(unroll_chords(&steps)),
            None => unrolled.push(step),
        }
    }
    unrolled
}

fn without(options: &Dict, names: &[&str]) -> Dict {
    options
        .iter()
        .filter(|(name, _)| !names.contains(&name.to_string_lossy().as_ref()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
