//! Whose the changes are that an import makes of an entity.

use super::{Parsed, portions};
use crate::collection::{assign, fields, mark_existing};
use crate::driver::{EditFailure, Target};
use crate::error::EditError;
use crate::transaction::Transaction;
use afield_core::Limits;
use afield_core::document::{Document, Edit, LocalChange, Path, Value};

/// Who writes an entity that is read in.
pub(super) enum Author<'t, 's> {
    /// This device: the entity is here already, and is edited.
    Device { transaction: &'t mut Transaction<'s>, target: &'t Target },
    /// Nobody: every device that reads the same line in makes the same changes.
    Nobody(&'t mut Anew),
}

impl Author<'_, '_> {
    pub(super) fn change<R>(
        &mut self,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<R, EditError> {
        match self {
            Self::Device { transaction, target } => transaction.change((*target).clone(), edit),
            Self::Nobody(anew) => anew.change(edit),
        }
    }
}

/// Makes an entity have these fields and no others, and then `mark`s it, in as many changes as it takes.
pub(super) fn write(
    author: &mut Author<'_, '_>,
    after: &Value,
    mark: impl Fn(&mut Edit<'_>) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let at_once = author.change(|edit| {
        let before = fields(edit)?;
        assign(edit, &Path::ROOT, &before, after)?;
        mark(edit)
    });
    match at_once {
        Err(error) if error.is_too_large() => {
            let before = author.change(|edit| fields(edit))?;
            portions::write(author, &before, after)?;
            author.change(mark)
        }
        done => done,
    }
}

/// An entity as everybody makes it of its line who holds nothing of it.
pub(super) struct Anew {
    document: Document,
    changes: Vec<LocalChange>,
}

impl Anew {
    pub(super) fn of(parsed: &Parsed, after: &Value) -> Result<Self, EditError> {
        let mut anew = Self { document: Document::new(parsed.entity), changes: Vec::new() };
        let mark = |edit: &mut Edit<'_>| if parsed.deleted { Ok(()) } else { mark_existing(edit) };
        write(&mut Author::Nobody(&mut anew), after, mark)?;
        Ok(anew)
    }

    /// Adds to an entity what it lacks of these changes; `false` where it holds others, too, and stays as it is.
    pub(super) fn extend(self, transaction: &mut Transaction<'_>, target: &Target) -> Result<bool, EditError> {
        transaction.extend(target, self.document, self.changes)
    }

    fn change<R>(&mut self, edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>) -> Result<R, EditError> {
        let edited = self.document.edit_derived(&Limits::DEFAULT, edit).map_err(EditFailure::Document)?;
        self.changes.extend(edited.changes);
        Ok(edited.value)
    }
}
