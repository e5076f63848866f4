//! Taking back what was done to the marks of a text.

use crate::document::edit::Edit;
use crate::document::error::OperationError;
use crate::document::read::{Object, read_text};
use crate::document::rich::RichText;
use crate::document::value::Value;
use automerge::{ObjId, ReadDoc};
use std::collections::BTreeSet;

/// A text with its marks before and after what is taken back, and as it was when that began.
pub(super) struct MarksBefore {
    before: RichText,
    after: RichText,
    present: RichText,
}

/// Where a character stands at each of these moments.
pub(super) struct Origin {
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
    pub(super) present: Option<usize>,
}

impl MarksBefore {
    /// Reads them; `None` where there are no marks at any of the moments.
    pub(super) fn read(
        before: &impl ReadDoc,
        after: &impl ReadDoc,
        present: &impl ReadDoc,
        old: &ObjId,
        text: &ObjId,
    ) -> Option<Self> {
        fn rich(document: &impl ReadDoc, text: &ObjId) -> RichText {
            read_text(document, text).to_rich_text().unwrap_or_default()
        }
        let (before, after, present) = (rich(before, old), rich(after, old), rich(present, text));
        let has_marks = [&before, &after, &present].into_iter().any(|text| text.mark_names().next().is_some());
        has_marks.then_some(Self { before, after, present })
    }

    /// What a mark should be at a character.
    fn wanted<'m>(&'m self, name: &str, origin: &Origin) -> &'m Value {
        match (origin.before.map(|at| self.before.mark_at(name, at)), origin.present) {
            (before, Some(present)) => {
                let now = self.present.mark_at(name, present);
                let after = origin.after.map(|at| self.after.mark_at(name, at));
                // Where the mark is another by now, somebody has set it since.
                match (before, after) {
                    (Some(before), Some(after)) if before != after && after == now => before,
                    _ => now,
                }
            }
            (Some(before), None) => before,
            (None, None) => &Value::Null,
        }
    }
}

impl Edit<'_> {
    /// Gives the characters of a text the marks that they had before what is taken back, unless they have others by now.
    pub(super) fn revert_marks(
        &mut self,
        text: &Object,
        marks: &MarksBefore,
        origins: &[Origin],
    ) -> Result<(), OperationError> {
        let current = read_text(self.reader(), &text.id).to_rich_text().unwrap_or_default();
        let mut wanted = current.clone();
        let all = [&marks.before, &marks.after, &marks.present, &current];
        let names: BTreeSet<&String> = all.into_iter().flat_map(RichText::mark_names).collect();
        for name in names {
            let mut start = 0;
            while let Some(first) = origins.get(start) {
                let value = marks.wanted(name, first);
                let run = origins.iter().skip(start).take_while(|origin| marks.wanted(name, origin) == value).count();
                wanted.mark(start..start + run, name.as_str(), value.clone());
                start += run;
            }
        }
        self.settle_marks(text, &wanted)
    }
}
